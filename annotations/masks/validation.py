"""The one gate for geometry: nothing gets past it that pycocotools could choke on.

pycocotools returns uninitialised memory for a short RLE and crashes on huge coordinates, so every
geometry is checked here, in Python and numpy, before it is stored or handed to C code.

Polygons: a vertex may lie outside the image by up to the image's own width (height), because data
sets hold vertices on and beyond the border; what is outside covers nothing. Rings may intersect
themselves: pixels are then inside by pycocotools' rule (even-odd along each column). A polygon
whose points are all on one line, or which lies outside the image, is refused.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from annotations.masks import rle
from annotations.records import Geometry, Polygon

MAX_COUNTS_CHARS = 16 * 2**20
MAX_POINTS_PER_RING = 10_000
MAX_POINTS = 100_000
"""Of all rings of one region."""
MAX_RINGS = 10_000
MAX_OUTLINE = 4_000_000
"""Pixels along all rings of one region; pycocotools needs about 80 bytes for each."""


class GeometryError(ValueError):
    """A geometry that is refused. `field` is the path to what is wrong, such as polygons[0][1]."""

    def __init__(self, detail: str, field: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


def validate_mask(
    counts: Any, size: Any, image_size: rle.Size, *, field: str = "mask", allow_empty: bool = False
) -> str:
    """The counts of a mask, checked against the image; empty runs in the middle are joined.

    counts: COCO's compressed text. size: [height, width] as it came. GeometryError: otherwise.
    """
    _validate_size(size, image_size, field)
    if not isinstance(counts, str):
        raise GeometryError("The counts must be COCO's compressed text.", f"{field}.counts")
    if len(counts) > MAX_COUNTS_CHARS:
        raise GeometryError(
            f"The counts are longer than {MAX_COUNTS_CHARS} characters.", f"{field}.counts"
        )
    try:
        runs = rle.to_runs(counts)
    except ValueError as error:
        raise GeometryError(f"The mask cannot be read: {error}.", f"{field}.counts")
    _validate_runs(runs, image_size, field, allow_empty)
    if (runs[1:] > 0).all() and rle.is_minimal(counts):
        return counts
    return rle.from_runs(rle.canonical(runs))


def validate_runs(
    runs: Any, size: Any, image_size: rle.Size, *, field: str = "mask", allow_empty: bool = False
) -> str:
    """The same for COCO's uncompressed form, a list of run lengths. Returns compressed counts."""
    _validate_size(size, image_size, field)
    if not isinstance(runs, list) or not set(map(type, runs)) <= {int}:
        raise GeometryError("The counts must be a list of whole numbers.", f"{field}.counts")
    if len(runs) > MAX_COUNTS_CHARS:
        raise GeometryError(
            f"The counts are longer than {MAX_COUNTS_CHARS} numbers.", f"{field}.counts"
        )
    if runs and not 0 <= min(runs) <= max(runs) < 2**32:
        raise GeometryError("The mask has a run below 0 or beyond 32 bits.", f"{field}.counts")
    lengths = np.array(runs, dtype=np.int64)
    _validate_runs(lengths, image_size, field, allow_empty)
    return rle.from_runs(rle.canonical(lengths))


def _validate_size(size: Any, image_size: rle.Size, field: str) -> None:
    if not isinstance(size, list | tuple) or [type(n) for n in size] != [int, int]:
        raise GeometryError("The size must be [height, width].", f"{field}.size")
    if tuple(size) != tuple(image_size):
        raise GeometryError(
            f"The mask is {size[1]} × {size[0]} pixels, the image {image_size[1]} × "
            f"{image_size[0]}.",
            f"{field}.size",
        )


