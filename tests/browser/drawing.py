"""What a mouse draws in the editor, computed again here without the editor's code."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from pycocotools import mask as coco_mask

Mask = NDArray[np.bool_]
Points = Sequence[tuple[float, float]]
MARGIN = 32
"""The editor fits a picture with this many screen pixels to spare."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A fitted picture on the screen: screen = image × scale + (x, y), CSS pixels of the page."""

    page: Page
    width: int
    height: int
    scale: float
    x: float
    y: float

    @classmethod
    def fitted(cls, page: Page, width: int, height: int) -> "Picture":
        """Waits for the canvas, fits the picture and computes where it must be."""
        page.wait_for_selector(".picture canvas")
        expect(page.get_by_text("Opening the image…")).to_have_count(0)
        expect(page.locator(".topbar .save-state")).to_be_visible()
        page.keyboard.press("0")
        box = page.locator(".picture").bounding_box()
        assert box
        scale = min((box["width"] - MARGIN) / width, (box["height"] - MARGIN) / height)
        x = box["x"] + (box["width"] - width * scale) / 2
        y = box["y"] + (box["height"] - height * scale) / 2
        return cls(page, width, height, scale, x, y)

    def on_screen(self, x: float, y: float) -> tuple[int, int]:
        """The whole screen pixel nearest to an image point: mice know no others."""
        return round(x * self.scale + self.x), round(y * self.scale + self.y)

    def in_image(self, x: int, y: int) -> tuple[float, float]:
        return (x - self.x) / self.scale, (y - self.y) / self.scale

    def exact(self, points: Points) -> list[tuple[float, float]]:
        """The image points that the mouse really hits when it goes to these."""
        return [self.in_image(*self.on_screen(*point)) for point in points]

    def drag(self, points: Points) -> list[tuple[float, float]]:
        """Presses at the first point, moves along, releases at the last."""
        first, *rest = [self.on_screen(*point) for point in points]
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for point in rest:
            self.page.mouse.move(*point)
        self.page.mouse.up()
        return self.exact(points)

    def click(self, point: tuple[float, float]) -> tuple[float, float]:
        self.page.mouse.click(*self.on_screen(*point))
        return self.exact([point])[0]

    def outline(self, points: Points, alt: bool = False) -> list[tuple[float, float]]:
        """Clicks a polygon and closes it with Enter; with `alt` it cuts a hole."""
        if alt:
            self.page.keyboard.down("Alt")
        for point in points:
            self.click(point)
            time.sleep(0.02)
        if alt:
            self.page.keyboard.up("Alt")
        self.page.keyboard.press("Enter")
        return self.exact(points)


def polygon_mask(points: Points, width: int, height: int) -> Mask:
    flat = [float(value) for point in points for value in point]
    return coco_mask.decode(coco_mask.frPyObjects([flat], height, width)[0]).astype(bool)


def rectangle_mask(points: Points, width: int, height: int) -> Mask:
    (x0, y0), *_, (x1, y1) = points
    return polygon_mask([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], width, height)


def stroke_mask(points: Points, radius: float, width: int, height: int) -> Mask:
    """Pixels whose centre is within `radius` of the line through `points`."""
    ys, xs = np.mgrid[:height, :width] + 0.5
    covered = np.zeros((height, width), bool)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[-1]], strict=True):
        dx, dy = bx - ax, by - ay
        along = ((xs - ax) * dx + (ys - ay) * dy) / ((dx * dx + dy * dy) or 1)
        along = np.clip(along, 0, 1)
        covered |= (xs - ax - along * dx) ** 2 + (ys - ay - along * dy) ** 2 <= radius**2
    return covered


def wait_until_saved(page: Page) -> None:
    expect(page.locator(".save-state.saved")).to_contain_text("Saved", timeout=15_000)
