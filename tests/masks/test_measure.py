"""Area and box by pycocotools are those of our own run lengths."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from annotations.masks import polygons, rle
from annotations.records import Geometry


def by_runs(geometry: Geometry) -> tuple[int, rle.Box]:
    counts = polygons.geometry_counts(geometry)
    return rle.area(counts), rle.bbox(counts, geometry.size)


@settings(max_examples=60)
@given(st.integers(0, 2**30), st.sampled_from([0.02, 0.5, 0.98]))
def test_of_any_mask(seed, share):
    mask = np.random.default_rng(seed).random((9, 13)) < share
    geometry = Geometry((9, 13), counts=rle.encode(mask))
    assert polygons.measure(geometry) == by_runs(geometry)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.floats(-13, 26).map(lambda x: round(x, 2)), min_size=6, max_size=6),
             min_size=1, max_size=3),
    st.booleans(),
)  # fmt: skip
def test_of_any_triangles_also_with_holes(rings, holes):
    geometry = Geometry((13, 13), [rings] if holes else [[ring] for ring in rings])
    assert polygons.measure(geometry) == by_runs(geometry)
