"""Masks and polygons for hypothesis."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))

masks = sizes.flatmap(lambda size: arrays(bool, size))


def same_size_masks(count: int) -> st.SearchStrategy[list[np.ndarray]]:
    return sizes.flatmap(lambda size: st.lists(arrays(bool, size), min_size=count, max_size=count))


coordinates = st.floats(-20, 40, allow_nan=False).map(lambda n: round(n, 2))

rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9).map(
    lambda points: [n for point in points for n in point]
)
