"""Cases 59 to 72 of the bad inputs, each refused with the path to what is wrong."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotations.masks import polygons, rle
from annotations.masks.validation import (
    MAX_POINTS_PER_RING,
    GeometryError,
    surely_valid,
    surely_valid_masks,
    validate_geometry,
    validate_mask,
    validate_polygons,
    validate_runs,
)
from annotations.records import Geometry
from tests.masks.strategies import masks, rings

SIZE = (40, 50)
GOOD = rle.from_runs([100, 50, 1850])
SQUARE: list[float] = [5, 5, 25, 5, 25, 25, 5, 25]


def number(value: int) -> str:
    """One number as COCO's text, of any size."""
    text = ""
    while True:
        digit, value = value & 31, value >> 5
        if value == (-1 if digit & 16 else 0):
            return text + chr(digit + 48)
        text += chr(digit + 48 + 32)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (rle.from_runs([100, 50, 1849]), "1999 pixels instead of 2000"),
        (rle.from_runs([100, 50, 1851]), "2001 pixels instead of 2000"),
        (rle.from_runs([100]), "100 pixels"),
        ("", "0 pixels"),
        (number(-100) + number(50) + number(2050), "below 0"),
        (number(2**32) + number(50), "32 bits"),
        (number(2**32 + 2000), "32 bits"),
        (number(2**40), "32 bits"),
        (number(2**33) + number(1) + number(2000 - 1 - 2**33), "below 0 or beyond 32 bits"),
        (GOOD[:-1] + chr(ord(GOOD[-1]) + 32), "middle of a number"),
        ("P" * 9 + "0", "32 bits"),
        ("o" * 100_000, "middle of a number"),
        ("é" + GOOD, "not ASCII"),
        (GOOD + "\u0000", "outside"),
        ("\ud800", "not ASCII"),
        (GOOD + "~", "outside"),
        (GOOD + " ", "outside"),
        ("P" * (17 * 2**20), "longer than"),
        (rle.empty(SIZE), "no pixel"),
        (rle.from_runs([1000, 0, 1000]), "no pixel"),
    ],
)
def test_bad_counts(counts, words):
    with pytest.raises(GeometryError, match=words) as caught:
        validate_mask(counts, [40, 50], SIZE)
    assert caught.value.field == "mask.counts"


@pytest.mark.parametrize("counts", [None, 5, b"abc", [100, 50, 1850], True, {}])
def test_counts_of_another_type(counts):
    with pytest.raises(GeometryError, match="text"):
        validate_mask(counts, [40, 50], SIZE)


@pytest.mark.parametrize(
    "size",
    [[50, 40], [40], [40, 50, 1], [40.0, 50.0], "40", None, [True, 50], ["40", "50"], [2**70, 1]],
)
def test_bad_size(size):
    with pytest.raises(GeometryError) as caught:
        validate_mask(GOOD, size, SIZE)
    assert caught.value.field == "mask.size"


@pytest.mark.parametrize(
    "runs",
    [
        [100, 50, 1849],
        [-100, 50, 2050],
        [2**32, 1],
        [10**30],
        [2000.0],
        [True, 1999],
        ["2000"],
        [math.nan],
        "abc",
        None,
        [],
        [[2000]],
    ],
)
def test_bad_runs(runs):
    with pytest.raises(GeometryError) as caught:
        validate_runs(runs, [40, 50], SIZE)
    assert caught.value.field == "mask.counts"


@given(masks.filter(lambda mask: mask.any()))
def test_every_mask_passes_unchanged(mask):
    counts = rle.encode(mask)
    assert validate_mask(counts, list(mask.shape), mask.shape) == counts
    assert validate_runs(rle.to_runs(counts).tolist(), list(mask.shape), mask.shape) == counts


def test_an_empty_mask_passes_where_asked_for():
    assert validate_mask(rle.empty(SIZE), [40, 50], SIZE, allow_empty=True) == rle.empty(SIZE)


def test_empty_runs_are_joined():
    split = rle.from_runs([100, 20, 0, 30, 1850])
    assert validate_mask(split, [40, 50], SIZE) == GOOD


@given(st.text(alphabet=[chr(code) for code in range(40, 120)], max_size=40))
def test_any_text_is_refused_or_decodes(counts):
    try:
        kept = validate_mask(counts, [6, 7], (6, 7))
    except GeometryError:
        return
    assert rle.decode(kept, (6, 7)).any()


def test_a_long_mask_is_checked_fast():
    size = (1000, 1000)
    counts = rle.encode(np.random.default_rng(1).random(size) < 0.055)
    assert len(counts) > 100_000
    best = math.inf
    for _ in range(5):
        begin = time.perf_counter()
        validate_mask(counts, list(size), size)
        best = min(best, time.perf_counter() - begin)
    assert best < 0.05


