"""Geometry for formats that say less than ours: single rings, parts in groups, boxes, circles."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from annotations.masks import polygons, rle
from annotations.masks.validation import MAX_POINTS_PER_RING
from annotations.records import Geometry, Polygon, RegionRecord, Ring

CIRCLE_POINTS = 72
TOLERANCES = (0.0, 0.75, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0)


def simple_rings(geometry: Geometry) -> list[Ring] | None:
    """The rings of polygons without holes; None for a mask and for polygons with holes."""
    parts = geometry.polygons
    if parts is None or max(map(len, parts), default=0) > 1:
        return None
    return [rings[0] for rings in parts]


def outlines(geometry: Geometry) -> tuple[list[Polygon], float]:
    """Polygons of a geometry, and the IoU of their mask with it: its own, or those of its mask.

    A mask's outline runs along its pixels' edges; it is simplified only as far as it must be to
    keep each ring within the limit of points.
    """
    if geometry.polygons is not None:
        return geometry.polygons, 1.0
    mask = polygons.geometry_mask(geometry)
    return next(
        (parts, agreement)
        for parts, agreement in (polygons.mask_to_polygons(mask, t) for t in TOLERANCES)
        if all(len(ring) <= 2 * MAX_POINTS_PER_RING for rings in parts for ring in rings)
    )


@dataclass(frozen=True, slots=True)
class OneRing:
    """`cut`: several rings were joined by cuts of no width. `agreement`: IoU with the region."""

    ring: Ring
    cut: bool
    agreement: float


def one_ring(geometry: Geometry) -> OneRing | None:
    """A single ring within the image whose even-odd filling is the region; None for no pixel.

    A polygon without holes is kept as it is. All else goes by the mask: its rings are joined by
    cuts from the first point of the first ring to each other ring and back, which cover nothing.
    """
    height, width = geometry.size
    rings = simple_rings(geometry)
    if rings is not None and len(rings) == 1:
        xs, ys = rings[0][0::2], rings[0][1::2]
        if min(xs) >= 0 and max(xs) <= width and min(ys) >= 0 and max(ys) <= height:
            return OneRing(rings[0], cut=False, agreement=1.0)
    mask = polygons.geometry_mask(geometry)
    for tolerance in TOLERANCES:
        parts, agreement = polygons.mask_to_polygons(mask, tolerance)
        joined = join([ring for rings in parts for ring in rings])
        if len(joined) <= 2 * MAX_POINTS_PER_RING:
            break
    if not joined:
        return None
    return OneRing(joined, cut=sum(map(len, parts)) > 1, agreement=agreement)


def join(rings: Sequence[Ring]) -> Ring:
    """One ring that runs through all rings, by cuts from the first point there and back."""
    if not rings:
        return []
    first, *others = rings
    start = first[:2]
    joined = list(first)
    for ring in others:
        joined += [*start, *ring, *ring[:2]]
    return joined + (start if others else [])


def circle(x: float, y: float, radius: float) -> Ring:
    """A ring of 72 points on a circle."""
    ring: Ring = []
    for k in range(CIRCLE_POINTS):
        angle = 2 * math.pi * k / CIRCLE_POINTS
        ring += [x + radius * math.cos(angle), y + radius * math.sin(angle)]
    return ring


def box(x0: float, y0: float, x1: float, y1: float) -> Ring:
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def joined_parts(parts: Iterable[tuple[object, RegionRecord]]) -> list[RegionRecord]:
    """Regions of shapes: those of one category and one group (not None, 0 or "") are one region.

    Polygons of a group stay polygons; with a mask among them the region is the union of masks.
    The first part gives the region everything else.
    """
    groups: dict[tuple[object, ...], list[RegionRecord]] = {}
    for index, (group, region) in enumerate(parts):
        key = (region.category_id, group) if group else (index,)
        groups.setdefault(key, []).append(region)
    return [_joined(members, order) for order, members in enumerate(groups.values())]


def _joined(members: list[RegionRecord], order: int) -> RegionRecord:
    first = members[0]
    geometry = first.geometry
    if len(members) > 1:
        lists = [member.geometry.polygons for member in members]
        size = geometry.size
        if all(parts is not None for parts in lists):
            geometry = Geometry(size, [rings for parts in lists for rings in parts or []])
        else:
            counts = [polygons.geometry_counts(member.geometry) for member in members]
            geometry = Geometry(size, counts=rle.union(counts, size))
    return RegionRecord(
        category_id=first.category_id,
        geometry=geometry,
        id=first.id,
        is_crowd=first.is_crowd,
        score=first.score,
        order=order,
        attributes=first.attributes,
    )
