"""A learned model answers clicks in the browser: encoded by a worker, decoded in Chromium."""

import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow
from playwright.sync_api import Browser, Page, Request, expect
from pycocotools import mask as coco_mask

from tests.browser.conftest import Console
from tests.browser.drawing import Mask, Picture, wait_until_saved
from tests.inference import tiny
from tests.inference.conftest import disc
from tests.live import LiveApp, picture
from tests.servers import wait_until

pytest.importorskip("torch")
WIDTH, HEIGHT = 320, 240
PIXELS, TRUTH = disc(HEIGHT, WIDTH, 150, 110, 50)
CENTRE, INSIDE, OUTSIDE = (150, 110), (165, 95), (40, 200)
LISTEN = """
window.asked = [];
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  if (message && message.do === "segment") {
    const one = { prompts: message.prompts };
    window.asked.push(one);
    const heard = ({ data }) => {
      if (data.id !== message.id) return;
      one.reply = data;
      this.removeEventListener("message", heard);
    };
    this.addEventListener("message", heard);
  }
  return post.call(this, message, ...rest);
};
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.trained_sam(tmp_path_factory.mktemp("sam") / "tiny.pth")


@pytest.fixture(scope="module")
def app(live_app: LiveApp, weights: Path) -> Iterator[LiveApp]:
    """Servers of its own, that know the tiny model; `live_app` has built the pages."""
    app = LiveApp()
    try:
        (app.data / "models").mkdir()
        (app.data / "models" / weights.name).write_bytes(weights.read_bytes())
        app.prepare()
        app.manage("list_models")
        app.start_web()
        yield app
    finally:
        app.stop()


@pytest.fixture
def page(app: LiveApp, browser: Browser, console: Console) -> Iterator[Page]:
    context = browser.new_context(base_url=app.url, viewport={"width": 1440, "height": 900})
    session = app.people["owner"].session
    context.add_cookies([{"name": "sessionid", "value": session, "url": app.url}])
    context.add_init_script(LISTEN)
    page = context.new_page()
    console.watch(page)
    yield page
    context.close()


def png(pixels: Any) -> bytes:
    buffer = BytesIO()
    Pillow.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def decoded(candidate: dict[str, Any]) -> Mask:
    return coco_mask.decode(candidate["mask"]).astype(bool)


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def by_torch(weights: Path, prompts: dict[str, Any]) -> list[Mask]:
    """What the engine itself answers, in this process, from an embedding of its own."""
    from inference.engines.base import Point, Prompts
    from inference.engines.sam import Sam

    engine = Sam.load(weights, {})
    box, mask = prompts["box"], prompts["mask"]
    asked = Prompts(
        tuple(Point(**point) for point in prompts["points"]),
        (box["x"], box["y"], box["width"], box["height"]) if box else None,
        coco_mask.decode(mask).astype(bool) if mask else None,
    )
    found = engine.segment(engine.embed(PIXELS), asked)
    return [one.mask.full(HEIGHT, WIDTH) for one in found]


def test_clicks_are_answered_in_the_browser_as_by_torch(
    app: LiveApp, page: Page, weights: Path
) -> None:
    api = app.api()
    project = api.project("instance")["id"]
    image, following = (
        one["id"] for one in api.upload(project, {"a.png": png(PIXELS), "b.png": picture()})
    )
    model = next(one["id"] for one in api.get("models")["results"] if one["name"] == "tiny")
    to_server: list[str] = []

    def note(request: Request) -> None:
        if "/segment" in request.url:
            to_server.append(request.url)

    page.on("request", note)

    # No worker has encoded anything yet: the tool says so, and Classic answers meanwhile.
    page.goto(f"/images/{image}/edit")
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    state = page.locator("[data-decoder]")
    expect(state).to_have_attribute("data-decoder", "preparing")
    expect(state).to_contain_text("Preparing")
    page.keyboard.press("a")
    page.get_by_role("checkbox", name="Preview under the pointer").uncheck()
    with page.expect_response("**/segment") as answer:
        sheet.click(CENTRE)
        expect(page.get_by_text("Classic answers")).to_be_visible(timeout=30_000)
    assert answer.value.json()["model"] == "classic"
    page.keyboard.press("Escape")

    app.start_worker("interactive,batch,io")
    expect(state).to_have_attribute("data-decoder", "here", timeout=120_000)
    assert len(to_server) == 1

    def answered(count: int) -> None:
        wait_until(
            lambda: page.evaluate("window.asked.filter(one => one.reply).length") == count,
            f"answer {count}",
            seconds=30,
        )

    sheet.click(CENTRE)
    answered(1)
    page.keyboard.down("Alt")
    sheet.click(OUTSIDE)
    page.keyboard.up("Alt")
    answered(2)
    page.keyboard.press("Escape")
    sheet.drag([(95, 55), (205, 165)])
    answered(3)
    page.keyboard.press("Escape")
    sheet.click(INSIDE)
    answered(4)
    page.wait_for_timeout(100)
    page.keyboard.press("Enter")
    wait_until_saved(page)
    assert len(to_server) == 1, "a click went to the server"

    asked = page.evaluate("window.asked")
    assert [len(one["prompts"]["points"]) for one in asked] == [1, 2, 0, 1]
    assert asked[1]["prompts"]["mask"]
    assert asked[2]["prompts"]["box"]
    for one in asked:
        prompts, here = one["prompts"], one["reply"]["candidates"]
        box = prompts["box"]
        body = prompts | {
            "model": model,
            "box": [box[key] for key in ("x", "y", "width", "height")] if box else None,
        }
        there = api.post(f"images/{image}/segment", body)["candidates"]
        torch = by_torch(weights, prompts)
        assert len(here) == len(there) == len(torch) > 0
        for mine, servers, own in zip(here, there, torch, strict=True):
            assert iou(decoded(mine), own) >= 0.99
            assert iou(decoded(servers), own) >= 0.99
            assert mine["score"] == pytest.approx(servers["score"], abs=0.01)

    [region] = api.get(f"images/{image}/workspace")["annotation"]["regions"]
    own = by_torch(weights, asked[3]["prompts"])[0]
    assert iou(decoded(region), own) >= 0.99
    assert iou(own, TRUTH) > 0.6, "the tiny model has not learned discs"

    # The next image was encoded before anybody opened it.
    deadline = time.monotonic() + 60
    where = f"images/{following}/embedding?model={model}"
    while api.call("GET", where).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert api.call("GET", where).status_code == 200
