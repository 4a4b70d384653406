"""Whatever the API takes goes out in every format and comes back as far as the format can say it.

PROPERTY_EXAMPLES=500 pytest tests/formats/test_any_document.py looks longer.
"""

import os
import tempfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotations.formats.names import stem
from annotations.formats.registry import FORMATS
from annotations.masks import polygons, rle
from annotations.masks.validation import GeometryError, validate_geometry
from annotations.records import Geometry, ImageRecord, RegionRecord
from tests.formats.helpers import CATEGORIES, masks_of, merged, read, write
from tests.formats.test_common import KEEPS

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "5"))
SIZE = (20, 30)
ONE_LABEL_A_PIXEL = ("semantic_png", "instance_png", "coco_panoptic", "cityscapes", "voc")
NAMES = {category.id: category.name for category in CATEGORIES}


def coordinate(side: int) -> st.SearchStrategy[float]:
    """Up to a side beyond the image; never where the rule rounds, as fractions of a side may."""
    return st.integers(-8 * side, 16 * side - 1).map(lambda eighth: eighth / 8 + 1 / 16)


RING = st.lists(
    st.tuples(coordinate(SIZE[1]), coordinate(SIZE[0])), min_size=3, max_size=7, unique=True
).map(lambda points: [number for point in points for number in point])
MASK = st.binary(min_size=75, max_size=75).map(
    lambda data: rle.encode(np.unpackbits(np.frombuffer(data, np.uint8)).reshape(SIZE))
)
BOX = st.tuples(*(st.integers(0, side - 1) for side in (*SIZE, *SIZE)))


def _box(sides: tuple[int, int, int, int]) -> str:
    pixels = np.zeros(SIZE, bool)
    y, x, height, width = sides
    pixels[y : y + height + 1, x : x + width + 1] = True
    return rle.encode(pixels)


GEOMETRY = st.one_of(
    st.lists(st.lists(RING, min_size=1, max_size=2), min_size=1, max_size=2).map(
        lambda parts: Geometry(SIZE, parts)
    ),
    MASK.map(lambda counts: Geometry(SIZE, counts=counts)),
    BOX.map(lambda sides: Geometry(SIZE, counts=_box(sides))),
)
VALUES = (
    st.booleans() | st.integers(-(2**31), 2**31) | st.text("aä<&\"' ]\n", min_size=1, max_size=5)
)


def accepted(geometry: Geometry) -> bool:
    try:
        validate_geometry(geometry, SIZE)
    except GeometryError:
        return False
    return True


REGION = st.builds(
    RegionRecord,
    category_id=st.sampled_from(list(NAMES)),
    geometry=GEOMETRY.filter(accepted),
    is_crowd=st.booleans(),
    attributes=st.dictionaries(st.sampled_from(["occluded", "a b", "ä"]), VALUES, max_size=2),
)


@st.composite
def documents(draw) -> list[ImageRecord]:
    images, next_id = [], 1
    for number in range(draw(st.integers(1, 2))):
        regions = draw(st.lists(REGION, max_size=4))
        numbered = tuple(
            replace(region, id=next_id + order, order=order) for order, region in enumerate(regions)
        )
        next_id += len(regions)
        images.append(ImageRecord(f"{number}.png", SIZE[1], SIZE[0], numbered, id=number + 1))
    return images


def seen(image: ImageRecord) -> list[tuple[RegionRecord, str]]:
    """Each region and what of it is not behind others, from the back."""
    left = []
    for index, region in enumerate(image.regions):
        counts = polygons.geometry_counts(region.geometry)
        for other in image.regions[index + 1 :]:
            counts = rle.difference(counts, polygons.geometry_counts(other.geometry), SIZE)
        left.append((region, counts))
    return left


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(images=documents())
def test_what_goes_out_comes_back(name, images):
    with tempfile.TemporaryDirectory() as folder:
        report = write(name, images, Path(folder, "out"))
        found, back = read(name, Path(folder, "out"), {"image_size": lambda stem: SIZE})
    assert report.images == len(images)
    assert report.regions == sum(len(image.regions) for image in images)
    by_name = {stem(image.file_name).removesuffix("_leftImg8bit"): image for image in back}
    assert set(by_name) == {stem(image.file_name) for image in images}
    for image in images:
        read_back = by_name[stem(image.file_name)]
        if name in ONE_LABEL_A_PIXEL:
            wanted: dict[str, list[str]] = {}
            for region, counts in seen(image):
                wanted.setdefault(NAMES[region.category_id], []).append(counts)
            unions = {key: rle.union(parts, SIZE) for key, parts in wanted.items()}
            assert merged(read_back, found.categories) == {
                key: counts for key, counts in unions.items() if rle.area(counts)
            }
        else:
            got = [one for one in masks_of(read_back, found.categories) if rle.area(one[1])]
            drawn = [one for one in masks_of(image, CATEGORIES) if rle.area(one[1])]
            assert sorted(got) == sorted(drawn)
            _same_flags(name, image, read_back)


def _same_flags(name: str, image: ImageRecord, back: ImageRecord) -> None:
    """What the format keeps of a region beside its pixels (the table in docs/formats.md)."""

    def flags(record: ImageRecord) -> list[Any]:
        regions = [r for r in record.regions if rle.area(polygons.geometry_counts(r.geometry))]
        attributes = "attributes" in KEEPS[name] and name != "cvat"  # as text there
        return sorted(
            (
                repr(region.is_crowd) if "crowd" in KEEPS[name] else "",
                repr(sorted(region.attributes.items())) if attributes else "",
            )
            for region in regions
        )

    assert flags(back) == flags(image)


@pytest.mark.parametrize(
    ("first", "second"),
    [pair for pair in combinations(FORMATS, 2) if not set(pair) & {"semantic_png"}][::6],
)
@settings(max_examples=1 + EXAMPLES // 20, deadline=None)
@given(images=documents())
def test_two_formats_say_the_same(first, second, images):
    """Where nothing overlaps, and by category, as neither may say more than the other."""
    apart = []
    for image in images:
        parts = [
            replace(region, geometry=Geometry(SIZE, counts=counts), is_crowd=False)
            for region, counts in seen(image)
            if rle.area(counts)
        ]
        apart.append(replace(image, regions=tuple(parts)))
    results = []
    for name in (first, second):
        with tempfile.TemporaryDirectory() as folder:
            write(name, apart, Path(folder, "out"))
            found, back = read(name, Path(folder, "out"), {"image_size": lambda stem: SIZE})
        results.append(
            {
                stem(one.file_name).removesuffix("_leftImg8bit"): merged(one, found.categories)
                for one in back
            }
        )
    assert results[0] == results[1]
