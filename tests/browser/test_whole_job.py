"""The whole job with mouse and keyboard: from an empty list of projects to an exported data set."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.browser.conftest import OpenPage
from tests.browser.drawing import (
    Mask,
    Picture,
    polygon_mask,
    rectangle_mask,
    stroke_mask,
    wait_until_saved,
)
from tests.live import LiveApp, picture

WIDTH, HEIGHT = 320, 240
GROUND, WATER = 1, 2
"""Ids in exports: categories are counted from 1."""


def make_project(page: Page, kind: str, categories: str) -> int:
    """Through the pages: project, two pictures, an annotator and a reviewer."""
    page.goto("/")
    page.get_by_role("link", name="New project").first.click()
    page.get_by_label("Name", exact=True).fill(f"Job of {kind}")
    page.locator(f"input[name=kind][value={kind}]").check()
    page.locator("textarea[name=categories]").fill(categories)
    page.get_by_role("button", name="Create project").click()
    page.wait_for_url("**/projects/*/upload")
    project = int(page.url.split("/")[4])

    page.locator("input[name=files]").set_input_files(
        [
            FilePayload(name=f"{name}.png", mimeType="image/png", buffer=picture(seed=seed))
            for seed, name in enumerate(("first", "second"))
        ]
    )
    page.locator("[data-done]").click()
    expect(page.get_by_text("first.png")).to_be_visible()

    page.goto(f"/projects/{project}/members")
    for username, role in (("annotator", "annotator"), ("reviewer", "reviewer")):
        page.locator("form input[name=username]").fill(username)
        page.locator("form select[name=role]").first.select_option(role)
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#members")).to_contain_text(username)
    return project


def prelabel(page: Page, project: int) -> None:
    page.goto(f"/projects/{project}/prelabel")
    page.get_by_role("button", name="Start pre-labeling").click()
    page.wait_for_url("**/jobs/*")
    expect(page.locator(".badge", has_text="Done").first).to_be_visible(timeout=60_000)


def start_labeling(page: Page, project: int) -> int:
    page.goto(f"/projects/{project}")
    page.get_by_role("button", name="Start labeling").click()
    page.wait_for_url("**/images/*/edit*")
    return int(page.url.split("/images/")[1].split("/")[0])


def start_review(page: Page, project: int) -> None:
    page.goto(f"/projects/{project}/review")
    page.get_by_role("button", name="Start reviewing").click()
    page.wait_for_selector(".picture canvas")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()


def export(page: Page, project: int, name: str, folder: Path) -> Path:
    """Exports what is approved and returns the unpacked download."""
    page.goto(f"/projects/{project}/export")
    page.locator(f"input[name=format][value={name}]").check()
    page.locator("input[name=status][value=approved]").check(force=True)
    page.get_by_role("button", name="Start export").click()
    page.wait_for_url("**/jobs/*")
    link = page.get_by_role("link", name="Download").first
    expect(link).to_be_visible(timeout=60_000)
    with page.expect_download() as download:
        link.click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(folder)
    return folder


def proposals_of(live_app: LiveApp, image: int) -> list[dict[str, Any]]:
    return live_app.api("annotator").get(f"images/{image}/workspace")["proposals"]


def decoded(rle: dict[str, Any]) -> Mask:
    return coco_mask.decode(rle).astype(bool)


def geometry_mask(values: dict[str, Any]) -> Mask:
    """The mask of a proposal as the API gives it."""
    if values.get("mask"):
        return decoded(values["mask"])
    covered = np.zeros((HEIGHT, WIDTH), bool)
    for outside, *holes in values["polygons"]:
        whole = polygon_mask(list(zip(outside[::2], outside[1::2], strict=True)), WIDTH, HEIGHT)
        for hole in holes:
            whole &= ~polygon_mask(list(zip(hole[::2], hole[1::2], strict=True)), WIDTH, HEIGHT)
        covered |= whole
    return covered


def test_instances_from_upload_to_export(
    live_app: LiveApp, open_page: OpenPage, tmp_path: Path
) -> None:
    owner, annotator, reviewer = (open_page(name) for name in ("owner", "annotator", "reviewer"))
    project = make_project(owner, "instance", "disc\nplate")
    prelabel(owner, project)

    image = start_labeling(annotator, project)
    page = annotator
    drawn: list[Mask] = []
    sheet = Picture.fitted(page, WIDTH, HEIGHT)

    # One proposal is taken, the others are not wanted.
    proposals = proposals_of(live_app, image)
    assert proposals, "classic proposed nothing on bright discs"
    best = max(proposals, key=lambda one: one["score"])
    page.keyboard.press("1")
    page.get_by_role("button", name="Accept Object").or_(
        page.get_by_role("button", name="Accept disc")
    ).first.click()
    drawn.append(geometry_mask(best))
    if len(proposals) > 1:
        page.get_by_role("button", name="Dismiss all").click()

    page.keyboard.press("2")
    page.keyboard.press("r")
    drawn.append(rectangle_mask(sheet.drag([(10, 10), (40, 30)]), WIDTH, HEIGHT))

    page.keyboard.press("p")
    ring = sheet.outline([(250, 160), (310, 160), (310, 230), (250, 230)])
    hole = sheet.outline([(270, 180), (290, 180), (290, 210), (270, 210)], alt=True)
    page.keyboard.press("v")
    sheet.click((255, 165))
    corner = sheet.drag([ring[2], (300, 225)])[-1]  # one vertex is moved
    ring[2] = corner
    drawn.append(polygon_mask(ring, WIDTH, HEIGHT) & ~polygon_mask(hole, WIDTH, HEIGHT))

    page.keyboard.press("Escape")
    page.keyboard.press("b")
    radius = 12.0
    stroke = stroke_mask(sheet.drag([(20, 200), (60, 200), (90, 220)]), radius, WIDTH, HEIGHT)
    page.keyboard.press("e")
    stroke &= ~stroke_mask(sheet.drag([(60, 185), (60, 215)]), radius, WIDTH, HEIGHT)
    drawn.append(stroke)

    page.keyboard.press("Escape")
    page.keyboard.press("a")
    with page.expect_response("**/segment") as answer:
        sheet.click((160, 180))
    page.wait_for_timeout(200)
    page.keyboard.press("Enter")
    drawn.append(decoded(answer.value.json()["candidates"][0]["mask"]))

    # A stroke too many is taken back, and a deleted region too.
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    sheet.drag([(200, 20), (240, 20)])
    page.keyboard.press("Control+z")
    page.keyboard.press("v")
    sheet.click((15, 15))
    page.keyboard.press("Delete")
    page.keyboard.press("Control+z")

    wait_until_saved(page)
    expect(page.locator(".topbar .badge:not(.count)")).to_have_text("In progress")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: f"/images/{image}/" not in url)

    # The reviewer wants the rectangle away.
    start_review(reviewer, project)
    reviewer.get_by_role("button", name="Send back").click()
    reviewer.get_by_role("dialog").get_by_role("textbox").fill("The rectangle holds nothing.")
    reviewer.get_by_role("dialog").get_by_role("button", name="Send back").click()
    expect(reviewer.get_by_role("dialog")).to_have_count(0)

    assert start_labeling(annotator, project) == image
    expect(page.locator(".side")).to_contain_text("The rectangle holds nothing.")
    sheet = Picture.fitted(page, WIDTH, HEIGHT)
    page.keyboard.press("v")
    sheet.click((15, 15))
    page.keyboard.press("Delete")
    del drawn[1]
    wait_until_saved(page)
    page.get_by_role("button", name="Submit again").click()
    page.wait_for_url(lambda url: f"/images/{image}/" not in url)

    start_review(reviewer, project)
    reviewer.keyboard.press("Control+Enter")
    expect(reviewer.get_by_role("button", name="Approve")).to_have_count(0)
    assert live_app.api().get(f"images/{image}")["status"] == "approved"

    folder = export(owner, project, "coco", tmp_path / "coco")
    coco = COCO(str(next(folder.rglob("*.json"))))
    name = live_app.api().get(f"images/{image}")["name"]
    assert [one["file_name"] for one in coco.loadImgs(coco.getImgIds())] == [name]
    exported = [coco.annToMask(one).astype(bool) for one in coco.loadAnns(coco.getAnnIds())]
    assert min(coco.getAnnIds()) == 1
    assert_same_masks(exported, drawn)
    for one, mask in zip(coco.loadAnns(coco.getAnnIds()), exported, strict=True):
        assert one["area"] == mask.sum()
        assert one["iscrowd"] == 0


def assert_same_masks(exported: list[Mask], drawn: list[Mask]) -> None:
    """Each mask that was drawn is there once, pixel for pixel."""
    assert len(exported) == len(drawn)
    left = list(exported)
    for index, mask in enumerate(drawn):
        differences = [int((mask ^ other).sum()) for other in left]
        nearest = int(np.argmin(differences))
        assert differences[nearest] == 0, f"drawn mask {index} differs by {min(differences)} pixels"
        del left[nearest]


@pytest.mark.parametrize("kind", ["semantic", "panoptic"])
def test_masks_without_overlap_from_brush_to_png(
    live_app: LiveApp, open_page: OpenPage, tmp_path: Path, kind: str
) -> None:
    owner, annotator, reviewer = (open_page(name) for name in ("owner", "annotator", "reviewer"))
    project = make_project(owner, kind, "ground stuff\nwater stuff")
    image = start_labeling(annotator, project)
    page = annotator
    sheet = Picture.fitted(page, WIDTH, HEIGHT)

    page.keyboard.press("1")
    page.keyboard.press("r")
    ground = rectangle_mask(sheet.drag([(20, 20), (200, 200)]), WIDTH, HEIGHT)
    page.keyboard.press("2")
    page.keyboard.press("b")
    water = stroke_mask(sheet.drag([(60, 60), (160, 100), (280, 120)]), 12, WIDTH, HEIGHT)
    page.keyboard.press("e")
    gone = stroke_mask(sheet.drag([(100, 40), (100, 180)]), 12, WIDTH, HEIGHT)
    wait_until_saved(page)
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: f"/images/{image}/" not in url)

    start_review(reviewer, project)
    reviewer.keyboard.press("Control+Enter")
    expect(reviewer.get_by_role("button", name="Approve")).to_have_count(0)

    folder = export(owner, project, "semantic_png", tmp_path / "png")
    expected = np.full((HEIGHT, WIDTH), 255, np.uint8)
    expected[ground] = GROUND
    expected[water] = WATER
    expected[gone] = 255
    found = np.asarray(Image.open(next(folder.rglob("*.png"))))
    assert (found != expected).sum() == 0


def test_an_export_is_a_whole_zip(live_app: LiveApp) -> None:
    """Looked at and nothing there: the image is listed, in a valid archive and COCO file."""
    api = live_app.api()
    project = api.project("instance")
    images = api.upload(project["id"], {"empty.png": picture(seed=9), "new.png": picture(seed=10)})
    annotation = api.annotation(images[0]["id"])
    api.post(f"annotations/{annotation['id']}/submit", {"revision": annotation["revision"]})
    job = api.post(f"projects/{project['id']}/exports", {"format": "coco", "status": "all"})
    assert api.wait_for_job(job["id"])["state"] == "done"
    reply = api.call("GET", f"jobs/{job['id']}/download")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.testzip() is None
        name = next(name for name in archive.namelist() if name.endswith(".json"))
        found = json.loads(archive.read(name))
    assert [image["file_name"] for image in found["images"]] == ["empty.png"]
    assert found["annotations"] == []
