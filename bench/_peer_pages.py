"""The pages of `bench.peer`: a photograph of 12 megapixels in Chromium, on both sides in turns."""

import json
import math
import re
import statistics
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, Page, Playwright, expect, sync_playwright

from annotations.formats.label_studio import pack
from bench import _peer_content as content
from bench._peer_content import CATEGORIES, category_of
from bench._peer_label_studio import LabelStudio
from bench._peer_ours import Ours
from bench._peer_sides import multipart, number_of, picture_name
from bench.editor import MARKS
from tests.browser.conftest import CHROMIUM, FLAGS

WIDTH, HEIGHT = 4000, 3000
POLYGONS = 200
STROKES, MOVES, RADIUS = 4, 60, 20
TURNS = 3
SETTLE_MS = 1500
SCREEN: Any = {"width": 1600, "height": 1000}
KINDS = {"masks": len(CATEGORIES), "polygons": POLYGONS}

READY = """(count) => {
  const opened = window.Htx?.annotationStore?.selected;
  if (!opened || opened.regions.length < count) return 0;
  const shown = [...document.images].some(
    (one) => one.complete && one.naturalWidth > 1000 && one.clientWidth > 200);
  const painted = [...document.querySelectorAll(".konvajs-content canvas")].some((sheet) => {
    if (!sheet.width || !sheet.height) return false;
    const { data } = sheet.getContext("2d").getImageData(0, 0, sheet.width, sheet.height);
    for (let at = 3; at < data.length; at += 44) if (data[at] > 8) return true;
    return false;
  });
  return shown && painted ? performance.now() : 0;
}"""
"""Milliseconds since the page was asked for, once Label Studio shows picture and regions."""

BEAT = """() => {
  const beat = (window.beat = { worst: 0, last: performance.now() });
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    const now = performance.now();
    beat.worst = Math.max(beat.worst, now - beat.last);
    beat.last = now;
    setTimeout(() => port2.postMessage(0), 5);
  };
  port2.postMessage(0);
}"""
"""The longest time in which the page could do nothing else."""


def pages(table: Any) -> None:
    """Three rows of `peer.Table`: opening masks, opening polygons, the freeze on submit."""
    sides: list[Ours | LabelStudio] = table.sides
    with sync_playwright() as playwright:
        for kind, count in KINDS.items():
            addresses = [""] * len(sides)
            opened: list[list[float]] = [[] for _ in sides]
            for _ in range(TURNS):
                for which, side in enumerate(sides):
                    with _alone(playwright, side) as driver:
                        address = addresses[which] = addresses[which] or driver.large(kind)
                        driver.opened(address, count)  # caches are as on any later visit
                        opened[which].append(driver.opened(address, count))
            name = f"open {WIDTH} × {HEIGHT} with {count} {kind}, ms"
            table.values(name, [statistics.median(one) for one in opened], "{:.0f}")
        frozen: list[list[float]] = [[] for _ in sides]
        for _ in range(TURNS):
            for which, side in enumerate(sides):
                with _alone(playwright, side) as driver:
                    frozen[which].append(driver.frozen(driver.large("")))
        name = f"page frozen on submit of {STROKES} strokes, ms"
        table.values(name, [statistics.median(one) for one in frozen], "{:.0f}")


@contextmanager
def _alone(playwright: Playwright, side: Ours | LabelStudio) -> Iterator[Any]:
    """A side's pages in a browser of their own. Pages that were closed go on computing for seconds,
    in processes that all pages of a browser share: none may do so while the other side is measured.
    """
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    context = browser.new_context(viewport=SCREEN)
    try:
        yield _OurPages(side, context) if isinstance(side, Ours) else _TheirPages(side, context)
    finally:
        browser.close()


def _empty(context: BrowserContext) -> Page:
    """A page in which nothing is yet. The address bar of its window is a page of the browser's own
    (chrome://omnibox-popup), which computes for 0.7 s; it is not part of either side."""
    page = context.new_page()
    page.wait_for_timeout(SETTLE_MS)
    return page


class _OurPages:
    def __init__(self, side: Ours, context: BrowserContext) -> None:
        self.side, self.context = side, context
        context.add_cookies([{"name": "sessionid", "value": side.session, "url": side.url}])
        self.made = 0

    def large(self, kind: str) -> str:
        """Makes a large picture with three masks, many polygons or nothing; its page."""
        http = self.side.http()
        project = self.side.make_project(http, f"large {self.made} {kind}")
        self.made += 1
        body, mime = multipart([("files", picture_name(1), content.jpeg(1, WIDTH, HEIGHT))])
        reply = http.ask("POST", f"/api/projects/{project}/images", body, mime)
        image = json.loads(reply)["results"][0]["image"]["id"]
        if kind:
            made = json.loads(http.ask("POST", f"/api/images/{image}/annotations"))["id"]
            writes = [
                {
                    "op": "upsert", "region": str(uuid.uuid4()), "key": str(uuid.uuid4()),
                    "based_on": 0, "order": index,
                    "category": self.side.categories[project][category_of(index)], **shape,
                }
                for index, shape in enumerate(self._shapes(kind))
            ]  # fmt: skip
            http.ask(
                "POST", f"/api/annotations/{made}/patches", json.dumps({"writes": writes}).encode()
            )
        return f"{self.side.url}/images/{image}/edit"

    def _shapes(self, kind: str) -> Iterator[dict[str, Any]]:
        if kind == "masks":
            for which in range(len(CATEGORIES)):
                counts = content.counts(which, WIDTH, HEIGHT)
                yield {"mask": {"size": [HEIGHT, WIDTH], "counts": counts}}
        else:
            for ring in content.rings(1, POLYGONS, WIDTH, HEIGHT):
                yield {"polygons": [[ring.ravel().tolist()]]}

    def opened(self, address: str, count: int) -> float:
        with self._page(address) as page:
            expect(page.locator(".regions .badge").first).to_have_text(f"{count}", timeout=60_000)
            page.wait_for_function(
                "() => window.seen.image && window.seen.regions", timeout=60_000, polling=50
            )
            page.wait_for_timeout(2000)  # what comes later counts too
            seen = page.evaluate("() => window.seen")
            return float(max(seen["image"], seen["sharp"], seen["regions"]))

    def frozen(self, address: str) -> float:
        with self._page(address) as page:
            expect(page.locator(".topbar .save-state")).to_be_visible(timeout=60_000)
            page.wait_for_timeout(2000)
            page.keyboard.press("b")
            box = page.locator(".picture").bounding_box()
            assert box
            for number in range(STROKES):
                page.keyboard.press("Escape")
                _stroke(page, box["x"] + 150, box["y"] + 120 + 120 * number)
            expect(page.locator(".save-state.saved")).to_contain_text("Saved", timeout=60_000)
            return _worst(page, "button:has-text('Submit')", r"/images/\d+/patches")

    @contextmanager
    def _page(self, address: str) -> Iterator[Page]:
        page = _empty(self.context)
        page.add_init_script(MARKS)
        page.goto(address)
        try:
            yield page
        finally:
            page.close()


