"""How fast the editor is: `script/bench editor [--strokes N]`.

Opens a 24-megapixel JPEG with 1,000 regions (half masks, half polygons) in Chromium, draws with a
real mouse and reads the main thread's work from the browser's own trace. The same mouse moves over
an empty WebGL page, on the same machine, say how much of that is the browser's.
"""

import argparse
import io
import json
import math
import platform
import random
import subprocess
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright
from pycocotools import mask as coco_mask

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.live import Api, LiveApp

WIDTH, HEIGHT = 6000, 4000
COLUMNS, ROWS = 40, 25
RADII = (5, 50, 200)
SCREEN = {"width": 1440, "height": 900}

MARKS = """
(() => {
  const seen = (window.seen = { image: 0, regions: 0, labels: 0, long: [] });
  const { prototype: gl } = WebGL2RenderingContext;
  const painted = (name) => requestAnimationFrame(() =>
    requestAnimationFrame(() => { seen[name] = performance.now(); }));
  const { texSubImage2D, texSubImage3D } = gl;
  gl.texSubImage2D = function (...given) {
    if (given.at(-1) instanceof ImageBitmap && !seen.image) painted("image");
    return texSubImage2D.apply(this, given);
  };
  gl.texSubImage3D = function (...given) {
    seen.labels += 1;
    painted("regions");
    return texSubImage3D.apply(this, given);
  };
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) seen.long.push([startTime, duration]);
  }).observe({ type: "longtask", buffered: true });
})();
"""
"""When the first pixels of the image and the last regions were on the screen; long tasks."""

EMPTY = """<!doctype html>
<style>body { margin: 0 } canvas { width: 100vw; height: 100vh }</style>
<canvas></canvas>
<script>
const canvas = document.querySelector("canvas");
canvas.width = innerWidth; canvas.height = innerHeight;
const gl = canvas.getContext("webgl2");
let frame = 0;
const draw = () => {
  frame = 0;
  gl.clearColor(Math.random(), 0, 0, 1);
  gl.clear(gl.COLOR_BUFFER_BIT);
};
for (const type of ["pointermove", "pointerdown", "pointerup", "wheel", "keydown"])
  addEventListener(type, () => { frame ||= requestAnimationFrame(draw); });
</script>"""


@dataclass
class Work:
    """Milliseconds of the main thread, one for each event or frame."""

    cpu: list[float] = field(default_factory=list)
    """What the thread computed: the same on a machine that others use at the same time."""
    wall: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[dict[str, Any]]) -> "Work":
        events = [e for e in events if "tdur" in e]
        return cls([e["tdur"] / 1000 for e in events], [e["dur"] / 1000 for e in events])

    def __str__(self) -> str:
        return f"{percentiles(self.cpu)} | {percentiles(self.wall)}"


def percentiles(times: Sequence[float]) -> str:
    """p50, p95 and the most."""
    if not times:
        return "none"
    ordered = sorted(times)
    at = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 1)]
    return " / ".join(f"{one:.1f}" for one in at)


