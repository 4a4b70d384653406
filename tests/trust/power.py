"""The machine loses power while people work; a check of all that they were told is kept.

    script/chaos --power [--seconds 20] [--cuts 400] [--clients 4] [--database sqlite|postgres|both]

`manage.py serve` runs as it is delivered, with a library before libc that writes down each change
of a file and each sync (`journal.c`). People save, submit, approve, upload, remove, make releases
and exports over HTTP; with each answer they note how long the journal was. Afterwards the disk is
built anew for many moments (`disk.py`), without, with some, or with all of what was not synced, and
`survivors.py` looks for everything that was acknowledged before that moment, and for every file
that a row names.

Controls: syncs of one kind are not obeyed, and the check must miss what they were for; and a
database with synchronous=OFF.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from tests.live import ROOT, ApiError, LiveApp, picture, region_write
from tests.servers import Postgres, find_program, wait_until
from tests.trust.disk import Journal
from tests.trust.history import OK, Client, Deadline
from tests.trust.survivors import FAULTS

PEOPLE = ("owner", "annotator", "manager")
SETTLE_SECONDS = 30
MEMORY = Path("/dev/shm")
NEEDED_BYTES = 2 * 2**30
ORIENTATION, TURNED = 0x112, 6
LARGE = 8000, 5001


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    cuts: int
    clients: int = 4
    seed: int = 0
    database: str = "sqlite"
    faults: tuple[str, ...] = ()
    settings: str = "labeler.settings"
    starts: int = 0
    large: bool = False


@dataclass(slots=True)
class Report:
    """What was tried and what was lost; `controls`: what was missed with each planted fault."""

    name: str
    losses: int = 0
    starts: int = 0
    records: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    controls: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        told = ", ".join(f"{count} {kind}s" for kind, count in sorted(self.acknowledged.items()))
        looked = ", ".join(f"{count} {kind}s" for kind, count in sorted(self.checked.items()))
        lines = [
            f"{self.name}: {self.losses} losses of power in {self.records} steps; "
            f"{self.starts} times the product went on",
            f"  acknowledged: {told}",
            f"  looked for, over all losses: {looked}",
            f"  lost: {len(self.lost)}, wrong: {len(self.wrong)}",
            *(f"    {one}" for one in (self.lost + self.wrong)[:10]),
        ]
        for name, found in self.controls.items():
            first = found[0] if found else "NOT FOUND: the check is blind"
            lines.append(f"  without syncs of {name}: {first}")
        return "\n".join(lines)


class JournaledPostgres(Postgres):
    """A cluster below `root`, with a journal once it has one."""

    journal: Journal | None = None

    def __init__(self, root: Path) -> None:
        super().__init__()
        made, self.folder = self.folder, root / "pg"
        subprocess.run(["cp", "-a", made, self.folder], check=True)  # owners stay
        shutil.rmtree(made)

    def command(self) -> list[str]:
        environment = self.journal.environment if self.journal else {}
        words = [f"{name}={value}" for name, value in environment.items()]
        return ["env", *words, *super().command()]


class Installation:
    """The product with a journal, and people who note what they are told."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan, self.folder, self.root = plan, folder, folder / "root"
        self.chance = random.Random(plan.seed)
        (self.root / "data").mkdir(parents=True)
        folder.chmod(0o755)  # PostgreSQL's user comes by
        self.journal = Journal(folder, self.root)
        self.events: list[dict[str, Any]] = []
        self.removed: list[int] = []
        self.errors: list[str] = []
        self.clients: list[Client] = []
        settings = {"DJANGO_SETTINGS_MODULE": plan.settings, "WEB_PROCESSES": "2"}
        settings["JOB_LEASE_SECONDS"] = "5"
        self.postgres = None
        if plan.database == "postgres":
            self.postgres = JournaledPostgres(self.root)
            self.postgres.start()
            settings["DATABASE_URL"] = self.postgres.new_database()
        settings |= {"LABELER_DATA": str(self.root / "data"), "DEBUG": "1"}
        self.app = LiveApp(data=self.root / "data", **settings)

    def run(self) -> None:
        """Work for a while, and an end as an administrator's."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.stop)
            self.app.prepare(PEOPLE)
            if self.postgres:
                self.postgres._end(signal.SIGINT)
            self.inodes = self.remember()
            if self.postgres:
                self.postgres.journal = self.journal
                self.postgres.start()
            self.app.environment |= self.journal.environment
            self.app.spawn("serve", "manage.py", "serve", "--port", str(self.app.port))
            wait_until(
                lambda: requests.get(f"{self.app.url}/healthz", timeout=5).ok,
                f"the server (log: {self.app.data / 'serve.log'})", seconds=60,
            )  # fmt: skip
            self.set_up()
            self.work()

    def stop(self) -> None:
        for process in self.app.processes.values():
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SETTLE_SECONDS)
        if self.postgres:
            self.postgres._end(signal.SIGINT)

    def remember(self) -> dict[str, int]:
        """A copy of all there is, and the numbers of its files."""
        shutil.copytree(self.root, self.folder / "before", symlinks=True)
        found = {".": self.root.stat().st_ino}
        for path in sorted(self.root.rglob("*")):
            if path.is_file() or path.is_dir():
                found[str(path.relative_to(self.root))] = path.stat().st_ino
        return found

    def set_up(self) -> None:
        owner = self.app.api("owner")
        self.project = owner.project(members={"annotator": "annotator", "manager": "manager"})["id"]
        count = self.plan.clients
        names = {f"{n}.png": picture(64, 48, seed=n) for n in range(count)}
        images = [image["id"] for image in owner.upload(self.project, names)]
        self.category = owner.categories(self.project)[0]["id"]
        for number, image in enumerate(images):
            annotation = owner.annotation(image)["id"]
            self.clients.append(
                Client(
                    f"client {number}", self.app.url, self.app.people["owner"].token, annotation,
                    self.category, random.Random(self.chance.random()), clock=self.journal.now,
                    pause=0.02,
                )
            )  # fmt: skip
        # Others work in a project of their own, so that they give out other images.
        self.other = owner.project(members={"annotator": "annotator", "manager": "manager"})["id"]
        self.other_category = owner.categories(self.other)[0]["id"]

    def work(self) -> None:
        stop, deadline = threading.Event(), Deadline()
        threads = [
            threading.Thread(target=client.work, args=(stop, deadline)) for client in self.clients
        ]
        large = [self.large()] if self.plan.large else []
        for steps in (self.uploads(), self.labels(), self.leaves(), *large):
            threads.append(threading.Thread(target=self.go_on, args=(stop, steps)))
        for thread in threads:
            thread.start()
        stop.wait(self.plan.seconds)
        stop.set()
        deadline.set(SETTLE_SECONDS)
        for thread in threads:
            thread.join()
        self.errors += [error for client in self.clients for error in client.errors]

    def go_on(self, stop: threading.Event, steps: Iterator[None]) -> None:
        try:
            while not stop.is_set():
                next(steps)
                stop.wait(0.05)
        except Exception as error:  # an answer that nobody must get
            self.errors.append(repr(error))

    def told(self, kind: str, **what: Any) -> None:
        self.events.append({"kind": kind, "at": self.journal.now(), **what})

    # --- what people do -----------------------------------------------------------------------
    def uploads(self) -> Iterator[None]:
        """Pictures of several kinds, one or several at once or in a zip; now and then one goes."""
        api, number = self.app.api("manager"), 0
        while True:
            sent = {}
            for _ in range(1 + number % 3):
                number += 1
                sent[f"{number}.{'jpg' if number % 2 else 'png'}"] = _picture(number)
            digests = {name: hashlib.sha256(data).hexdigest() for name, data in sent.items()}
            if number % 5 == 0:
                sent = {f"{number}.zip": _zip(sent)}
            files = [("files", one) for one in sent.items()]
            api.post(f"projects/{self.other}/images", files=files)
            at = self.journal.now()
            found = api.get(f"projects/{self.other}/images", params={"limit": 200})["results"]
            ids = {image["name"]: image["id"] for image in found}
            for name, sha256 in digests.items():
                event = {"kind": "upload", "at": at, "image": ids[name], "sha256": sha256}
                self.events.append(event)
            yield
            if number % 7 == 0:
                with contextlib.suppress(ApiError):  # somebody has begun it
                    self.removed.append(ids[name])
                    api.delete(f"images/{ids[name]}")
                    self.told("removal", image=ids[name])
                yield

    def large(self) -> Iterator[None]:
        """One picture that a worker takes, with a pyramid of tiles."""
        api, out = self.app.api("manager"), io.BytesIO()
        Image.new("RGB", LARGE, (90, 120, 60)).save(out, "PNG")
        files = [("files", ("large.png", out.getvalue()))]
        for job in api.post(f"projects/{self.other}/images", files=files)["jobs"]:
            api.wait_for_job(job["id"])
        at = self.journal.now()
        found = api.get(f"projects/{self.other}/images", params={"limit": 200})["results"]
        (image,) = (one["id"] for one in found if one["name"] == "large.png")
        sha256 = hashlib.sha256(out.getvalue()).hexdigest()
        self.events.append({"kind": "upload", "at": at, "image": image, "sha256": sha256})
        while True:
            yield

    def labels(self) -> Iterator[None]:
        """The next image: labeled and handed in at once, then approved."""
        api, owner = self.app.api("annotator"), self.app.api("owner")
        while True:
            given = api.post(f"projects/{self.other}/next", {"mode": "label", "after": None})
            if given["image"]:
                writes, key = (
                    [region_write(self.other_category) for _ in range(3)],
                    str(uuid.uuid4()),
                )
                regions = [write["region"] for write in writes]
                path = f"images/{given['image']}/patches"
                with contextlib.suppress(ApiError):  # the image was removed
                    done = api.post(path, {"writes": writes, "seconds": 3, "submit": key})
                    number = done["annotation"]
                    self.told("submission", annotation=number, key=key, regions=regions)
                    revision = {"revision": done["revision"], "comment": ""}
                    owner.post(f"annotations/{number}/approve", revision)
                    self.told("approval", annotation=number)
            yield

    def leaves(self) -> Iterator[None]:
        """Releases and exports, without and with image files (which a worker packs)."""
        api, number = self.app.api("owner"), 0
        while True:
            number += 1
            wish: dict[str, Any] = {"name": f"release {number}", "status": "approved"}
            with contextlib.suppress(ApiError):  # nothing has changed since
                job = api.wait_for_job(api.post(f"projects/{self.other}/releases", wish)["id"])
                if job["state"] == "done":
                    result = job["result"]
                    self.told("release", release=result["release"], sha256=result["release_sha256"])
            yield
            wish = {"format": "coco", "status": "all", "images": number % 2 == 0}
            job = api.wait_for_job(api.post(f"projects/{self.other}/exports", wish)["id"])
            data = api.call("GET", f"jobs/{job['id']}/download").content
            self.told("export", job=job["id"], sha256=hashlib.sha256(data).hexdigest())
            yield

    # --- the check ----------------------------------------------------------------------------
    def judge(self) -> Report:
        plan = self.plan
        saves = [dataclasses.asdict(save) for client in self.clients for save in client.history]
        rebuilt = self.folder / "rebuilt"
        settings = {"LABELER_DATA": str(rebuilt / "data"), "DJANGO_SETTINGS_MODULE": plan.settings}
        environment = self.app.environment | settings
        for name in self.journal.environment:
            del environment[name]
        (self.folder / "plan.json").write_text(
            json.dumps(
                {
                    "root": str(self.root), "rebuilt": str(rebuilt), "inodes": self.inodes,
                    "port": self.postgres.port if self.postgres else 0, "seed": plan.seed,
                    "project": self.project, "removed": self.removed, "events": self.events,
                    "saves": saves, "faults": plan.faults, "other": self.other,
                    "token": self.app.people["owner"].token,
                    "annotations": [client.annotation for client in self.clients],
                }
            )
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.trust.survivors", str(self.folder), str(plan.cuts),
             str(plan.starts)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout)
        report = Report(f"{plan.database}, seed {plan.seed}", found["losses"])
        report.records, report.starts = found["records"], found["starts"]
        report.acknowledged.update(event["kind"] for event in self.events)
        report.acknowledged["save"] = sum(save["outcome"] == OK for save in saves)
        report.checked.update(found["checked"])
        report.lost, report.controls = found["lost"], found["controls"]
        report.wrong = self.errors + found["wrong"]
        report.wrong += [f"the journal has holes: {one}" for one in found["missed"]]
        return report


def run(plan: Plan) -> Report:
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > NEEDED_BYTES
    place = MEMORY if in_memory else None  # what a disk does with syncs does not matter here
    with tempfile.TemporaryDirectory(prefix="labeler-power-", dir=place) as folder:
        installation = Installation(Path(folder), plan)
        installation.run()
        return installation.judge()


def _picture(number: int) -> bytes:
    """A JPEG turned by its EXIF, a PNG, or one of 16 bits; each with contents of its own."""
    exif, out, (width, height) = Image.Exif(), io.BytesIO(), (96, 64)
    exif[ORIENTATION] = TURNED
    mode = "I;16" if number % 8 == 0 else "RGB"
    pixels = random.Random(number).randbytes(width * height * (2 if mode == "I;16" else 3))
    image = Image.frombytes(mode, (width, height), pixels)
    if number % 2:
        image.save(out, "JPEG", exif=exif, quality=90)
    else:
        image.save(out, "PNG")
    return out.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/chaos --power", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=20, help="of work")
    parser.add_argument("--cuts", type=int, default=400, help="losses of power")
    parser.add_argument("--starts", type=int, default=5, help="of the product, on what is left")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    os.environ["READ_DOTENV"] = "0"
    databases = ("sqlite", "postgres") if options.database == "both" else (options.database,)
    for program in ("cc", "initdb") if "postgres" in databases else ("cc",):
        if not find_program(program):
            sys.exit("Not installed: apt install gcc libc6-dev postgresql")
    failed = False
    for database in databases:
        plan = Plan(
            options.seconds, options.cuts, options.clients, options.seed, database, tuple(FAULTS),
            starts=options.starts, large=True,
        )  # fmt: skip
        report = run(plan)
        print(report, flush=True)
        blind = not all(report.controls.values())
        failed |= bool(report.lost or report.wrong or blind)
    if "sqlite" in databases:
        report = run(Plan(3, 8, seed=options.seed, settings="tests.trust.unsynced_settings"))
        found = [one for one in report.lost if one.startswith("save")]
        failed |= not found
        print(f"  with synchronous=OFF: {found[0] if found else 'NOT FOUND: the check is blind'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