class _TheirPages:
    def __init__(self, side: LabelStudio, context: BrowserContext) -> None:
        self.side, self.context = side, context
        context.route(
            lambda url: not url.startswith((side.url, "data:", "blob:")),
            lambda route: route.abort(),
        )
        page = context.new_page()
        page.goto(f"{side.url}/user/login/")
        page.fill("input[name=email]", side.user)
        page.fill("input[name=password]", side.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url, timeout=60_000)
        page.close()

    def large(self, kind: str) -> str:
        http = self.side.http()
        project = self.side.make_project(http, "masks" if kind != "polygons" else kind)
        body, mime = multipart([("file", picture_name(1), content.jpeg(1, WIDTH, HEIGHT))])
        http.ask("POST", f"/api/projects/{project}/import", body, mime)
        tasks = json.loads(http.ask("GET", f"/api/tasks/?project={project}"))["tasks"]
        (task,) = [one["id"] for one in tasks if number_of(one["data"]["image"]) == 1]
        values = {"project": project, "data": {"title": "all", "type": "list"}}
        view = json.loads(http.ask("POST", "/api/dm/views/", json.dumps(values).encode()))["id"]
        if kind:
            results = [
                {
                    "id": f"r{index}", "from_name": "label", "to_name": "image",
                    "image_rotation": 0, "original_width": WIDTH, "original_height": HEIGHT, **one,
                }
                for index, one in enumerate(self._shapes(kind))
            ]  # fmt: skip
            answer = json.dumps({"result": results, "lead_time": 1}).encode()
            http.ask("POST", f"/api/tasks/{task}/annotations/", answer)
        return f"{self.side.url}/projects/{project}/data?tab={view}&task={task}"

    def _shapes(self, kind: str) -> Iterator[dict[str, Any]]:
        if kind == "masks":
            for which in range(len(CATEGORIES)):
                packed = pack(content.mask(which, WIDTH, HEIGHT))
                value = {"format": "rle", "rle": packed, "brushlabels": [category_of(which)]}
                yield {"type": "brushlabels", "value": value}
        else:
            for index, ring in enumerate(content.rings(1, POLYGONS, WIDTH, HEIGHT)):
                points = (ring / [WIDTH / 100, HEIGHT / 100]).tolist()
                labels = [category_of(index)]
                drawn = {"points": points, "closed": True, "polygonlabels": labels}
                yield {"type": "polygonlabels", "value": drawn}

    def opened(self, address: str, count: int) -> float:
        page = _empty(self.context)
        page.goto(address, wait_until="commit")
        handle = page.wait_for_function(READY, arg=count, timeout=120_000, polling=50)
        found = float(handle.json_value())
        page.close()
        return found

    def frozen(self, address: str) -> float:
        page = _empty(self.context)
        page.goto(address, wait_until="commit")
        page.wait_for_function(READY, arg=0, timeout=120_000, polling=200)
        page.wait_for_timeout(2000)
        box = page.locator(".konvajs-content").first.bounding_box()
        assert box
        for number in range(STROKES):
            page.keyboard.press(str(1 + number % len(CATEGORIES)))
            page.evaluate(
                "(size) => window.Htx.annotationStore.selected.names.get('image')"
                ".getToolsManager().findSelectedTool().setStroke?.(size)",
                2 * RADIUS,
            )
            _stroke(page, box["x"] + 100, box["y"] + 100 + 120 * number)
            page.wait_for_timeout(1500)
            page.keyboard.press("Escape")
            page.keyboard.press("u")
        found = _worst(page, "button:has-text('Submit')", "/annotations")
        page.close()
        return found


def _stroke(page: Page, x: float, y: float) -> None:
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(MOVES):
        page.mouse.move(x + 10 * step, y + 40 * math.sin(step / 6))
    page.mouse.up()


def _worst(page: Page, button: str, path: str) -> float:
    """Milliseconds of the longest freeze between the click and the answer to it."""
    wanted = re.compile(path + r"/?(\?|$)")
    page.evaluate(BEAT)
    with page.expect_response(
        lambda reply: reply.request.method != "GET" and bool(wanted.search(reply.url)),
        timeout=120_000,
    ) as reply:
        page.locator(button).last.click()
    if not reply.value.ok:
        raise AssertionError(f"submit answered {reply.value.status}")
    page.wait_for_timeout(200)
    return float(page.evaluate("() => window.beat.worst"))