@pytest.mark.parametrize(
    ("ring", "words", "at"),
    [
        ([*SQUARE[:4], math.nan, *SQUARE[5:]], "finite", "[4]"),
        ([math.inf, *SQUARE[1:]], "finite", "[0]"),
        ([-math.inf, *SQUARE[1:]], "finite", "[0]"),
        ([float("1e999"), *SQUARE[1:]], "finite", "[0]"),
        ([1e8, *SQUARE[1:]], "x = 100000000.0 is far outside", "[0]"),
        ([SQUARE[0], -1e8, *SQUARE[2:]], "y = -100000000.0 is far outside", "[1]"),
        ([10**400, *SQUARE[1:]], "far outside", "[0]"),
        ([101, *SQUARE[1:]], "far outside", "[0]"),
        (SQUARE[:4], "fewer than 3", ""),
        ([], "fewer than 3", ""),
        (SQUARE[:7], "odd number", ""),
        ([5.0, 5.0] * (MAX_POINTS_PER_RING + 1), "more than 10000", ""),
        ([5, 5, 10, 10, 20, 20], "one line", ""),
        ([5, 5, 5, 5, 5, 5], "one line", ""),
        ([5, 5, 25, 5, 5, 5], "one line", ""),
        ([-30, 5, -10, 5, -10, 25], "outside the image", ""),
        ([5, 41, 25, 41, 25, 60], "outside the image", ""),
        ([True, *SQUARE[1:]], "flat list of numbers", ""),
        (["5", *SQUARE[1:]], "flat list of numbers", ""),
        ([None, *SQUARE[1:]], "flat list of numbers", ""),
        ([[5, 5], [25, 5], [25, 25]], "flat list of numbers", ""),
        ("5,5,25,5", "flat list of numbers", ""),
        ({"x": 5}, "flat list of numbers", ""),
    ],
)
def test_bad_ring(ring, words, at):
    with pytest.raises(GeometryError, match=words) as caught:
        validate_polygons([[SQUARE], [ring]], SIZE)
    assert caught.value.field == f"polygons[1][0]{at}"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, "polygons"),
        ([], "polygons"),
        ("\u0000", "polygons"),
        ({}, "polygons"),
        ([[]], "polygons[0]"),
        ([SQUARE], "polygons[0][0]"),
        ([None], "polygons[0]"),
        ([[SQUARE]] * 10_001, "polygons"),
        ([[[5.0, 5.0, 25.0, 5.0] + [25.0, 25.0] * 9998]] * 11, "polygons"),
        ([[[0.0, 0.0, 50.0, 40.0, 0.0, 39.0] * 3000]] * 10, "polygons"),
    ],
)
def test_bad_nesting_and_bad_amounts(value, field):
    with pytest.raises(GeometryError) as caught:
        validate_polygons(value, SIZE)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "ring",
    [
        SQUARE,
        [0, 0, 50, 0, 50, 40, 0, 40],
        [-0.01, 0, 50.02, 0, 50.02, 40.01],
        [-50, -40, 100, -40, 100, 80],
        [10, 10, 40, 30, 40, 10, 10, 30],
        [20.1, 20.1, 20.4, 20.1, 20.4, 20.4],
    ],
    ids=["inside", "border", "just beyond", "far beyond", "crosses itself", "below one pixel"],
)
def test_good_rings_come_back_as_they_are(ring):
    given_ = [[ring]]
    assert validate_polygons(given_, SIZE) is given_


@given(st.lists(st.lists(rings, min_size=1, max_size=3), min_size=1, max_size=3))
def test_whatever_passes_can_be_filled(value):
    size = (21, 23)
    try:
        validate_polygons(value, size)
    except GeometryError:
        return
    assert rle.decode(polygons.rasterize(value, size), size).shape == size


def test_a_geometry_is_one_of_the_two():
    for geometry in (Geometry(SIZE), Geometry(SIZE, polygons=[[SQUARE]], counts=GOOD)):
        with pytest.raises(GeometryError, match="either"):
            validate_geometry(geometry, SIZE)
    with pytest.raises(GeometryError) as caught:
        validate_geometry(Geometry((50, 40), counts=GOOD), SIZE, field="regions[3]")
    assert caught.value.field == "regions[3].mask.size"
    assert validate_geometry(Geometry(SIZE, counts=GOOD), SIZE).counts == GOOD
    assert validate_geometry(Geometry(SIZE, polygons=[[SQUARE]]), SIZE).polygons == [[SQUARE]]


# Counts with an empty run, one in more characters than it must be, without a pixel, and of texts
# that are only together what a mask is.
ODD = [
    rle.from_runs([100, 50, 0, 0, 1850]),
    rle.from_runs([0, 50, 1950]),
    GOOD[:-1] + chr(ord(GOOD[-1]) + 32) + "0O"[(ord(GOOD[-1]) - 48) // 16],
    rle.empty(SIZE),
    GOOD[:-1],
    GOOD[-1:],
    "",
    "é",
    number(2**33) + number(1) + number(2000 - 1 - 2**33),
]


@given(
    st.lists(st.sampled_from(ODD) | masks.map(rle.encode) | st.just(GOOD), min_size=1, max_size=4),
    st.sampled_from([[40, 50], [40, 50.0], [50, 40], (40, 50), None]),
)
def test_masks_that_are_surely_valid_stay_what_they_are(texts, size):
    given = [{"counts": text, "size": size} for text in texts]
    if surely_valid_masks(given, [SIZE] * len(texts)):
        assert [validate_mask(text, size, SIZE) for text in texts] == texts
    assert surely_valid_masks([{"counts": GOOD, "size": [40, 50]}] * 3, [SIZE] * 3)


@given(
    st.lists(st.tuples(rings, st.sampled_from([SIZE, (9, 9), (400, 3)])), min_size=1, max_size=4)
)
def test_rings_that_are_surely_valid_pass(pairs):
    if surely_valid(*zip(*pairs, strict=True)):
        for ring, size in pairs:
            validate_polygons([[ring]], size)
    assert surely_valid([SQUARE, SQUARE], [SIZE, (30, 30)])
    outside = [10, 1, 15, 1, 15, 6]
    assert surely_valid([SQUARE, outside], [SIZE, SIZE])
    assert not surely_valid([SQUARE, outside], [SIZE, (9, 9)])
