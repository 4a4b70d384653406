"""Suspicions: the ranking, and the picture of each."""

import io
from typing import Any

import cv2
import numpy as np
from django.core.files.storage import default_storage
from PIL import Image as Picture

from annotations.access import require
from annotations.masks import rle
from annotations.masks.matching import Shape
from annotations.models import Project, Proposal, Suspicion
from annotations.models.projects import Role
from annotations.models.quality import SuspicionQuerySet
from annotations.selectors.shapes import shape_of

SIDE = 320
"""Of a picture, pixels."""
MARGIN = 0.4
"""Around the region, in parts of its longer side."""


def list_suspicions(
    user, project: Project, *, verdict: str = "", reason: str = ""
) -> SuspicionQuerySet:
    """The most suspicious first; `verdict` empty: those that nobody judged. Reviewers and above."""
    require(user, project, Role.REVIEWER)
    rows = Suspicion.objects.visible_to(user).filter(project=project, verdict=verdict)
    if reason:
        rows = rows.filter(reason=reason)
    return rows.select_related(
        "annotation__image__file", "annotation__annotator", "category", "region", "judged_by"
    )


def picture(suspicion: Suspicion) -> bytes:
    """WebP of the place, at most SIDE pixels, with the outline of what is meant."""
    image = suspicion.annotation.image
    x, y, width, height = suspicion.bbox
    margin = max(12, MARGIN * max(width, height))
    left, top = max(0, int(x - margin)), max(0, int(y - margin))
    right = min(image.width, int(x + width + margin))
    bottom = min(image.height, int(y + height + margin))
    # A large image has tiles, and its raster would take long to decode.
    name = image.file.thumbnail if image.file.levels else image.file.upright
    try:
        with default_storage.open(name) as source:
            whole = Picture.open(io.BytesIO(source.read())).convert("RGB")
    except FileNotFoundError:
        whole = Picture.new("RGB", (image.width, image.height), (96, 96, 96))
    across, down = whole.width / image.width, whole.height / image.height
    scale = SIDE / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    box = (left * across, top * down, right * across, bottom * down)
    part = np.array(whole.resize(size, Picture.Resampling.BILINEAR, box))
    _outline(part, _shape(suspicion), (image.height, image.width), (left, top, right, bottom))
    out = io.BytesIO()
    Picture.fromarray(part).save(out, "WEBP", quality=80)
    return out.getvalue()


def _shape(suspicion: Suspicion) -> Shape | None:
    """The region, or the proposal that nobody drew; None where it is gone."""
    image = suspicion.annotation.image
    if suspicion.region:
        return shape_of(suspicion.region, image)
    rows = Proposal.objects.filter(prediction__image=image, category=suspicion.category)
    found = next((row for row in rows if list(row.bbox) == list(suspicion.bbox)), None)
    return shape_of(found, image) if found else None


def _outline(part: Any, shape: Shape | None, size: rle.Size, box: tuple[int, ...]) -> None:
    """Draws the shape's outline into a picture (height, width, 3) of that box of the image."""
    if shape is None:
        return
    left, top, right, bottom = box
    mask = rle.crop(shape.counts, size, (left, top, right - left, bottom - top))
    scaled = cv2.resize(
        mask.astype(np.uint8), (part.shape[1], part.shape[0]), interpolation=cv2.INTER_NEAREST
    )
    outlines, _ = cv2.findContours(scaled, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(part, outlines, -1, (0, 0, 0), 4)
    cv2.drawContours(part, outlines, -1, (255, 214, 0), 2)
