import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from pycocotools import mask as coco

from annotations.masks import polygons, rle
from annotations.records import Geometry
from tests.masks.strategies import masks, rings

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "polygons.json").read_text())


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_vectors(case):
    geometry = Geometry(tuple(case["size"]), polygons=case["polygons"])
    assert polygons.rasterize(case["polygons"], geometry.size) == case["counts"]
    assert polygons.geometry_counts(geometry) == case["counts"]
    assert polygons.geometry_area(geometry) == case["area"]
    assert polygons.geometry_mask(geometry).sum() == case["area"]


@given(rings)
def test_a_ring_is_filled_as_pycocotools_fills_it(ring):
    size = (21, 23)
    expected = coco.merge(coco.frPyObjects([ring], *size))
    assert polygons.rasterize([[ring]], size) == expected["counts"].decode()


def test_box_and_area_are_those_of_the_mask():
    geometry = Geometry((40, 50), polygons=[[[5.4, 6.2, 15.6, 6.2, 15.6, 16.9, 5.4, 16.9]]])
    mask = polygons.geometry_mask(geometry)
    ys, xs = np.nonzero(mask)
    assert polygons.geometry_bbox(geometry) == (
        xs.min(),
        ys.min(),
        np.ptp(xs) + 1,
        np.ptp(ys) + 1,
    )
    assert polygons.geometry_area(geometry) == mask.sum() == 121


def test_a_mask_keeps_its_counts():
    counts = rle.from_runs([3, 4, 5])
    geometry = Geometry((3, 4), counts=counts)
    assert polygons.geometry_counts(geometry) == counts
    assert polygons.geometry_area(geometry) == 4


@given(masks)
def test_a_mask_becomes_polygons_without_loss(mask):
    made, agreement = polygons.mask_to_polygons(mask)
    assert agreement == 1.0
    assert polygons.rasterize(made, mask.shape) == rle.encode(mask)
    for outside, *holes in made:
        assert polygons.signed_area(outside) > 0
        assert all(polygons.signed_area(hole) < 0 for hole in holes)


def test_holes_stay_with_their_part():
    mask = np.zeros((30, 40), bool)
    mask[2:20, 2:18] = True
    mask[5:10, 5:9] = False
    mask[12:15, 5:9] = False
    mask[6:8, 6:8] = True
    mask[22:28, 22:38] = True
    made, _ = polygons.mask_to_polygons(mask)
    assert sorted(len(polygon) for polygon in made) == [1, 1, 3]


def test_parts_that_meet_at_a_corner_stay_apart():
    mask = np.zeros((6, 6), bool)
    mask[1:3, 1:3] = mask[3:5, 3:5] = True
    made, _ = polygons.mask_to_polygons(mask)
    assert sorted(len(polygon[0]) for polygon in made) == [8, 8]


def test_tolerance_drops_vertices_and_says_what_it_costs():
    ys, xs = np.mgrid[0:200, 0:200]
    distance = np.hypot(xs - 100, ys - 100)
    mask = (distance < 80) & (distance > 40)
    exact, _ = polygons.mask_to_polygons(mask)
    simple, agreement = polygons.mask_to_polygons(mask, tolerance=1.0)
    assert len(simple) == 1
    assert len(simple[0]) == 2
    assert sum(map(len, simple[0])) < sum(map(len, exact[0])) / 3
    assert 0.97 < agreement < 1
    ours = rle.decode(polygons.rasterize(simple, mask.shape), mask.shape)
    assert agreement == pytest.approx((ours & mask).sum() / (ours | mask).sum())
