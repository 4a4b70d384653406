"""Polygons to masks by one rule, and masks to polygons.

A region's mask is the union over its polygons of (outside minus holes), each ring filled by
pycocotools' rule (`rleFrPoly`). The editor fills by the same rule; `tests/vectors/` holds the cases
that both pass. Polygons must have passed `masks.validation`.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from annotations.masks import rle
from annotations.records import Geometry, Polygon, Ring

_AT_ONCE = 255
"""Masks in one call; pycocotools' `area` takes no more."""


def rasterize(polygons: Sequence[Polygon], size: rle.Size) -> str:
    """Counts of the union over the polygons of (outside minus holes)."""
    parts = []
    for outside, *holes in polygons:
        part = _fill([outside], size)
        parts.append(rle.difference(part, _fill(holes, size), size) if holes else part)
    return rle.union(parts, size) if parts else rle.empty(size)


def _fill(rings: Sequence[Ring], size: rle.Size) -> str:
    """Counts of the union of filled rings."""
    filled = coco.frPyObjects([list(map(float, ring)) for ring in rings], size[0], size[1])
    return coco.merge(filled)["counts"].decode("ascii")


def geometry_counts(geometry: Geometry) -> str:
    """Counts of a geometry of either form."""
    if geometry.counts is not None:
        return geometry.counts
    return rasterize(geometry.polygons or [], geometry.size)


def geometry_mask(geometry: Geometry) -> rle.Mask:
    """The boolean (height, width) array of a geometry of either form."""
    return rle.decode(geometry_counts(geometry), geometry.size)


def measure(geometry: Geometry) -> tuple[int, rle.Box]:
    """Area and box of the mask, in one go: what `rle.area` and `rle.bbox` say, by pycocotools."""
    return measure_all([geometry])[0]


def measure_all(geometries: Sequence[Geometry]) -> list[tuple[int, rle.Box]]:
    """`measure` of each of these, all of one size. Polygons of one ring are filled in one call."""
    measured: list[tuple[int, rle.Box]] = []
    for start in range(0, len(geometries), _AT_ONCE):
        masks = _compressed(geometries[start : start + _AT_ONCE])
        boxes = coco.toBbox(masks).astype(int).tolist()
        for area, (x, y, width, height) in zip(coco.area(masks).tolist(), boxes, strict=True):
            measured.append((area, (x, y, width, height) if area else (0, 0, 0, 0)))
    return measured


def _compressed(geometries: Sequence[Geometry]) -> list[dict[str, Any]]:
    """As pycocotools has masks."""
    size = geometries[0].size
    single = [_single_ring(geometry) for geometry in geometries]
    rings = [ring for ring in single if ring is not None]
    filled = iter(coco.frPyObjects(rings, *size) if rings else [])
    return [
        {"size": size, "counts": geometry_counts(geometry).encode("ascii")}
        if ring is None
        else next(filled)
        for geometry, ring in zip(geometries, single, strict=True)
    ]


def _single_ring(geometry: Geometry) -> Ring | None:
    parts = geometry.polygons
    return parts[0][0] if parts and len(parts) == 1 and len(parts[0]) == 1 else None


def geometry_area(geometry: Geometry) -> int:
    """Pixels of the mask."""
    return rle.area(geometry_counts(geometry))


def geometry_bbox(geometry: Geometry) -> rle.Box:
    """(x, y, width, height) of the mask, whole pixels; all 0 where it has none."""
    return rle.bbox(geometry_counts(geometry), geometry.size)


def signed_area(ring: Ring) -> float:
    """The shoelace area: positive when the ring runs clockwise on screen (y down)."""
    points = np.array(ring, dtype=np.float64).reshape(-1, 2)
    x, y = points.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def mask_to_polygons(mask: npt.ArrayLike, tolerance: float = 0.0) -> tuple[list[Polygon], float]:
    """Polygons with holes along the pixel edges of a boolean (height, width) mask.

    tolerance: how far, in pixels, the outline may move when vertices are dropped (Douglas and
    Peucker, 1973); at 0 only vertices on straight lines are dropped. Parts that the tolerance
    leaves with fewer than 3 points are left out. Returns the polygons and the IoU of their mask
    with the given one.
    """
    pixels = np.ascontiguousarray(mask, dtype=bool)
    size = (pixels.shape[0], pixels.shape[1])
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return [], 1.0
    top, left = int(rows[0]), int(columns[0])
    inner = pixels[top : rows[-1] + 1, left : columns[-1] + 1]
    _, parts = cv2.connectedComponents(inner.astype(np.uint8), connectivity=4)
    outsides: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for corners, part in _trace(inner, parts):
        points = corners + np.array([left, top])
        simple = (
            cv2.approxPolyDP(points.astype(np.float32), tolerance, True) if tolerance else points
        )
        ring: Ring = simple.reshape(-1).astype(float).tolist()
        if len(ring) < 6:
            continue
        if signed_area(points.reshape(-1).tolist()) > 0:
            outsides[part] = ring
        else:
            holes.setdefault(part, []).append(ring)
    polygons = [[ring, *holes.get(part, [])] for part, ring in sorted(outsides.items())]
    made, given = rasterize(polygons, size), rle.encode(pixels)
    shared = rle.intersection_area(made, given)
    total = rle.area(made) + rle.area(given) - shared
    return polygons, shared / total if total else 1.0


def _trace(pixels: rle.Mask, parts: npt.NDArray) -> list[tuple[npt.NDArray, int]]:
    """The outlines of a mask along pixel edges: corner points (n, 2) and the part they bound.

    Edges run with the mask on their right hand. Where two parts meet at a corner only, the
    outline turns right, so that each stays with its own part (4-connected).
    """
    padded = np.pad(pixels, 1)
    inside = padded[1:-1, 1:-1]
    # One directed edge per side of a pixel whose neighbour there is outside: right along the top,
    # down the right side, left along the bottom, up the left side.
    sides = (
        (inside & ~padded[:-2, 1:-1], 0, 0),
        (inside & ~padded[1:-1, 2:], 1, 0),
        (inside & ~padded[2:, 1:-1], 1, 1),
        (inside & ~padded[1:-1, :-2], 0, 1),
    )
    stride = pixels.shape[1] + 1
    starts, owners = [], []
    for direction, (present, dx, dy) in enumerate(sides):
        ys, xs = np.nonzero(present)
        starts.append(((ys + dy) * stride + xs + dx) * 4 + direction)
        owners.append(parts[ys, xs])
    keys = np.concatenate(starts)
    order = np.argsort(keys)
    keys, owner = keys[order], np.concatenate(owners)[order]
    corners, directions = np.divmod(keys, 4)
    ends = corners + np.array([1, stride, -1, -stride])[directions]
    following = np.full(keys.size, -1)
    for turn in (3, 0, 1):  # left, straight on, right: the last one found stays
        wanted = ends * 4 + (directions + turn) % 4
        found = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        following = np.where(keys[found] == wanted, found, following)
    outlines = []
    successor, seen = following.tolist(), bytearray(keys.size)
    for first in range(keys.size):
        if seen[first]:
            continue
        edges, edge = [], first
        while not seen[edge]:
            seen[edge] = 1
            edges.append(edge)
            edge = successor[edge]
        path = np.array(edges)
        path = path[directions[path] != directions[np.roll(path, 1)]]
        points = np.stack([corners[path] % stride, corners[path] // stride], axis=1)
        outlines.append((points, int(owner[first])))
    return outlines
