"""What the editor shows and how it is moved around in."""

import io
import re
import time
from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Console, OpenPage
from tests.browser.drawing import Picture, rectangle_mask, stroke_mask, wait_until_saved
from tests.browser.editor import Work, open_editor
from tests.live import LiveApp

WIDTH, HEIGHT = 320, 240


def pixel(page: Page, sheet: Picture, x: float, y: float) -> tuple[int, ...]:
    """The colour on the screen at an image point."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    color = shot.getpixel(sheet.on_screen(x, y))
    assert isinstance(color, tuple)
    return color


def expect_pixel(
    page: Page, sheet: Picture, x: float, y: float, color: Sequence[int], off: int = 2
) -> None:
    """Waits until an image point has that colour on the screen."""
    deadline = time.monotonic() + PATIENCE / 1000
    while (seen := pixel(page, sheet, x, y)) != pytest.approx(color, abs=off):
        assert time.monotonic() < deadline, f"{seen} at {x}, {y} instead of {color}"
        page.wait_for_timeout(50)


def drawn(page: Page, sheet: Picture) -> NDArray[np.int16]:
    """The picture but for its rim, once its regions are there and it changes no more."""
    (left, top), (right, bottom) = sheet.on_screen(0, 0), sheet.on_screen(sheet.width, sheet.height)
    before = np.zeros(0, np.int16)
    for _ in range(50):
        page.wait_for_timeout(200)
        whole = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        now = np.asarray(whole.crop((left + 2, top + 2, right - 2, bottom - 2)), np.int16)
        # The picture, fill and outline.
        if len(np.unique(now.reshape(-1, 3), axis=0)) >= 3 and np.array_equal(before, now):
            return now
        before = now
    raise AssertionError("the regions are not drawn")


@pytest.fixture
def work(live_app: LiveApp) -> Work:
    return Work.make(
        live_app,
        "semantic",
        images=3,
        categories=[
            {"name": "ground", "color": "#ff0000", "hotkey": "1", "is_thing": False},
            {"name": "sky", "color": "#0000ff", "hotkey": "2", "is_thing": False},
        ],
    )


@pytest.mark.parametrize("renderer", ["webgl2", "2d"])
def test_painted_pixels_have_the_colour_of_their_category(
    work: Work, page: Page, renderer: str
) -> None:
    open_editor(page, work.image, f"?renderer={renderer}")
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    before = pixel(page, sheet, 160, 30)
    page.keyboard.press("2")
    page.keyboard.press("r")
    sheet.drag([(120, 10), (200, 60)])
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.mouse.move(*sheet.on_screen(10, 230))
    expected = [
        round(0.6 * dark + 0.4 * blue) for dark, blue in zip(before, (0, 0, 255), strict=True)
    ]
    expect_pixel(page, sheet, 160, 30, expected, 3)
    assert pixel(page, sheet, 240, 30) == pytest.approx(before, abs=1)

    page.keyboard.press("t")
    expect_pixel(page, sheet, 160, 30, before, 1)


def test_both_renderers_draw_the_same_zoomed_out(live_app: LiveApp, page: Page) -> None:
    api = live_app.api()
    project = api.project("instance")["id"]
    buffer = io.BytesIO()
    Image.new("RGB", (2400, 1600), (90, 110, 70)).save(buffer, "PNG")
    (image,) = api.upload(project, {"flat.png": buffer.getvalue()})
    rings = [
        [200, 150, 1400, 90, 900, 1300],
        [1100, 700, 2300, 600, 2000, 1500],
        [5, 5, 9, 5, 5, 9],
    ]
    category = api.categories(project)[0]["id"]
    writes = [
        {"op": "upsert", "region": str(uuid4()), "key": str(uuid4()), "based_on": 0}
        | {"category": category, "order": order, "polygons": [[ring]]}
        for order, ring in enumerate(rings)
    ]
    api.post(f"annotations/{api.annotation(image['id'])['id']}/patches", {"writes": writes})
    shots = []
    for renderer in ("webgl2", "2d"):
        open_editor(page, image["id"], f"?renderer={renderer}")
        sheet = Picture.fitted(page, 2400, 1600)
        page.keyboard.press("v")
        shots.append(drawn(page, sheet))
    webgl, fallback = shots
    # Where two labels meet in the middle of a screen pixel it may fall to either.
    assert (np.abs(webgl - fallback).max(axis=2) > 2).sum() < 400


def test_zooming_at_the_pointer_and_panning_keep_strokes_where_they_are_drawn(
    work: Work, page: Page
) -> None:
    open_editor(page, work.image)
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    anchor = sheet.on_screen(100, 100)
    page.mouse.move(*anchor)
    for _ in range(6):
        page.mouse.wheel(0, -120)
    page.wait_for_timeout(300)
    zoom = float(page.locator(".zoom").inner_text().rstrip(" %")) / 100
    assert zoom > 2 * sheet.scale
    x, y = sheet.in_image(*anchor)
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(anchor[0] + 90, anchor[1] + 30, steps=4)
    page.mouse.up()
    page.keyboard.up("Space")
    page.keyboard.press("b")
    page.mouse.down()
    page.mouse.up()
    wait_until_saved(page)
    (mask,) = work.masks()
    assert (mask != stroke_mask([(x, y)], 12, WIDTH, HEIGHT)).sum() == 0


def test_images_are_changed_without_loading_a_page(work: Work, page: Page) -> None:
    open_editor(page, work.images[0])
    page.evaluate("window.sameDocument = true")
    expect(page.locator(".position")).to_have_text("1 / 3")
    page.keyboard.press("PageDown")
    expect(page.locator(".position")).to_have_text("2 / 3")
    expect(page).to_have_url(re.compile(rf"/images/{work.images[1]}/edit$"))
    page.keyboard.press("Control+ArrowRight")
    expect(page.locator(".position")).to_have_text("3 / 3")
    page.go_back()
    expect(page.locator(".position")).to_have_text("2 / 3")
    page.get_by_role("button", name="Previous image").click()
    expect(page.locator(".position")).to_have_text("1 / 3")
    assert page.evaluate("window.sameDocument")


def test_what_was_drawn_just_before_leaving_is_saved(work: Work, page: Page) -> None:
    open_editor(page, work.images[0])
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    page.keyboard.press("r")
    drawn = rectangle_mask(sheet.drag([(30, 30), (130, 90)]), WIDTH, HEIGHT)
    page.keyboard.press("PageDown")
    expect(page.locator(".position")).to_have_text("2 / 3")
    page.keyboard.press("PageUp")
    expect(page.locator(".position")).to_have_text("1 / 3")
    expect(page.locator(".regions .item")).to_have_count(1)
    wait_until_saved(page)
    work.check([drawn])


def test_undo_and_escape_take_strokes_back(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    page.keyboard.press("b")
    stroke = stroke_mask(sheet.drag([(40, 40), (120, 60)]), 12, WIDTH, HEIGHT)
    sheet.drag([(40, 150), (120, 160)])
    page.keyboard.press("Control+z")
    page.mouse.move(*sheet.on_screen(200, 200))
    page.mouse.down()
    page.mouse.move(*sheet.on_screen(260, 200))
    page.keyboard.press("Escape")
    page.mouse.up()
    wait_until_saved(page)
    work.check([stroke])
    page.keyboard.press("Control+z")
    expect(page.locator(".regions .item")).to_have_count(0)
    page.keyboard.press("Control+Shift+z")
    wait_until_saved(page)
    work.check([stroke])


def test_commands_are_found_by_name_and_listed_with_their_keys(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Submit and go to the next image")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(dialog.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("eraser")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Eraser")).to_have_attribute("aria-pressed", "true")


def test_every_control_has_a_name(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, select, a[href]")].filter((one) => {
          const text = one.getAttribute("aria-label") || one.textContent.trim()
            || one.labels?.[0]?.textContent.trim();
          return !text;
        }).map((one) => one.outerHTML)"""
    )
    assert nameless == []


