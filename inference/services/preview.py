"""A model tried on a few images before a whole project is run: what it would propose, unstored.

A preview is a pre-labeling job of at most IMAGES images that writes no prediction. Its result holds
`preview`: [{image, size: [height, width], proposals: [{category, score, area, counts}], error}],
the masks as COCO RLE of the image scaled to `size`, `area` in pixels of the image itself.
"""

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from django.core.files.storage import default_storage

from annotations.imaging import overlay
from annotations.masks import rle
from annotations.models import Category, Image, Job
from annotations.records import Geometry, ImageRecord, RegionRecord
from annotations.services import thumbnails
from inference.services.resolve import Found

IMAGES = 4
SIDE = 512
"""Pixels along the longer side of a preview's masks."""
COLORS = ("#2f74f0", "#e3b04b", "#1a8f5a", "#c2410c", "#8b5cf6", "#0b6a80")
"""Of proposals without a category, in turns."""


def spread(ids: Sequence[int]) -> list[int]:
    """At most IMAGES of them, evenly from the first to the last."""
    places = np.linspace(0, len(ids) - 1, min(IMAGES, len(ids))).round().astype(int)
    return [ids[place] for place in places.tolist()]


def row(image: Image, found: Sequence[Found], error: str = "") -> dict[str, Any]:
    """What a preview keeps of one image."""
    scale = min(1.0, SIDE / max(image.height, image.width))
    height, width = max(1, round(image.height * scale)), max(1, round(image.width * scale))
    proposals = []
    for one in found:
        mask = rle.decode(one.counts, (image.height, image.width)).astype(np.uint8)
        small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
        proposals.append(
            {
                "category": one.category_id,
                "score": round(one.score, 4),
                "area": one.area,
                "counts": rle.encode(small > 0),
            }
        )
    return {"image": image.pk, "size": [height, width], "proposals": proposals, "error": error}


def shown(job: Job) -> list[dict[str, Any]]:
    """A finished preview for a page: `{image, picture (a data URL), counts: [(name, number)],
    error}` of each image that is still there."""
    rows = job.result.get("preview", [])
    categories = {one.pk: one for one in Category.objects.filter(project=job.project_id)}
    images = Image.objects.filter(project=job.project_id).select_related("file")
    there = images.in_bulk([one["image"] for one in rows])
    return [_shown(there[one["image"]], one, categories) for one in rows if one["image"] in there]


def _shown(image: Image, kept: dict[str, Any], categories: dict[int, Category]) -> dict[str, Any]:
    colors = {pk: category.color for pk, category in categories.items()}
    regions, numbers = [], dict[str, int]()
    size = (kept["size"][0], kept["size"][1])
    for number, one in enumerate(kept["proposals"], 1):
        category = categories.get(one["category"])
        name = category.name if category else "no category"
        numbers[name] = numbers.get(name, 0) + 1
        key = category.pk if category else -number
        colors.setdefault(key, COLORS[number % len(COLORS)])
        regions.append(RegionRecord(key, Geometry(size, counts=one["counts"]), id=number))
    record = ImageRecord(image.name, size[1], size[0], tuple(reversed(regions)))
    thumbnails.ensure(image.file)
    with default_storage.open(image.file.thumbnail) as file:
        drawn = overlay.draw(record, file.read(), colors, range(1, len(regions) + 1))
    return {
        "image": image,
        "picture": "data:image/jpeg;base64," + base64.b64encode(drawn).decode(),
        "counts": sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0])),
        "error": kept["error"],
    }
