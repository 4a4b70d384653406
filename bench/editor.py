"""How fast the editor is: `script/bench editor [--strokes N] [--only large]`.

Opens a 24-megapixel JPEG with 1,000 regions (half masks, half polygons) in Chromium, draws with a
real mouse and reads the main thread's work from the browser's own trace; then does the same on an
image of 32,768 × 32,768 pixels. The same mouse moves over an empty WebGL page, on the same machine,
say how much of that is the browser's.
"""

import argparse
import io
import json
import math
import os
import platform
import random
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pycocotools import mask as coco_mask

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.live import Api, LiveApp

WIDTH, HEIGHT = 6000, 4000
COLUMNS, ROWS = 40, 25
LARGE = 32_768
RADII = (5, 50, 200)
SCREEN = {"width": 1440, "height": 900}

MARKS = """
(() => {
  const seen = (window.seen = { image: 0, sharp: 0, regions: 0, long: [] });
  const { prototype: gl } = WebGL2RenderingContext;
  const painted = (name) => requestAnimationFrame(() =>
    requestAnimationFrame(() => { seen[name] = performance.now(); }));
  const { texSubImage2D } = gl;
  let begun = false;
  gl.texSubImage2D = function (...given) {
    const source = given.at(-1);
    if (source instanceof ImageBitmap) {
      painted(begun ? "sharp" : "image");
      begun = true;
    }
    if (source instanceof Uint16Array) painted("regions");
    return texSubImage2D.apply(this, given);
  };
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) seen.long.push([startTime, duration]);
  }).observe({ type: "longtask", buffered: true });
})();
"""
"""When the image's first and last pixels and the last regions came to the screen; long tasks."""

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


def percentiles(times: Sequence[float]) -> tuple[float, ...]:
    """p50, p95 and the most."""
    ordered = sorted(times) or [0.0]
    return tuple(ordered[min(len(ordered) - 1, int(at * len(ordered)))] for at in (0.5, 0.95, 1))


def joined(times: Sequence[float]) -> str:
    return " / ".join(f"{one:.1f}" for one in times)


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
    empty: dict[str, float] = field(default_factory=dict)
    """What the empty page took for the same, p95 of CPU time, by "task" and "frame"."""

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

    def work(self, name: str, work: Work, limit: float | None = None, beside: str = "") -> None:
        """A row of milliseconds; `limit` is for p95 of CPU time, `beside` a key of `empty`."""
        cpu, wall = percentiles(work.cpu), percentiles(work.wall)
        empty = self.empty.get(beside)
        relative = f"{cpu[1] / empty:.1f} ×" if empty else ""
        print_row(name, joined(cpu), joined(wall), limit, cpu[1], relative)

    def passed(self, name: str, value: float, limit: float | None = None, unit: str = "") -> None:
        """A row of one figure: milliseconds that passed, or of another unit."""
        shown = f"{value:.0f} {unit}".strip()
        print_row(name, "", shown, limit, value)

    def long_tasks(self) -> list[float]:
        """Milliseconds of the tasks over 50 ms since this was asked last."""
        found = self.page.evaluate("() => window.seen.long.splice(0)")
        return [round(duration) for _, duration in found]

    def tab(self) -> tuple[float, float]:
        """MB of the largest renderer process, and of the graphics process (proportional set)."""
        kinds: dict[str, float] = {}
        session = self.browser.new_browser_cdp_session()
        for process in session.send("SystemInfo.getProcessInfo")["processInfo"]:
            with open(f"/proc/{process['id']}/smaps_rollup") as lines:
                pss = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
            kinds[process["type"]] = max(kinds.get(process["type"], 0), pss)
        return kinds["renderer"], kinds.get("GPU", 0)

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