@dataclass
class Trace:
    """What a browser's trace says about one page's main thread."""

    events: list[dict[str, Any]]

    def __post_init__(self) -> None:
        names = [e for e in self.events if e.get("name") == "thread_name"]
        mains = {(e["pid"], e["tid"]) for e in names if e["args"]["name"] == "CrRendererMain"}
        busy: dict[tuple[int, int], float] = {}
        for e in self.events:
            key = (e.get("pid"), e.get("tid"))
            if key in mains and e.get("ph") == "X" and e["name"] == "EventDispatch":
                busy[key] = busy.get(key, 0) + 1
        main = max(busy, key=lambda key: busy[key], default=None)
        own = [e for e in self.events if (e.get("pid"), e.get("tid")) == main]
        self.own = [e for e in own if e.get("ph") == "X" and "dur" in e]
        self.tasks = sorted(
            (e for e in self.own if e["name"] == "ThreadControllerImpl::RunTask"),
            key=lambda e: e["ts"],
        )

    def handlers(self, *types: str) -> Work:
        """What the page's listeners did for each event of these types."""
        return Work.of(
            e
            for e in self.own
            if e["name"] == "EventDispatch" and e["args"]["data"]["type"] in types
        )

    def tasks_with(self, found: Callable[[dict[str, Any]], bool]) -> Work:
        """The whole task (listeners, drawing, style, layout, paint) around such an event."""
        starts = sorted(e["ts"] for e in self.own if found(e))
        tasks = []
        at = 0
        for task in self.tasks:
            while at < len(starts) and starts[at] < task["ts"]:
                at += 1
            end = task["ts"] + task["dur"]
            if at < len(starts) and starts[at] < end:
                tasks.append(task)
            while at < len(starts) and starts[at] < end:
                at += 1
        return Work.of(tasks)

    def pointer_tasks(self) -> Work:
        return self.tasks_with(
            lambda e: e["name"] == "EventDispatch" and e["args"]["data"]["type"] == "pointermove"
        )

    def key_tasks(self) -> Work:
        return self.tasks_with(
            lambda e: e["name"] == "EventDispatch" and e["args"]["data"]["type"] == "keydown"
        )

    def frames(self) -> Work:
        return self.tasks_with(lambda e: e["name"] == "FireAnimationFrame")


