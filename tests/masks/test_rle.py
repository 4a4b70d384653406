import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from annotations.masks import rle
from tests.masks.strategies import masks, same_size_masks

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rle.json").read_text())


def reference(mask: np.ndarray) -> dict:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_vectors(case):
    size, counts = tuple(case["size"]), case["counts"]
    assert rle.to_runs(counts).tolist() == case["runs"]
    assert rle.from_runs(case["runs"]) == counts
    assert rle.encode(rle.decode(counts, size)) == counts
    assert rle.area(counts) == case["area"]
    assert list(rle.bbox(counts, size)) == case["bbox"]


@given(masks)
def test_same_as_pycocotools(mask):
    counts = rle.encode(mask)
    encoded = reference(mask)
    assert counts == encoded["counts"].decode()
    assert (rle.decode(counts, mask.shape) == mask).all()
    assert rle.area(counts) == coco.area(encoded)
    if mask.any():
        assert list(rle.bbox(counts, mask.shape)) == coco.toBbox(encoded).tolist()
    else:
        assert rle.bbox(counts, mask.shape) == (0, 0, 0, 0)


@given(same_size_masks(3))
def test_set_operations(stack):
    size = stack[0].shape
    first, second, third = (rle.encode(mask) for mask in stack)
    assert rle.union([first, second, third], size) == rle.encode(np.any(stack, axis=0))
    assert rle.intersection([first, second, third], size) == rle.encode(np.all(stack, axis=0))
    assert rle.difference(first, second, size) == rle.encode(stack[0] & ~stack[1])
    assert rle.complement(first) == rle.encode(~stack[0])
    assert rle.intersection_area(first, second) == np.count_nonzero(stack[0] & stack[1])


@given(same_size_masks(4))
def test_overlap_names_two_masks_that_share_a_pixel(stack):
    found = rle.overlap([rle.encode(mask) for mask in stack])
    if np.sum(stack, axis=0).max() > 1:
        assert found is not None
        first, second = found
        assert first < second
        assert (stack[first] & stack[second]).any()
    else:
        assert found is None


@given(masks, st.data())
def test_disjoint_masks_do_not_overlap(labels, data):
    parts = data.draw(st.integers(1, 4))
    owner = np.random.default_rng(parts).integers(0, parts, labels.shape)
    assert rle.overlap([rle.encode(owner == part) for part in range(parts)]) is None


@given(masks, st.data())
def test_crop_and_paste(mask, data):
    height, width = mask.shape
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    part = rle.crop(rle.encode(mask), mask.shape, (x, y, w, h))
    assert (part == mask[y : y + h, x : x + w]).all()
    expected = np.zeros_like(mask)
    expected[y : y + h, x : x + w] = part
    assert rle.paste(part, mask.shape, (x, y)) == rle.encode(expected)


@given(same_size_masks(2))
def test_paint_writes_the_mask_and_counts_what_it_hides(stack):
    labels = np.zeros(stack[0].shape, np.uint16)
    assert rle.paint(labels, rle.encode(stack[0]), 7) == 0
    assert rle.paint(labels, rle.encode(stack[1]), 9) == np.count_nonzero(stack[0] & stack[1])
    assert (labels == np.where(stack[1], 9, np.where(stack[0], 7, 0))).all()


@given(same_size_masks(3))
def test_a_label_map_falls_apart_into_masks(stack):
    labels = stack[0] + 2 * stack[1] + 300 * stack[2]
    parts = rle.from_labels(labels)
    assert list(parts) == np.unique(labels).tolist()
    for value, counts in parts.items():
        assert counts == rle.encode(labels == value)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_runs_of_any_size_survive_the_text(runs):
    assert rle.to_runs(rle.from_runs(runs)).tolist() == runs


@pytest.mark.parametrize(
    ("runs", "joined"),
    [
        ([3, 0, 3], [6]),
        ([0, 2, 0, 4], [0, 6]),
        ([1, 2, 0, 0, 3], [1, 2, 3]),
        ([2, 4, 0], [2, 4]),
        ([0, 0, 6], [6]),
        ([0, 6], [0, 6]),
        ([2, 1, 3], [2, 1, 3]),
    ],
)
def test_canonical_joins_empty_runs(runs, joined):
    assert rle.canonical(np.array(runs)).tolist() == joined


def test_nothing_set_gives_no_interval():
    counts = rle.empty((3, 4))
    assert rle.intervals(counts)[0].size == 0
    assert rle.overlap([]) is None
    assert rle.overlap([counts, counts]) is None
