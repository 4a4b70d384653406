"""Detections as what each kind of project can hold."""

import numpy as np
import pytest

from annotations.masks import rle
from inference.engines.base import CropMask, Detection
from inference.services.resolve import resolve

SIZE = (12, 30)


def box(x: int, width: int, score: float, label: int | None) -> Detection:
    return Detection(CropMask(np.ones((10, width), bool), x, 0), score, label)


def masks(found) -> list[np.ndarray]:
    return [rle.decode(one.counts, SIZE) for one in found]


def test_instances_may_overlap_and_come_best_first():
    found = resolve(
        [box(0, 10, 0.5, 0), box(5, 10, 0.9, 1)], size=SIZE, kind="instance", labels={0: 7, 1: 8}
    )
    assert [(one.category_id, one.area, one.bbox) for one in found] == [
        (8, 100, [5, 0, 10, 10]),
        (7, 100, [0, 0, 10, 10]),
    ]


def test_a_label_without_a_category_is_left_out():
    found = resolve([box(0, 10, 0.5, 3)], size=SIZE, kind="instance", labels={0: 7})
    assert found == []


def test_a_semantic_project_gets_one_disjoint_mask_per_category():
    found = resolve(
        [box(0, 10, 0.5, 0), box(5, 10, 0.9, 1), box(20, 10, 0.7, 0)],
        size=SIZE,
        kind="semantic",
        labels={0: 7, 1: 8},
    )
    assert {one.category_id: one.area for one in found} == {8: 100, 7: 150}
    assert not (masks(found)[0] & masks(found)[1]).any()
    scores = {one.category_id: one.score for one in found}
    assert scores[7] == pytest.approx((50 * 0.5 + 100 * 0.7) / 150)


def test_two_classes_of_one_category_become_one_mask():
    found = resolve(
        [box(0, 5, 0.5, 0), box(10, 5, 0.9, 1)], size=SIZE, kind="semantic", labels={0: 7, 1: 7}
    )
    assert [(one.category_id, one.area) for one in found] == [(7, 100)]


@pytest.mark.parametrize("kind", ["semantic", "panoptic"])
def test_regions_without_classes_stay_apart_and_disjoint(kind):
    found = resolve([box(0, 10, 0.5, None), box(5, 10, 0.9, None)], size=SIZE, kind=kind, labels={})
    assert [(one.category_id, one.area) for one in found] == [(None, 100), (None, 50)]
    assert not (masks(found)[0] & masks(found)[1]).any()


def test_panoptic_keeps_objects_of_a_category_apart_and_leaves_out_slivers():
    detections = [box(0, 10, 0.9, 0), box(1, 10, 0.8, 0), box(15, 10, 0.7, 0)]
    found = resolve(detections, size=SIZE, kind="panoptic", labels={0: 7})
    assert [(one.category_id, one.area) for one in found] == [(7, 100), (7, 100)]