@dataclass
class Bench:
    browser: Browser
    page: Page
    rows: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def traced(self) -> Iterator[list[Trace]]:
        """The block's trace is in the list afterwards."""
        found: list[Trace] = []
        self.browser.start_tracing(
            page=self.page,
            categories=["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"],
        )
        yield found
        self.page.wait_for_timeout(300)
        found.append(Trace(json.loads(self.browser.stop_tracing())["traceEvents"]))

    def row(self, name: str, value: str) -> None:
        self.rows.append((name, value))
        print(f"| {name} | {value} |", flush=True)

    def long_tasks(self) -> list[float]:
        """Milliseconds of the tasks over 50 ms since this was asked last."""
        found = self.page.evaluate("() => window.seen.long.splice(0)")
        return [round(duration) for _, duration in found]

    def stroke(self, points: Sequence[tuple[float, float]]) -> None:
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down()
        for point in points[1:]:
            mouse.move(*point)
        mouse.up()

    def size(self, radius: int) -> None:
        self.page.get_by_role("slider", name="Size").evaluate(
            """(input, value) => {
              input.value = value;
              input.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            str(radius),
        )
        self.page.wait_for_timeout(100)


def wave(top: float, steps: int = 40) -> list[tuple[float, float]]:
    """From left to right over the picture and back up and down."""
    return [(320 + 640 * i / steps, top + 60 * math.sin(i / 6)) for i in range(steps)]


def photograph() -> bytes:
    """Smooth colours with grain, like a camera's; JPEG."""
    chance = np.random.default_rng(7)
    small = Image.fromarray(chance.integers(0, 256, (40, 60, 3), np.uint8))
    pixels = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    grain = chance.integers(-12, 13, (HEIGHT, WIDTH, 1), np.int16)
    image = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def blob(index: int, chance: random.Random) -> list[float]:
    """A ring of 48 vertices around the place of the region."""
    pitch_x, pitch_y = WIDTH / COLUMNS, HEIGHT / ROWS
    x = (index % COLUMNS + 0.5) * pitch_x
    y = (index // COLUMNS + 0.5) * pitch_y
    ring: list[float] = []
    for step in range(48):
        angle = step * math.tau / 48
        radius = pitch_x * chance.uniform(0.42, 0.55)
        ring += [
            min(max(x + radius * math.cos(angle), 0), WIDTH),
            min(max(y + radius * math.sin(angle), 0), HEIGHT),
        ]
    return [round(value, 2) for value in ring]


def fill(api: Api) -> int:
    """The project's image, with its 1,000 regions; returns the image's number."""
    project = api.project("instance", "Benchmark")["id"]
    (image,) = api.upload(project, {"24MP.jpg": photograph()})
    category = api.categories(project)[0]["id"]
    annotation = api.annotation(image["id"])["id"]
    chance = random.Random(3)  # noqa: S311
    writes: list[dict[str, Any]] = []
    for index in range(COLUMNS * ROWS):
        ring = blob(index, chance)
        write: dict[str, Any] = {
            "op": "upsert",
            "region": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "key": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "based_on": 0,
            "category": category,
            "order": index,
            "source": "brush" if index % 2 else "polygon",
        }
        if index % 2:
            rle = coco_mask.frPyObjects([ring], HEIGHT, WIDTH)[0]
            write["mask"] = {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()}
        else:
            write["polygons"] = [[ring]]
        writes.append(write)
    for start in range(0, len(writes), 250):
        api.post(f"annotations/{annotation}/patches", {"writes": writes[start : start + 250]})
    return int(image["id"])


def opening(bench: Bench, address: str, visit: str) -> None:
    with bench.traced() as traces:
        bench.page.goto(address)
        count = bench.page.locator(".regions .badge").first
        expect(count).to_have_text(f"{COLUMNS * ROWS}", timeout=60_000)
        bench.page.wait_for_timeout(2500)
    seen = bench.page.evaluate("() => window.seen")
    bench.row(f"first image pixels, {visit}", f"| {seen['image']:.0f}")
    bench.row(f"all 1,000 regions, {visit}", f"| {seen['regions']:.0f}")
    tasks = Work.of(traces[0].tasks)
    bench.row(f"all tasks while opening, {visit}", f"{sum(tasks.cpu):.0f} | {sum(tasks.wall):.0f}")
    bench.row(
        f"longest task while opening, {visit}", f"{max(tasks.cpu):.0f} | {max(tasks.wall):.0f}"
    )
    bench.long_tasks()


def drawing(bench: Bench) -> None:
    page = bench.page
    page.keyboard.press("Control+0")  # 100 %
    for tool, key in (("brush", "b"), ("eraser", "e")):
        page.keyboard.press(key)
        for radius in RADII:
            bench.size(radius)
            bench.stroke(wave(300, 8))  # what is compiled on first use
            bench.long_tasks()
            with bench.traced() as traces:
                bench.stroke(wave(450))
            long = bench.long_tasks()
            bench.row(
                f"{tool}, radius {radius} px: listeners", str(traces[0].handlers("pointermove"))
            )
            bench.row(f"{tool}, radius {radius} px: whole task", str(traces[0].pointer_tasks()))
            if long:
                bench.row(f"{tool}, radius {radius} px: tasks over 50 ms", f"| {long}")


def moving(bench: Bench) -> None:
    page = bench.page
    page.keyboard.press("0")
    page.wait_for_timeout(300)
    with bench.traced() as traces:
        page.mouse.move(700, 450)
        for step in range(40):
            page.mouse.wheel(0, -100 if step % 40 < 20 else 100)
            page.wait_for_timeout(16)
    bench.row("zoom: frame", str(traces[0].frames()))
    page.keyboard.down(" ")
    with bench.traced() as traces:
        bench.stroke(
            [(700 + 300 * math.sin(i / 15), 450 + 200 * math.cos(i / 10)) for i in range(60)]
        )
    page.keyboard.up(" ")
    bench.row("pan: frame", str(traces[0].frames()))
    bench.row("long tasks while moving", f"| {bench.long_tasks()}")


def undoing(bench: Bench) -> None:
    page = bench.page
    page.keyboard.press("b")
    page.keyboard.press("Control+0")
    bench.size(50)
    for top in range(5):
        bench.stroke(wave(250 + 50 * top, 12))
    page.wait_for_timeout(1000)
    bench.long_tasks()
    with bench.traced() as traces:
        for keys in ["Control+z"] * 5 + ["Control+Shift+z"] * 5:
            page.keyboard.press(keys)
            page.wait_for_timeout(50)
    bench.row("undo and redo of a stroke: key press", str(traces[0].handlers("keydown")))
    bench.row("undo and redo of a stroke: whole task", str(traces[0].key_tasks()))
    bench.row("undo and redo of a stroke: frame", str(traces[0].frames()))


def memory(bench: Bench, browser: CDPSession, strokes: int) -> None:
    page = bench.page
    # A small window: a machine without a graphics card spends its time on drawing.
    page.set_viewport_size({"width": 1000, "height": 500})
    page.keyboard.press("0")
    page.wait_for_timeout(500)
    chance = random.Random(5)  # noqa: S311
    for index in range(strokes):
        if index % 50 == 0:
            bench.size(chance.choice(RADII))
        x, y = chance.uniform(320, 560), chance.uniform(150, 420)
        bench.stroke([(x + 4 * i, y + 3 * math.sin(i)) for i in range(6)])
    page.wait_for_timeout(3000)
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    heap = page.evaluate("() => performance.memory.usedJSHeapSize")
    bench.row(f"after {strokes} strokes: JavaScript heap", f"{heap / 2**20:.0f} MB |")
    kinds: dict[str, float] = {}
    for process in browser.send("SystemInfo.getProcessInfo")["processInfo"]:
        with open(f"/proc/{process['id']}/smaps_rollup") as lines:
            pss = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        kinds[process["type"]] = kinds.get(process["type"], 0) + pss / 1024
    bench.row(f"after {strokes} strokes: tab (renderer process)", f"{kinds['renderer']:.0f} MB |")
    bench.row(f"after {strokes} strokes: graphics process", f"{kinds.get('GPU', 0):.0f} MB |")
    bench.row(
        f"after {strokes} strokes: state", page.locator(".save-state").inner_text().strip() + " |"
    )


def empty_page(bench: Bench) -> None:
    bench.page.set_content(EMPTY)
    bench.page.wait_for_timeout(500)
    with bench.traced() as traces:
        bench.stroke(wave(450))
    bench.row("empty WebGL page, pointer move: listeners", str(traces[0].handlers("pointermove")))
    bench.row("empty WebGL page, pointer move: whole task", str(traces[0].pointer_tasks()))
    with bench.traced() as traces:
        for step in range(40):
            bench.page.mouse.wheel(0, -100 if step % 40 < 20 else 100)
            bench.page.wait_for_timeout(16)
    bench.row("empty WebGL page, wheel: frame", str(traces[0].frames()))


def machine(browser: Browser) -> str:
    model = subprocess.run(
        ["sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2; nproc"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return f"{model[0].strip()}, {model[1]} cores, {platform.system()}, Chromium {browser.version}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--strokes", type=int, default=500, help="before memory is read")
    options = parser.parse_args()
    app = LiveApp()
    try:
        app.prepare()
        app.start_web()
        image = fill(app.api())
        with sync_playwright() as playwright:
            flags = [*FLAGS, "--enable-precise-memory-info", "--disable-renderer-backgrounding"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            print(machine(browser))
            print(
                "\n| milliseconds: p50 / p95 / most | main thread's CPU time | time that passed |"
            )
            print("|---|---|---|")
            size: Any = SCREEN
            context = browser.new_context(base_url=app.url, viewport=size)
            session = app.people["owner"].session
            context.add_cookies([{"name": "sessionid", "value": session, "url": app.url}])
            blank = Bench(browser, context.new_page())
            empty_page(blank)
            blank.page.close()
            page = context.new_page()
            page.add_init_script(MARKS)
            bench = Bench(browser, page)
            opening(bench, f"/images/{image}/edit", "first visit")
            opening(bench, f"/images/{image}/edit", "again")
            moving(bench)
            drawing(bench)
            undoing(bench)
            memory(bench, browser.new_browser_cdp_session(), options.strokes)
            browser.close()
    finally:
        app.stop()


if __name__ == "__main__":
    main()
