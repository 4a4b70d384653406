"""Small pictures of annotations: the thumbnail with the regions."""

import io

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image as Picture

from annotations.imaging import overlay
from tests.conftest import box_counts


@pytest.fixture
def labeled(image, make_annotation, teammate):
    """An annotation with one red region: the left half of an image whose thumbnail is gray."""
    gray = io.BytesIO()
    Picture.new("RGB", (160, 120), (100, 100, 100)).save(gray, "PNG")
    image.file.thumbnail = default_storage.save("test/gray.png", ContentFile(gray.getvalue()))
    image.file.save()
    annotation = make_annotation(image, teammate, regions=1)
    region = annotation.regions.get()
    region.category.color = "#ff0000"
    region.category.save()
    half = box_counts(image, 0, 0, image.width // 2, image.height)
    annotation.regions.update(polygons=None, counts=half)
    return annotation


def pixels(response) -> np.ndarray:
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    return np.asarray(Picture.open(io.BytesIO(response.content)).convert("RGB"), dtype=int)


def test_regions_lie_over_the_thumbnail(labeled, teammate, client_of):
    shown = pixels(client_of(teammate).get(f"/api/annotations/{labeled.pk}/picture"))
    assert shown.shape == (120, 160, 3)
    red = 100 + (np.array([255, 0, 0]) - 100) * overlay.CLEAR
    assert np.abs(shown[20:100, 20:60] - red).max() < 10
    assert np.abs(shown[20:100, 100:] - 100).max() < 10


@pytest.mark.parametrize("change", ["regions", "colour"])
def test_it_is_sent_again_only_when_it_changed(change, labeled, teammate, client_of):
    client, url = client_of(teammate), f"/api/annotations/{labeled.pk}/picture"
    first = client.get(url)
    known = {"If-None-Match": first["ETag"]}
    assert client.get(url, headers=known).status_code == 304
    if change == "regions":
        labeled.regions.all().delete()
        labeled.revision += 1
        labeled.save()
    else:
        labeled.project.categories.update(color="#0000ff")
    again = client.get(url, headers=known)
    assert np.abs(pixels(again) - pixels(first)).max() > 60


def test_one_whose_thumbnail_is_gone_is_drawn_on_gray(labeled, teammate, client_of):
    default_storage.delete(labeled.image.file.thumbnail)
    shown = pixels(client_of(teammate).get(f"/api/annotations/{labeled.pk}/picture"))
    assert shown[0, 0, 0] > shown[0, 0, 1] + 50


def test_proposals_lie_faintly_over_the_thumbnail(labeled, make_prediction, teammate, client_of):
    image = labeled.image
    left = make_prediction(image, proposals=1)
    half = box_counts(image, 0, 0, image.width // 2, image.height)
    left.proposals.update(counts=half)
    client, url = client_of(teammate), f"/api/images/{image.pk}/proposals/picture"
    first = client.get(url)
    shown = pixels(first)
    assert shown[60, 79, 0] > shown[60, 79, 1] + 50
    faint = 100 + (np.array([255, 0, 0]) - 100) * overlay.PROPOSED
    assert np.abs(shown[20:100, 20:60] - faint).max() < 10
    assert np.abs(shown[20:100, 100:] - 100).max() < 10
    known = {"If-None-Match": first["ETag"]}
    assert client.get(url, headers=known).status_code == 304
    make_prediction(image, proposals=0)  # the same model, which finds nothing any more
    assert np.abs(pixels(client.get(url, headers=known)) - 100).max() < 10
