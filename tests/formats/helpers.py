"""Data sets to write and read back, and what makes two of them the same."""

import json
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image as PIL

from annotations.formats.registry import load
from annotations.masks import polygons, rle
from annotations.records import (
    CategoryRecord,
    Dataset,
    Geometry,
    ImageRecord,
    RegionRecord,
    Report,
)

SIZE = (40, 60)
CATEGORIES = (
    CategoryRecord(1, "cell", "living", "#ff0000"),
    CategoryRecord(2, "=cmd()", "thing's", "#00ff80"),
    CategoryRecord(7, "sky", "", "#0000ff", is_thing=False),
)


def box(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def mask(*boxes: tuple[int, int, int, int]) -> str:
    """Counts of an image of SIZE with these boxes set, and a pixel of each corner cleared."""
    pixels = np.zeros(SIZE, bool)
    for x, y, width, height in boxes:
        pixels[y : y + height, x : x + width] = True
        pixels[y, x] = False
    return rle.encode(pixels)


def simple_images() -> list[ImageRecord]:
    """Regions that share no pixel: polygon, polygon in parts, with a hole, mask; and no region."""
    return [
        ImageRecord(
            "first.jpg",
            60,
            40,
            (
                RegionRecord(1, Geometry(SIZE, [[box(2.5, 3.25, 10, 8)]]), id=3, order=0),
                RegionRecord(
                    1, Geometry(SIZE, [[box(20, 3, 8, 8)], [box(32, 3, 5.5, 9)]]), 4, order=1
                ),
                RegionRecord(7, Geometry(SIZE, counts=mask((2, 20, 12, 15))), id=9, order=2),
            ),
            id=5,
        ),
        ImageRecord("folder/nothing here.png", 60, 40, id=6),
        ImageRecord(
            "second.png",
            60,
            40,
            (
                RegionRecord(
                    2, Geometry(SIZE, [[box(5, 5, 30, 25), box(12, 10, 9, 8)]]), id=10, order=0
                ),
                RegionRecord(
                    7, Geometry(SIZE, counts=mask((40, 2, 9, 9), (40, 20, 9, 9))), 11, order=1
                ),
            ),
            id=8,
        ),
    ]


def dataset(images: Iterable[ImageRecord], kind="instance", categories=CATEGORIES) -> Dataset:
    return Dataset("sample", kind, categories, iter(images))


def write(name: str, images: Iterable[ImageRecord], out: Path, options=None, **more) -> Report:
    """Write with the format, into an empty folder."""
    out.mkdir(parents=True)
    report = Report()
    load(name).write(dataset(images, **more), out, options or {}, report)
    return report


def read(name: str, path: Path, options=None) -> tuple[Dataset, list[ImageRecord]]:
    found = load(name).read(path, {"image_size": lambda stem: SIZE} | (options or {}))
    return found, list(found.images)


def masks_of(image: ImageRecord, categories: Iterable[CategoryRecord]) -> list[tuple[str, str]]:
    """(category name, counts) of each region."""
    names = {category.id: category.name for category in categories}
    return [(names[r.category_id], polygons.geometry_counts(r.geometry)) for r in image.regions]


def merged(image: ImageRecord, categories: Iterable[CategoryRecord]) -> dict[str, str]:
    """Counts of all regions of each category name."""
    found: dict[str, list[str]] = {}
    for name, counts in masks_of(image, categories):
        found.setdefault(name, []).append(counts)
    size = (image.height, image.width)
    return {name: rle.union(parts, size) for name, parts in found.items()}


def with_splits(images: Iterable[ImageRecord]) -> list[ImageRecord]:
    return [
        replace(image, split=split)
        for image, split in zip(images, ("train", "val", "train"), strict=True)
    ]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def raster(image: ImageRecord) -> BytesIO:
    """A PNG of the image's size, of another colour for each name."""
    file = BytesIO()
    color = crc32(image.file_name.encode(errors="replace"))
    PIL.new("RGB", (image.width, image.height), f"#{color & 0xFFFFFF:06x}").save(file, "PNG")
    file.seek(0)
    return file


def save_json(path: Path, value) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path