def test_submitted_work_can_be_looked_at_and_says_why_no_more(
    work: Work, open_page: OpenPage, console: Console
) -> None:
    annotation = work.api.annotation(work.image)
    work.api.post(f"annotations/{annotation['id']}/submit", {"revision": annotation["revision"]})
    page = open_page()
    page.goto(f"/images/{work.image}/edit")
    expect(page.locator(".read-only")).to_contain_text("waiting for a verdict")
    sheet = Picture(page, WIDTH, HEIGHT, 1, 300, 300)
    page.keyboard.press("b")
    sheet.drag([(40, 40), (120, 60)])
    page.wait_for_timeout(500)
    expect(page.locator(".regions .item")).to_have_count(0)

    console.allow("404")
    stranger = open_page("stranger")
    reply = stranger.goto(f"/images/{work.image}/edit")
    assert reply
    assert reply.status == 404


def test_an_image_that_cannot_be_fetched_says_so_and_opens_on_another_try(
    work: Work, page: Page, console: Console
) -> None:
    console.allow("503")
    busy = {"code": "busy", "detail": "The database is busy.", "field": "", "hint": "Try again."}
    page.route("**/workspace", lambda route: route.fulfill(status=503, json=busy))
    page.goto(f"/images/{work.image}/edit")
    expect(page.get_by_role("alert")).to_contain_text("The database is busy.")
    page.unroute("**/workspace")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".save-state")).to_contain_text("Saved")