def print_row(
    name: str, cpu: str, wall: str, limit: float | None, found: float, relative: str = ""
) -> None:
    aim = "" if limit is None else f"{limit:g}"
    met = "" if limit is None else "yes" if found <= limit else "NO"
    print(f"| {name} | {cpu} | {wall} | {relative} | {aim} | {met} |", flush=True)


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
    load = os.getloadavg()[0]
    with bench.traced() as traces:
        bench.page.goto(address)
        count = bench.page.locator(".regions .badge").first
        expect(count).to_have_text(f"{COLUMNS * ROWS}", timeout=60_000)
        bench.page.wait_for_function("() => window.seen.sharp && window.seen.regions")
        bench.page.wait_for_timeout(2500)
    expect(bench.page.locator(".picture-notice")).to_have_count(0)
    seen = bench.page.evaluate("() => window.seen")
    bench.passed(f"first image pixels, {visit} (load {load:.1f})", seen["image"], 1000)
    bench.passed(f"all of the image, {visit}", seen["sharp"])
    bench.passed(f"all 1,000 regions, {visit}", seen["regions"], 2000)
    tasks = Work.of(traces[0].tasks)
    bench.work(f"all tasks together, {visit}", Work([sum(tasks.cpu)], [sum(tasks.wall)]))
    bench.work(f"longest task, {visit}", Work([max(tasks.cpu)], [max(tasks.wall)]))
    bench.long_tasks()


def drawing(bench: Bench, radii: Sequence[int] = RADII) -> None:
    page = bench.page
    page.keyboard.press("Control+0")  # 100 %
    for tool, key in (("brush", "b"), ("eraser", "e")):
        page.keyboard.press(key)
        for radius in radii:
            bench.size(radius)
            bench.stroke(wave(300, 8))  # what is compiled on first use
            bench.long_tasks()
            with bench.traced() as traces:
                bench.stroke(wave(450))
            name = f"{tool}, radius {radius} px"
            bench.work(f"{name}: listeners", traces[0].handlers("pointermove"), 4)
            bench.work(f"{name}: whole task", traces[0].pointer_tasks(), 4, "task")
            long = [task for task in traces[0].tasks if task.get("tdur", 0) > 50_000]
            bench.passed(f"{name}: tasks that compute over 50 ms", len(long), 0, "tasks")


def moving(bench: Bench) -> None:
    page = bench.page
    page.keyboard.press("0")
    page.wait_for_timeout(300)
    with bench.traced() as traces:
        page.mouse.move(700, 450)
        for step in range(40):
            page.mouse.wheel(0, -100 if step % 40 < 20 else 100)
            page.wait_for_timeout(16)
    bench.work("zoom: frame", traces[0].frames(), 8, "frame")
    page.keyboard.down(" ")
    with bench.traced() as traces:
        bench.stroke(
            [(700 + 300 * math.sin(i / 15), 450 + 200 * math.cos(i / 10)) for i in range(60)]
        )
    page.keyboard.up(" ")
    bench.work("pan: frame", traces[0].frames(), 8, "frame")


def undoing(bench: Bench) -> None:
    page = bench.page
    page.keyboard.press("b")
    page.keyboard.press("Control+0")
    bench.size(50)
    for top in range(5):
        bench.stroke(wave(250 + 50 * top, 12))
    page.wait_for_timeout(1000)
    with bench.traced() as traces:
        for keys in ["Control+z"] * 5 + ["Control+Shift+z"] * 5:
            page.keyboard.press(keys)
            page.wait_for_timeout(50)
    bench.work("undo and redo of a stroke: key press", traces[0].handlers("keydown"), 16)
    bench.work("undo and redo of a stroke: whole task", traces[0].key_tasks(), 16)


def memory(bench: Bench, strokes: int) -> None:
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
        bench.stroke([(x + 8 * i, y + 6 * math.sin(2 * i)) for i in range(3)])
    expect(page.locator(".save-state")).to_contain_text("Saved", timeout=60_000)
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    heap = page.evaluate("() => performance.memory.usedJSHeapSize") / 2**20
    tab, graphics = bench.tab()
    bench.passed(f"after {strokes} strokes: JavaScript heap", heap, unit="MB")
    bench.passed(f"after {strokes} strokes: tab (renderer process)", tab, 1000, "MB")
    bench.passed(f"after {strokes} strokes: graphics process", graphics, unit="MB")


def large(bench: Bench, image: int) -> None:
    """The image of `upload_large`: opening, moving, drawing, undo, memory."""
    page = bench.page
    page.goto(f"/images/{image}/edit")
    expect(page.locator(".save-state")).to_contain_text("Saved", timeout=60_000)
    page.wait_for_function("() => window.seen.image")
    page.wait_for_timeout(3000)
    bench.passed("1 gigapixel: first image pixels", page.evaluate("() => window.seen.image"), 1000)
    moving(bench)
    drawing(bench, (5, 200))
    undoing(bench)
    page.keyboard.press("0")
    page.keyboard.press("b")
    page.wait_for_timeout(500)
    bench.size(200)
    for top in range(5):
        bench.stroke(wave(250 + 60 * top, 12))  # each across the image
    expect(page.locator(".save-state")).to_contain_text("Saved", timeout=120_000)
    tab, graphics = bench.tab()
    bench.passed("1 gigapixel: tab after strokes from side to side", tab, 1000, "MB")
    bench.passed("1 gigapixel: graphics process", graphics, unit="MB")


