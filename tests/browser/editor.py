"""The editor in tests: a project with one image, the open page, and what the server has of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from playwright.sync_api import Page, expect
from pycocotools import mask as coco_mask

from tests.browser.drawing import Mask
from tests.live import Api, LiveApp, picture


@dataclass(frozen=True, slots=True)
class Work:
    """One's own annotation of the first image of a project."""

    api: Api
    project: int
    images: tuple[int, ...]
    size: tuple[int, int]
    """Width and height."""

    @classmethod
    def make(cls, app: LiveApp, kind: str, images: int = 1, **options: Any) -> "Work":
        """A new project of "owner"; `options` are those of Api.project."""
        api = app.api()
        project = api.project(kind, **options)["id"]
        files = {f"{index}.png": picture(seed=index) for index in range(images)}
        uploaded = api.upload(project, files)
        return cls(api, project, tuple(one["id"] for one in uploaded), (320, 240))

    @property
    def image(self) -> int:
        return self.images[0]

    def regions(self) -> list[dict[str, Any]]:
        """As the server has them, back to front."""
        found = self.api.get(f"images/{self.image}/workspace")["annotation"]
        return found["regions"] if found else []

    def masks(self) -> list[Mask]:
        return [region_mask(region, self.size) for region in self.regions()]

    def check(self, drawn: list[Mask]) -> None:
        """The server has exactly these masks, in this order."""
        found = self.masks()
        assert len(found) == len(drawn)
        for index, (ours, theirs) in enumerate(zip(drawn, found, strict=True)):
            assert (ours != theirs).sum() == 0, f"region {index} differs"


def region_mask(region: dict[str, Any], size: tuple[int, int]) -> Mask:
    width, height = size
    if region["mask"]:
        return coco_mask.decode(region["mask"]).astype(bool)
    whole = np.zeros((height, width), bool)
    for outside, *holes in region["polygons"]:
        part = coco_mask.decode(coco_mask.frPyObjects([outside], height, width)[0]).astype(bool)
        for hole in holes:
            part &= ~coco_mask.decode(coco_mask.frPyObjects([hole], height, width)[0]).astype(bool)
        whole |= part
    return whole


def open_editor(page: Page, image: int, query: str = "") -> None:
    """Opens the image and waits until it can be drawn on."""
    page.goto(f"/images/{image}/edit{query}")
    expect(page.locator(".save-state")).to_contain_text("Saved")
    expect(page.get_by_text("Opening the image…")).to_have_count(0)