def _validate_runs(runs: rle.Runs, image_size: rle.Size, field: str, allow_empty: bool) -> None:
    field = f"{field}.counts"
    if runs.size and (runs.min() < 0 or runs.max() >= 2**32):
        raise GeometryError("The mask has a run below 0 or beyond 32 bits.", field)
    total, pixels = int(runs.sum()), image_size[0] * image_size[1]
    if total != pixels:
        raise GeometryError(f"The runs add up to {total} pixels instead of {pixels}.", field)
    if not allow_empty and not runs[1::2].any():
        raise GeometryError("The mask has no pixel.", field)


def validate_polygons(
    polygons: Any, image_size: rle.Size, *, field: str = "polygons"
) -> list[Polygon]:
    """The polygons as they came, checked. Every number stays what it was: 5 stays 5, 5.0 5.0.

    polygons: a list of polygons, each a list of rings (the outside, then holes), each a flat
    [x0, y0, x1, y1, …] of at least 3 points. GeometryError: otherwise.
    """
    if not isinstance(polygons, list) or not polygons:
        raise GeometryError("Polygons must be a list of at least one polygon.", field)
    points = rings = 0
    outline = 0.0
    for i, polygon in enumerate(polygons):
        if not isinstance(polygon, list) or not polygon:
            raise GeometryError(
                "A polygon must be a list of rings: the outside, then its holes.", f"{field}[{i}]"
            )
        rings += len(polygon)
        if rings > MAX_RINGS:
            raise GeometryError(f"There are more than {MAX_RINGS} rings.", field)
        for j, ring in enumerate(polygon):
            outline += _validate_ring(ring, image_size, f"{field}[{i}][{j}]")
            points += len(ring) // 2
            if points > MAX_POINTS:
                raise GeometryError(f"There are more than {MAX_POINTS} points.", field)
            if outline > MAX_OUTLINE:
                raise GeometryError(f"The outline is longer than {MAX_OUTLINE} pixels.", field)
        _validate_outside(polygon[0], image_size, f"{field}[{i}][0]")
    return polygons


def _validate_ring(ring: Any, image_size: rle.Size, field: str) -> float:
    """Checks one ring and returns how long its outline is, in pixels."""
    if not isinstance(ring, list) or not set(map(type, ring)) <= {int, float}:
        raise GeometryError("A ring must be a flat list of numbers [x0, y0, x1, y1, …].", field)
    if len(ring) % 2:
        raise GeometryError("A ring has an odd number of coordinates.", field)
    if len(ring) < 6:
        raise GeometryError("A ring has fewer than 3 points.", field)
    if len(ring) > 2 * MAX_POINTS_PER_RING:
        raise GeometryError(f"A ring has more than {MAX_POINTS_PER_RING} points.", field)
    for axis, length in ((0, image_size[1]), (1, image_size[0])):
        for k in range(axis, len(ring), 2):
            if not -length <= ring[k] <= 2 * length:  # false for NaN as well
                raise GeometryError(_coordinate_detail(ring[k], axis, length), f"{field}[{k}]")
    points = np.array(ring, dtype=np.float64).reshape(-1, 2)
    steps = np.roll(points, -1, axis=0) - points
    arms = points - points[0]
    far = arms[np.abs(arms).sum(axis=1).argmax()]
    if not (np.abs(arms[:, 0] * far[1] - arms[:, 1] * far[0]) > 1e-9).any():
        raise GeometryError("A ring has no area: its points are on one line.", field)
    return float(np.abs(steps).max(axis=1).sum())