def upload_large(api: Api, folder: Path) -> int:
    """An image of LARGE × LARGE pixels, once its pyramid is made; returns its number."""
    tile = pyvips.Image.grey(512, 512, uchar=True)
    file = folder / "gigapixel.tif"
    whole = tile.replicate(LARGE // 512, LARGE // 512)
    whole.tiffsave(str(file), compression="deflate", tile=True, tile_width=512, tile_height=512)
    project = api.project("semantic", "Gigapixel")["id"]
    began = time.monotonic()
    with file.open("rb") as opened:
        api.post(f"projects/{project}/images", files=[("files", (file.name, opened))])
    while time.monotonic() - began < 900:
        if found := api.get(f"projects/{project}/images")["results"]:
            print_row("1 gigapixel: pyramid made", "", f"{time.monotonic() - began:.0f} s", None, 0)
            return int(found[0]["id"])
        if failed := api.get(f"projects/{project}/jobs", params={"state": "failed"})["results"]:
            raise SystemExit(f"the large image was refused: {failed}")
        time.sleep(1)
    raise SystemExit("the large image did not come")


def empty_page(bench: Bench) -> dict[str, float]:
    """Rows of the empty page, and what `Bench.empty` holds."""
    bench.page.set_content(EMPTY)
    bench.page.wait_for_timeout(500)
    with bench.traced() as traces:
        bench.stroke(wave(450))
    tasks = traces[0].pointer_tasks()
    bench.work("empty WebGL page, pointer move: whole task", tasks)
    with bench.traced() as traces:
        for step in range(40):
            bench.page.mouse.wheel(0, -100 if step % 40 < 20 else 100)
            bench.page.wait_for_timeout(16)
    frames = traces[0].frames()
    bench.work("empty WebGL page, wheel: frame", frames)
    return {"task": percentiles(tasks.cpu)[1], "frame": percentiles(frames.cpu)[1]}


def machine(browser: Browser) -> str:
    model = subprocess.run(
        ["sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2; nproc"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{model[0].strip()}, {model[1]} cores, load {load}, {platform.system()}, "
        f"Chromium {browser.version}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--strokes", type=int, default=500, help="before memory is read")
    parser.add_argument("--only", choices=("usual", "large"), help="one of the two images")
    options = parser.parse_args()
    app = LiveApp(MAX_IMAGE_PIXELS=str(LARGE * LARGE))
    try:
        app.prepare()
        app.start_web()
        api = app.api()
        usual = fill(api) if options.only != "large" else None
        big = None
        if options.only != "usual":
            app.start_worker("batch,io")
            big = upload_large(api, app.data)
        with sync_playwright() as playwright:
            flags = [*FLAGS, "--enable-precise-memory-info", "--disable-renderer-backgrounding"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            print(
                f"{machine(browser)}\n\nMilliseconds, p50 / p95 / most. The aim is for p95 of CPU"
            )
            print("time where there is one.\n")
            print(
                "| measure | main thread's CPU time | time that passed | empty page | aim | met |"
            )
            print("|---|---|---|---|---|---|")
            size: Any = SCREEN
            context = browser.new_context(base_url=app.url, viewport=size)
            session = app.people["owner"].session
            context.add_cookies([{"name": "sessionid", "value": session, "url": app.url}])
            blank = Bench(browser, context.new_page())
            empty = empty_page(blank)
            blank.page.close()
            if usual:
                bench = Bench(browser, new_page(context), empty)
                opening(bench, f"/images/{usual}/edit", "first visit")
                opening(bench, f"/images/{usual}/edit", "again")
                moving(bench)
                drawing(bench)
                undoing(bench)
                memory(bench, options.strokes)
                bench.page.close()
            if big:
                large(Bench(browser, new_page(context), empty), big)
            browser.close()
    finally:
        app.stop()


def new_page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.add_init_script(MARKS)
    return page


if __name__ == "__main__":
    main()
