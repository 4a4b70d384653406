"""Pictures of every tool in use, for docs/editor.md: `python -m tests.browser.tour FOLDER`."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from skimage import data

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.drawing import Picture
from tests.live import LiveApp

MAX_BYTES = 300_000
SIZE = {"width": 1280, "height": 800}
Points = list[tuple[float, float]]


def encoded(pixels: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "PNG")  # type: ignore[arg-type]
    return buffer.getvalue()


@dataclass
class Tour:
    page: Page
    folder: Path
    sheet: Picture

    @classmethod
    def start(cls, page: Page, folder: Path, image: int, width: int, height: int) -> "Tour":
        page.goto(f"/images/{image}/edit")
        expect(page.locator(".save-state")).to_contain_text("Saved", timeout=60_000)
        expect(page.get_by_text("Opening the image…")).to_have_count(0, timeout=60_000)
        page.wait_for_timeout(1500)  # textures are uploaded and drawn
        return cls(page, folder, Picture.fitted(page, width, height))

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def shot(self, name: str) -> None:
        """The page as it is, with the button held, as a PNG of at most MAX_BYTES."""
        self.page.wait_for_timeout(700)
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        for colors in (256, 192, 128, 96, 64):
            buffer = io.BytesIO()
            # Maximum coverage keeps the few pixels of a category in their own colour.
            small = picture.quantize(colors, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            small.save(buffer, "PNG", optimize=True)
            if buffer.tell() <= MAX_BYTES:
                break
        (self.folder / f"{name}.png").write_bytes(buffer.getvalue())
        print(f"{name}: {buffer.tell() // 1000} kB, {colors} colours", flush=True)

    def hover(self, x: float, y: float) -> None:
        self.page.mouse.move(*self.sheet.on_screen(x, y), steps=3)

    @contextmanager
    def dragging(self, points: Points) -> Iterator[None]:
        """The button is held until the block ends."""
        self.hover(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.hover(*point)
        yield
        self.page.mouse.up()


def semantic(tour: Tour) -> None:
    """A cup of coffee on a wooden table."""
    tour.keys("2", "q")  # live wire around the saucer
    outline: Points = [(59, 243), (85, 150), (172, 88), (176, 50), (287, 16), (398, 48), (420, 80)]
    outline += [(476, 178), (472, 250), (417, 320), (265, 367), (124, 320)]
    for number, point in enumerate(outline):
        tour.sheet.click(point)
        tour.page.wait_for_timeout(250)
        if number == 7:
            tour.hover(474, 230)
            tour.shot("live-wire")
    tour.keys("Enter", "1", "s")
    tour.hover(60, 350)
    tour.page.wait_for_timeout(2500)
    with tour.dragging([(60, 350), (40, 320), (30, 290)]):
        tour.shot("superpixels")
    tour.keys("3", "w")
    tour.sheet.click((300, 180))
    tour.shot("wand")
    tour.keys("1", "b")
    with tour.dragging([(30, 30), (80, 60), (60, 20), (30, 50)]):
        tour.shot("brush")
    tour.keys("e")
    with tour.dragging([(300, 330), (380, 350), (440, 320)]):
        tour.shot("eraser")
    tour.keys("2", "l")
    with tour.dragging([(300, 330), (380, 300), (460, 300), (450, 340), (380, 370), (300, 345)]):
        tour.shot("lasso")
    tour.keys("1", "g")
    tour.sheet.click((585, 385))
    tour.hover(560, 30)
    tour.shot("bucket")


def instance(tour: Tour) -> None:
    """Coins on a dark ground."""
    tour.keys("1", "p")
    ring: Points = [(22, 54), (27, 40), (43, 32), (59, 39), (66, 54)]
    for point in ring:
        tour.sheet.click(point)
        tour.page.wait_for_timeout(150)
    tour.hover(59, 69)
    tour.shot("polygon")
    for point in [(59, 69), (43, 76), (28, 69)]:
        tour.sheet.click(point)
        tour.page.wait_for_timeout(150)
    tour.keys("Enter", "r")
    with tour.dragging([(80, 36), (118, 76)]):
        tour.shot("rectangle")
    tour.keys("v")
    tour.sheet.click((100, 60))
    with tour.dragging([(118, 36), (128, 30)]):
        tour.shot("select")
    tour.keys("k")
    with tour.dragging([(99, 24), (99, 88)]):
        tour.shot("cut")
    tour.keys("Escape", "a")
    for x in (160, 214):  # the first question also starts the engine
        tour.hover(x, 50)
        tour.page.wait_for_timeout(4000)
    tour.shot("assist-preview")
    tour.sheet.click((214, 50))
    tour.page.wait_for_timeout(4000)
    tour.shot("assist")
    tour.keys("Enter", "Escape", "v")
    tour.sheet.click((44, 54))
    tour.keys("Shift+A")
    tour.page.wait_for_timeout(300)
    tour.page.keyboard.type("1")
    tour.shot("attributes")
    tour.keys("Enter", "Escape", "Control+a")
    tour.shot("operations")
    tour.keys("Escape", "Escape", "?")
    tour.shot("keys")
    tour.page.get_by_role("button", name="Change keys").click()
    tour.page.get_by_role("button", name="Key of Brush:").click()
    tour.keys("e")
    tour.shot("change-keys")
    tour.keys("Escape", "Escape", "Control+k")
    tour.page.keyboard.type("zoom")
    tour.shot("palette")
    tour.keys("Escape", "Control+k")
    tour.page.keyboard.type("left-handed")
    tour.keys("Enter", "Shift+L", "b")
    tour.hover(150, 120)
    tour.shot("left-handed")


TOURS: dict[str, tuple[Callable[[], object], Callable[[Tour], None], list[str]]] = {
    "semantic": (data.coffee, semantic, ["table", "saucer", "coffee"]),
    "instance": (data.coins, instance, ["coin", "scratch"]),
}
ATTRIBUTES = [
    {"name": "worn", "type": "number", "required": True},
    {"name": "side", "type": "choice", "choices": ["heads", "tails"], "default": "heads"},
    {"name": "broken", "type": "checkbox"},
]
COLORS = ("#e69f00", "#56b4e9", "#009e73")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    app = LiveApp()
    try:
        app.prepare()
        app.start_web()
        app.start_worker("interactive")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for kind, (picture, walk, names) in TOURS.items():
                api = app.api()
                categories = [
                    {"name": name, "color": color, "hotkey": str(number)}
                    | ({"attributes": ATTRIBUTES} if name == "coin" else {})
                    for number, (name, color) in enumerate(zip(names, COLORS, strict=False), 1)
                ]
                project = api.project(kind, f"Tour: {kind}", categories)["id"]
                (image,) = api.upload(project, {f"{picture.__name__}.png": encoded(picture())})
                context = browser.new_context(
                    base_url=app.url,
                    viewport=SIZE,  # type: ignore[arg-type]
                )
                session = app.people["owner"].session
                context.add_cookies([{"name": "sessionid", "value": session, "url": app.url}])
                page = context.new_page()
                tour = Tour.start(page, folder, image["id"], image["width"], image["height"])
                walk(tour)
                expect(page.locator(".save-state")).to_contain_text("Saved", timeout=15_000)
                context.close()
            browser.close()
    finally:
        app.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