def surely_valid(rings: Sequence[Any], sizes: Sequence[rle.Size]) -> bool:
    """Whether `validate_polygons` would take each of these rings as a polygon, and all as one.

    sizes: that of each ring's image. False says nothing: rings that come near a limit are for
    `validate_polygons` to judge.
    """
    if not set(map(type, rings)) <= {list} or not 0 < len(rings) <= MAX_RINGS:
        return False
    lengths = np.fromiter(map(len, rings), np.int64, len(rings))
    if (lengths % 2).any() or lengths.min() < 6 or lengths.max() > 2 * MAX_POINTS_PER_RING:
        return False
    if lengths.sum() > 2 * MAX_POINTS:
        return False
    flat = list(chain.from_iterable(rings))
    if not set(map(type, flat)) <= {int, float}:
        return False
    try:
        points = np.array(flat, np.float64).reshape(-1, 2)
    except OverflowError:
        return False
    sides = np.array(sizes, np.float64)[:, ::-1]
    counts = lengths // 2
    first = np.cumsum(counts) - counts
    low, high = np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)
    if not ((low >= -sides) & (high <= 2 * sides)).all():  # false for NaN as well
        return False
    if (high <= 0).any() or (low >= sides).any():
        return False
    following = np.arange(1, len(points) + 1)
    following[first + counts - 1] = first
    ends = points[following]
    if np.abs(ends - points).max(axis=1).sum() > MAX_OUTLINE:
        return False
    # Twice the area by the shoelace, from each ring's first point so that little is cancelled.
    origin = np.repeat(points[first], counts, axis=0)
    a, b = points - origin, ends - origin
    areas = np.add.reduceat(a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1], first)
    return bool((np.abs(areas) > 1).all())


def surely_valid_masks(masks: Sequence[dict[str, Any]], sizes: Sequence[rle.Size]) -> bool:
    """Whether `validate_mask` would give back the counts of each of these as they are.

    masks: objects with counts and size, as they came. sizes: that of each one's image. False says
    nothing: the masks are then for `validate_mask` to judge, one by one.
    """
    counts: list[Any] = [mask.get("counts") for mask in masks]
    if not set(map(type, counts)) <= {str} or not all(counts):
        return False
    for mask, size in zip(masks, sizes, strict=True):
        given = mask.get("size")
        if type(given) is not list or given != [*size] or set(map(type, given)) != {int}:
            return False
    text = "".join(counts)
    if not text or len(text) > MAX_COUNTS_CHARS:
        return False
    try:
        runs, last = rle.numbers(text)
    except ValueError:
        return False
    final = np.cumsum([len(one) for one in counts]) - 1
    ends = np.searchsorted(last, final)
    starts = np.concatenate(([0], ends[:-1] + 1))
    if (last[ends] != final).any() or (ends == starts).any():
        return False
    for start, end in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
        np.cumsum(runs[start + 1 : end : 2], out=runs[start + 1 : end : 2])
        np.cumsum(runs[start + 2 : end : 2], out=runs[start + 2 : end : 2])
    pixels = np.prod(np.array(sizes, np.int64), axis=1)
    if (np.add.reduceat(runs, starts) != pixels).any() or runs.min() < 0 or runs.max() >= 2**32:
        return False
    runs[starts] += 1  # the first run may be empty, no other
    return bool(runs.all()) and rle.is_minimal(text)


def _coordinate_detail(value: float, axis: int, length: int) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "A coordinate is not a finite number."
    name, side = ("x", "width") if axis == 0 else ("y", "height")
    return f"{name} = {str(value)[:20]} is far outside the image, whose {side} is {length} pixels."


def _validate_outside(ring: Sequence[float], image_size: rle.Size, field: str) -> None:
    xs, ys = ring[0::2], ring[1::2]
    if max(xs) <= 0 or min(xs) >= image_size[1] or max(ys) <= 0 or min(ys) >= image_size[0]:
        raise GeometryError("A polygon lies outside the image.", field)


def validate_geometry(geometry: Geometry, image_size: rle.Size, *, field: str = "") -> Geometry:
    """A geometry of either form, checked; its mask in canonical form. GeometryError: otherwise."""
    prefix = f"{field}." if field else ""
    if (geometry.polygons is None) == (geometry.counts is None):
        raise GeometryError("A region is either polygons or a mask.", f"{prefix}polygons")
    if geometry.polygons is not None:
        validate_polygons(geometry.polygons, image_size, field=f"{prefix}polygons")
        return geometry
    counts = validate_mask(geometry.counts, geometry.size, image_size, field=f"{prefix}mask")
    return Geometry(size=geometry.size, counts=counts)
