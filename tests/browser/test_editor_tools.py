"""Attributes, keys of one's own, fingers, a lost picture, operations and copies."""

from collections.abc import Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.drawing import Picture, polygon_mask, wait_until_saved
from tests.browser.editor import Work, open_editor
from tests.live import LiveApp

WIDTH, HEIGHT = 320, 240
DOORS = {"name": "doors", "type": "number", "required": True}
COLOR = {"name": "colour", "type": "choice", "choices": ["red", "blue"], "default": "red"}
SQUARE = [(60, 40), (160, 40), (160, 140), (60, 140)]


@pytest.fixture
def work(live_app: LiveApp) -> Work:
    categories = [{"name": "car", "color": "#ff0000", "attributes": [DOORS, COLOR]}]
    return Work.make(live_app, "instance", images=2, categories=categories)


def draw(page: Page, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A polygon by clicks; its vertices as the pixels of the screen allow them."""
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    page.keyboard.press("p")
    placed = [sheet.click(point) for point in points]
    page.keyboard.press("Enter")
    return placed


def test_attributes_are_typed_undone_and_asked_for(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    draw(page, SQUARE)
    wait_until_saved(page)
    assert work.regions()[0]["attributes"] == {"colour": "red"}
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("a region lacks a required attribute")).to_be_visible()
    doors = page.get_by_role("spinbutton", name="doors")
    expect(doors).to_be_focused()
    page.keyboard.type("7")
    page.keyboard.press("Escape")
    expect(doors).to_have_value("")
    page.keyboard.press("Shift+A")
    expect(doors).to_be_focused()
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.locator(".stage")).to_be_focused()
    page.get_by_role("combobox", name="colour").select_option("blue")
    wait_until_saved(page)
    assert work.regions()[0]["attributes"] == {"colour": "blue", "doors": 4}
    page.locator(".stage").focus()
    page.keyboard.press("Control+z")
    wait_until_saved(page)
    assert work.regions()[0]["attributes"] == {"colour": "red", "doors": 4}
    doors.fill("5")
    page.keyboard.press("Control+s")
    wait_until_saved(page)
    assert work.regions()[0]["attributes"]["doors"] == 5
    page.locator(".stage").focus()
    page.keyboard.press("v")
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    doors.fill("6")
    sheet.click((300, 220))  # nothing is selected any more
    expect(doors).to_have_count(0)
    wait_until_saved(page)
    assert work.regions()[0]["attributes"]["doors"] == 6


NAMELESS = """() => [...document.querySelectorAll("button, input, select, textarea, a[href]")]
    .filter((one) => !(one.ariaLabel || one.textContent || one.title).trim()
        && ![...(one.labels ?? [])].some((label) => label.textContent.trim()))
    .map((one) => one.outerHTML)"""


def test_keys_of_ones_own_follow_the_person(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    draw(page, SQUARE)
    assert page.evaluate(NAMELESS) == []  # every control says its name to screen readers
    page.keyboard.press("?")
    page.get_by_role("button", name="Change keys").click()
    page.get_by_role("button", name="Key of Brush:").click()
    page.keyboard.press("e")
    expect(page.get_by_text("E is “Eraser”.")).to_be_visible()
    page.get_by_role("button", name="Take it").click()
    page.get_by_role("button", name="Done").click()
    brush = page.locator(".keys dl > div", has_text="Brush").first
    expect(brush.locator("kbd")).to_have_text("E")
    page.evaluate("localStorage.clear()")
    page.keyboard.press("Escape")
    open_editor(page, work.image)
    page.keyboard.press("v")
    page.keyboard.press("e")
    expect(page.locator(".option-title")).to_have_text("Brush")
    work.api.ask("put", "me/preferences", json={})


def test_two_fingers_zoom_and_one_paints(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    page.keyboard.press("b")
    touch = page.context.new_cdp_session(page)
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    (x, y), zoom = sheet.on_screen(160, 120), page.locator(".zoom")
    before = zoom.inner_text()

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": px, "y": py, "id": n} for n, (px, py) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (x - 40, y))
    fingers("touchStart", (x - 40, y), (x + 40, y))
    for reach in range(50, 120, 30):
        fingers("touchMove", (x - reach, y), (x + reach, y))
    fingers("touchEnd", (x - 110, y))
    fingers("touchMove", (x - 20, y + 60))
    fingers("touchEnd")
    expect(zoom).not_to_have_text(before)
    expect(page.locator(".steps")).to_have_count(0)
    fingers("touchStart", (x, y))
    for step in range(0, 60, 20):
        fingers("touchMove", (x + step, y))
    fingers("touchEnd")
    expect(page.locator(".steps")).to_contain_text("1 step")


def test_a_lost_picture_comes_back_with_all_that_was_drawn(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    drawn = draw(page, SQUARE)
    wait_until_saved(page)
    page.keyboard.press("v")
    page.keyboard.press("Escape")
    page.mouse.move(1, 1)
    page.wait_for_timeout(300)
    stage = page.locator(".stage")
    before = stage.screenshot()
    page.evaluate(
        """() => document.querySelector(".stage canvas").getContext("webgl2")
             .getExtension("WEBGL_lose_context").loseContext()"""
    )
    page.wait_for_timeout(500)
    assert stage.screenshot() == before
    work.check([polygon_mask(drawn, WIDTH, HEIGHT)])
    page.keyboard.press("Control+z")
    wait_until_saved(page)
    assert work.regions() == []


def test_operations_change_the_selected_regions(work: Work, page: Page) -> None:
    open_editor(page, work.image)
    draw(page, SQUARE)
    operations = page.locator(".operations")
    operations.get_by_role("button", name="Convert to a mask").click()
    operations.get_by_role("slider", name="Polygon tolerance").fill("2")
    expect(operations.get_by_text("4 vertices, IoU 1.000")).to_be_visible()
    operations.get_by_role("slider", name="Grow, shrink, smooth").fill("5")
    operations.get_by_role("button", name="Grow").click()
    wait_until_saved(page)
    (grown,) = work.regions()
    assert grown["mask"] is not None
    assert grown["bbox"][2] == pytest.approx(110, abs=1)
    operations.get_by_role("button", name="Duplicate").click()
    expect(page.locator(".regions .item")).to_have_count(2)
    for _ in range(3):
        page.keyboard.press("Control+z")
    wait_until_saved(page)
    (drawn,) = work.regions()
    assert drawn["polygons"] is not None


def test_the_regions_of_the_previous_image_are_copied(work: Work, page: Page) -> None:
    region: dict[str, Any] = {"category": work.api.categories(work.project)[0]["id"]}
    region |= {"polygons": [[[10, 10, 60, 10, 60, 50]]], "attributes": {"doors": 2}}
    annotation = work.api.annotation(work.images[0])["id"]
    path = f"annotations/{annotation}/regions/00000000-0000-4000-8000-000000000001"
    work.api.ask("put", path, json=region, headers={"If-None-Match": "*"})
    second = Work(work.api, work.project, work.images[1:], work.size)
    open_editor(page, second.image)
    page.keyboard.press("Control+Shift+V")
    expect(page.get_by_text("Copied from 0.png: 1 region.")).to_be_visible()
    wait_until_saved(page)
    (copy,) = second.regions()
    assert copy["polygons"] == region["polygons"]
    assert copy["attributes"] == {"doors": 2}
    assert copy["uuid"] != path[-36:]
    page.keyboard.press("Control+z")
    wait_until_saved(page)
    assert second.regions() == []
