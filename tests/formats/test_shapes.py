import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annotations.formats.shapes import circle, joined_parts, one_ring, outlines, simple_rings
from annotations.masks import polygons, rle
from annotations.masks.validation import MAX_POINTS_PER_RING
from annotations.records import Geometry, RegionRecord
from tests.formats.helpers import SIZE, box
from tests.masks.strategies import masks


@given(masks)
def test_one_ring_says_any_mask(mask):
    size = mask.shape
    made = one_ring(Geometry(size, counts=rle.encode(mask)))
    if not mask.any():
        assert made is None
        return
    assert made is not None
    assert made.agreement == 1
    assert polygons.rasterize([[made.ring]], size) == rle.encode(mask)


def test_a_polygon_stays_unless_it_leaves_the_image():
    ring = box(2.5, 2.5, 9, 9)
    kept = one_ring(Geometry(SIZE, [[ring]]))
    assert kept is not None
    assert kept.ring is ring
    outside = Geometry(SIZE, [[box(-4.5, 2.5, 9, 9)]])
    made = one_ring(outside)
    assert made is not None
    assert min(made.ring) >= 0
    assert polygons.rasterize([[made.ring]], SIZE) == polygons.geometry_counts(outside)


def test_a_mask_with_too_many_corners_is_simplified_and_says_so():
    noise = np.random.default_rng(3).random((400, 400)) < 0.5
    made = one_ring(Geometry((400, 400), counts=rle.encode(noise)))
    assert made is not None
    assert len(made.ring) <= 2 * MAX_POINTS_PER_RING
    assert made.agreement < 1


def test_outlines_of_a_mask_keep_its_pixels():
    geometry = Geometry(SIZE, [[box(5, 5, 30, 25), box(12, 10, 9, 8)]])
    assert outlines(geometry) == (geometry.polygons, 1.0)
    counts = polygons.geometry_counts(geometry)
    parts, agreement = outlines(Geometry(SIZE, counts=counts))
    assert agreement == 1
    assert polygons.rasterize(parts, SIZE) == counts


def test_simple_rings():
    assert simple_rings(Geometry(SIZE, [[box(1, 1, 5, 5)]])) == [box(1, 1, 5, 5)]
    assert simple_rings(Geometry(SIZE, [[box(1, 1, 9, 9), box(2, 2, 3, 3)]])) is None
    assert simple_rings(Geometry(SIZE, counts="abc")) is None


@given(st.floats(1, 15))
def test_a_circle_has_its_area(radius):
    area = polygons.signed_area(circle(20, 20, radius))
    assert math.isclose(area, math.pi * radius**2, rel_tol=0.005)


def test_parts_are_joined_by_category_and_group():
    def part(category, x, mask=False):
        geometry = Geometry(SIZE, [[box(x, 5, 5, 5)]])
        if mask:
            geometry = Geometry(SIZE, counts=polygons.geometry_counts(geometry))
        return RegionRecord(category, geometry)

    made = joined_parts(
        [
            (7, part(1, 2)),
            (None, part(1, 10)),
            (7, part(2, 20)),
            (7, part(1, 30)),
            (8, part(1, 40)),
            (8, part(1, 50, mask=True)),
            (0, part(1, 12)),
        ]
    )
    assert [polygons.geometry_area(region.geometry) for region in made] == [50, 25, 25, 50, 25]
    assert made[0].geometry.polygons == [[box(2, 5, 5, 5)], [box(30, 5, 5, 5)]]
    assert made[3].geometry.counts is not None
    assert [region.order for region in made] == [0, 1, 2, 3, 4]
