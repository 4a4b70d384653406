"""Images of more than 8 bits through a window, and large ones from their tiles."""

import io
import time

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.drawing import Picture
from tests.browser.editor import open_editor
from tests.browser.test_editor_view import expect_pixel, pixel
from tests.live import LiveApp

LARGE = (8000, 5200)


def encoded(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "TIFF", compression="tiff_deflate")
    return out.getvalue()


def test_the_window_decides_which_values_are_black_and_white(live_app: LiveApp, page: Page) -> None:
    api = live_app.api()
    values = np.full((240, 320), 1000, np.uint16)
    values[:, 160:] = 3000
    values[0, 0], values[0, 1] = 0, 4000
    project = api.project("instance")["id"]
    [image] = api.upload(project, {"scan.tif": encoded(values)})
    open_editor(page, image["id"])
    sheet = Picture.fitted(page, 320, 240)
    expect_pixel(page, sheet, 80, 120, (64, 64, 64))
    page.get_by_role("button", name="Display").click()
    page.locator(".slider", has_text="Window").locator("input").fill("1000")
    page.locator(".slider", has_text="Level").locator("input").fill("1250")
    expect_pixel(page, sheet, 240, 120, (255, 255, 255), 0)
    assert pixel(page, sheet, 80, 120) == pytest.approx((64, 64, 64), abs=2)
    page.get_by_role("button", name="Reset window").click()
    expect_pixel(page, sheet, 240, 120, (191, 191, 191))


@pytest.fixture(scope="module")
def large(live_app: LiveApp) -> int:
    """An image of 8000 × 5200 pixels: red grows to the right, one pixel at (6000, 4000) is blue."""
    api = live_app.api()
    width, height = LARGE
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width) * 255 // width
    pixels[4000, 6000] = (0, 0, 255)
    project = api.project("instance")["id"]
    api.upload(project, {"map.tif": encoded(pixels)})
    for _ in range(240):
        found = api.get(f"projects/{project}/images")["results"]
        if found:
            return int(found[0]["id"])
        time.sleep(0.5)
    raise AssertionError("the image did not come")


@pytest.mark.parametrize("renderer", ["webgl2", "2d"])
def test_a_large_image_is_drawn_from_its_tiles(large: int, page: Page, renderer: str) -> None:
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    open_editor(page, large, f"?renderer={renderer}")
    sheet = Picture.fitted(page, *LARGE)
    expect_pixel(page, sheet, 4000, 2600, (127, 0, 0), 4)
    x, y = sheet.on_screen(6000, 4000)
    page.mouse.move(x, y)
    for _ in range(40):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(30)
    page.wait_for_timeout(1500)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    around = [
        shot.getpixel((x + dx, y + dy)) for dx in range(-60, 61, 6) for dy in range(-60, 61, 6)
    ]
    assert any(blue > 150 for _, _, blue in around)  # type: ignore[misc]
    tiles = [url for url in asked if "/tiles/" in url]
    assert 0 < len(tiles) < 80
    expect(page.locator(".save-state")).to_contain_text("Saved")
