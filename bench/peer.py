"""Us and Label Studio, asked for the same things in turns.

    script/bench peer [--images 100] [--turns 4] [--people 16] [--only ours] [--no-pages]

Label Studio (requirements/peer.txt) lives in .cache/peer, in an environment of its own. Both sides
start as they come, on SQLite in a fresh folder: ours by `manage.py serve`, not DEBUG; theirs by
`label-studio start`, telemetry off. One driver asks both over HTTP on loopback, by token, a turn
here and a turn there, so that what else the machine does falls on both alike. Every answer is
checked against what was sent. "Computing" is the processor time of the server and of all processes
that it started, for one action. Milliseconds unless the row says otherwise.
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bench import _peer_content as content
from bench._peer_label_studio import LabelStudio
from bench._peer_ours import Ours
from bench._peer_sides import (
    Action,
    Export,
    Http,
    Wrong,
    computed,
    judge,
    memory,
    temporary,
)

HOME = Path(__file__).resolve().parent.parent / ".cache" / "peer"
PROGRAM = HOME / "venv" / "bin" / "label-studio"
AIM = 10
TOGETHER = 50
IDLE_SECONDS = 10
LISTED = 100

OneSide = Ours | LabelStudio
Sides = Sequence[OneSide]


@dataclass
class Series:
    """Milliseconds of one side in one row, and what its server computed for an action."""

    passed: list[float] = field(default_factory=list)
    computing: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def at(self, share: float) -> float:
        ordered = sorted(self.passed)
        return (
            ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
        )


def run(side: OneSide, actions: list[Action], clients: int, into: Series) -> None:
    """Each client does its share of the actions, one after the other, as a person of its own."""
    begun = computed(side.root)
    afters: list[tuple[Action, Http]] = []

    def work(person: int) -> None:
        http = side.http(person)
        for action in actions[person::clients]:
            start = time.perf_counter()
            try:
                reply = action.do(http)
                into.passed.append(1000 * (time.perf_counter() - start))
                action.check(reply)
                afters.append((action, http))
            except Wrong as error:
                into.wrong.append(str(error))

    threads = [threading.Thread(target=work, args=(person,)) for person in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    into.computing += 1000 * (computed(side.root) - begun)
    for action, http in afters:
        action.after(http)


class Table:
    """Rows of what was measured, printed as they come."""

    def __init__(self, sides: Sides, turns: int) -> None:
        self.sides, self.turns = sides, turns
        self.below: list[str] = []
        self.wrong = 0
        heads = ["measure", "clients", "n"]
        heads += [f"{side.name}: median / p95" for side in sides]
        heads += ["times as fast", *(f"{side.name}: computing" for side in sides)]
        print("| " + " | ".join(heads) + " |")
        print("|" + "---|" * len(heads), flush=True)

    def row(
        self, name: str, clients: int, count: int, part: Callable[..., Action], once: bool = False
    ) -> None:
        """`count` actions, `part(side, index)`, in turns of at least one for each client.

        `once`: not more than one, because `after` must come before the same person's next one.
        """
        found = {side.name: Series() for side in self.sides}
        turns = max(1, count // clients if once else min(self.turns, count // clients))
        for turn in range(turns):
            share = range(count)[turn * count // turns : (turn + 1) * count // turns]
            for side in self.sides if turn % 2 else reversed(self.sides):
                actions = [part(side, index) for index in share]
                run(side, actions, clients, found[side.name])
        self._print(name, clients, count, found)

    def _print(self, name: str, clients: int, count: int, found: dict[str, Series]) -> None:
        cells = [name, str(clients), str(count)]
        cells += [f"{one.at(0.5):.1f} / {one.at(0.95):.1f}" for one in found.values()]
        cells.append(self.ratio(f"{name}, {clients}", *(one.at(0.5) for one in found.values())))
        cells += [f"{one.computing / max(1, len(one.passed)):.1f}" for one in found.values()]
        print("| " + " | ".join(cells) + " |", flush=True)
        for side, one in found.items():
            self.wrong += len(one.wrong)
            for text in sorted(set(one.wrong))[:3]:
                print(f"WRONG {side}, {name}, {clients} clients, {len(one.wrong)} times: {text}")

    def values(self, name: str, values: Sequence[float], form: str) -> None:
        """A row of one value for each side."""
        cells = [name, "", "", *(form.format(value) for value in values)]
        cells += [self.ratio(name, *values), "", ""]
        print("| " + " | ".join(cells[: 4 + 2 * len(self.sides)]) + " |", flush=True)

    def ratio(self, name: str, ours: float, theirs: float | None = None) -> str:
        if not theirs or not ours:
            return ""
        if theirs / ours < AIM:
            self.below.append(f"{name}: {theirs / ours:.1f}")
        return f"{theirs / ours:.1f}"


def measure(sides: Sides, images: int, people: int, turns: int) -> Table:
    """All that is asked over HTTP, and the memory meanwhile."""
    pictures = content.jpegs(HOME / "images", range(2 * images))
    table = Table(sides, turns)
    idle = [memory(side.root) for side in sides]
    with watched(sides) as most:
        requests(table, pictures, images, people)
        exports(table, images)
    table.values("memory at rest, MB", idle, "{:.0f}")
    table.values("memory at most, MB", [most[side.name] for side in sides], "{:.0f}")
    return table


def requests(table: Table, pictures: dict[int, bytes], images: int, people: int) -> None:
    """What one waits for while labeling, from the upload to the next image."""
    sides = table.sides
    half = images // 2
    groups = [range(at, min(at + TOGETHER, images)) for at in range(half, images, TOGETHER)]

    def some(numbers: range) -> dict[int, bytes]:
        return {number: pictures[number] for number in numbers}

    table.row("upload a picture", 1, half, lambda s, i: s.upload("polygons", some(range(i, i + 1))))
    table.row(
        f"upload {len(groups[0])} pictures",
        1,
        len(groups),
        lambda s, i: s.upload("polygons", some(groups[i])),
    )
    table.row(
        "upload a picture", people, images,
        lambda s, i: s.upload("masks", some(range(images + i, images + i + 1))),
    )  # fmt: skip
    for side in sides:  # the queue has what is there already
        for at in range(0, images, TOGETHER):
            group = some(range(at, min(at + TOGETHER, images)))
            run(side, [side.upload("queue", group)], 1, Series())
        for kind, first in (("polygons", 0), ("masks", images), ("queue", 0)):
            missing = set(range(first, first + images)) - side.list_images(kind)
            if missing:
                raise SystemExit(f"{side.name} lacks {len(missing)} pictures of {kind}")

    wanted = min(LISTED, images)
    table.row(f"list {wanted}", 1, 20, lambda s, i: s.listed("polygons", wanted))
    table.row(f"list {wanted}", people, 3 * people, lambda s, i: s.listed("polygons", wanted))

    cuts = [0, *(round(share * images) for share in (0.2, 0.52, 0.68)), images]
    alone, many, one_by_one, rest = (range(*pair) for pair in pairwise(cuts))
    for name, clients, numbers in (
        ("submit 10 polygons", 1, alone), ("submit 10 polygons", people, many),
    ):  # fmt: skip
        table.row(
            name, clients, len(numbers), lambda s, i, n=numbers: s.submitted("polygons", n[i])
        )
    for clients, numbers in ((1, one_by_one), (people, rest)):
        for side in sides:
            run(side, [side.prepared("polygons", number) for number in numbers], clients, Series())
        table.row(
            "update 10 polygons", clients, len(numbers),
            lambda s, i, n=numbers: s.updated("polygons", n[i]),
        )  # fmt: skip
    table.row("open 10 polygons", 1, 40, lambda s, i: s.opened(i % many.stop))
    table.row("open 10 polygons", people, 6 * people, lambda s, i: s.opened(i % many.stop))
    table.row("submit 3 masks", 1, half, lambda s, i: s.submitted("masks", images + i))
    table.row(
        "submit 3 masks",
        people,
        images - half,
        lambda s, i: s.submitted("masks", images + half + i),
    )

    given: dict[str, list[int]] = {side.name: [] for side in sides}

    for clients, count in ((1, images // 5), (people, 2 * people)):
        table.row("next image", clients, count, lambda s, i: s.next(given[s.name]), True)
    for side in sides:
        twice = len(given[side.name]) - len(set(given[side.name]))
        if twice:
            print(
                f"WRONG {side.name}: {twice} of {len(given[side.name])} images given to two people"
            )


def exports(table: Table, images: int) -> None:
    """COCO of both projects, once each turn, and how right it is."""
    verdicts: dict[str, dict[str, Export]] = {}
    for kind, first in (("polygons", 0), ("masks", images)):
        numbers = range(first, first + images)

        def part(side: OneSide, index: int, kind: str = kind, numbers: range = numbers) -> Action:
            def check(data: bytes) -> None:
                verdicts.setdefault(kind, {})[side.name] = judge(data, kind, numbers)

            return Action(side.export(kind), check)

        table.row(f"export {kind} as COCO", 1, 2, part)
    for kind, found in verdicts.items():
        for name, one in found.items():
            print(
                f"{name}, COCO of {kind}: {one.images} images, {one.exact} of {one.wanted} exactly "
                f"as sent, in {one.annotations} annotations"
            )


@contextmanager
def watched(sides: Sides) -> Iterator[dict[str, float]]:
    """The most memory that each side's processes had, looked at twice a second."""
    most = {side.name: 0.0 for side in sides}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for side in sides:
                most[side.name] = max(most[side.name], memory(side.root))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def machine() -> str:
    model = subprocess.run(
        ["grep", "-m1", "model name", "/proc/cpuinfo"], capture_output=True, text=True
    ).stdout.partition(":")[2]
    return f"{model.strip()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="in each project")
    parser.add_argument("--people", type=int, default=16, help="clients at once")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--only", choices=["ours"], help="without the other side")
    parser.add_argument("--no-pages", action="store_true", help="without Chromium")
    options = parser.parse_args(arguments)
    folders = [temporary("ours-"), temporary("theirs-")]
    sides: list[OneSide] = [Ours(options.people)]
    if not options.only:
        sides.append(LabelStudio(options.people, PROGRAM))
    started: list[OneSide] = []
    begun = os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped then, too
    try:
        for side, folder in zip(sides, folders, strict=False):
            started.append(side)
            side.start(folder)
        time.sleep(IDLE_SECONDS)
        table = measure(sides, options.images, options.people, options.turns)
        if not options.no_pages:
            from bench._peer_pages import pages

            pages(table)
    finally:
        for side in started:
            side.stop()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{machine()}, load {begun:.1f} before and {os.getloadavg()[0]:.1f} at the end")
    print(f"Below {AIM} times: " + ("; ".join(table.below) or "nothing"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
