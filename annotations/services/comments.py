"""Comments whose pixels changed are marked, so that nobody looks for what is gone."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import Q
from django.utils import timezone

from annotations.masks import polygons as polygon_masks
from annotations.masks import rle
from annotations.models import Annotation, Comment, Image, Region
from annotations.prepared import Prepared
from annotations.records import Geometry


class Shape(NamedTuple):
    """What counts of a region for a comment on it: its pixels and what they are called."""

    polygons: Any
    counts: str | None
    category: int
    deleted: bool


_OPEN = Prepared(
    lambda annotation: (
        Comment.objects.filter(annotation=annotation, resolved_at=None, stale_at=None)
        .order_by()
        .values_list("pk")[:1]
    )
)
NOTHING = Shape(None, None, 0, True)


def shape_of(region: Region) -> Shape:
    return Shape(region.polygons, region.counts, region.category_id, region.deleted_at is not None)


def mark_stale(
    annotation: Annotation, before: Mapping[uuid.UUID, Shape], touched: Sequence[Region]
) -> None:
    """Marks open comments on a region whose pixels changed, or at a pixel that changed hands.

    `before`: the regions that were there already, as they were. Inside the patch's transaction.
    """
    pinned = Q(region__isnull=False) | Q(x__isnull=False)
    rows = Comment.objects.filter(pinned, annotation=annotation, resolved_at=None, stale_at=None)
    if not _OPEN(annotation.pk):
        return
    found = list(rows)
    changed = {
        region.pk: (before.get(region.uuid, NOTHING), shape_of(region)) for region in touched
    }
    changed = {pk: pair for pk, pair in changed.items() if pair[0] != pair[1]}
    stale = [one.pk for one in found if _concerns(one, changed, annotation.image)]
    if stale:
        Comment.objects.filter(pk__in=stale).update(stale_at=timezone.now())


def _concerns(comment: Comment, changed: Mapping[int, tuple[Shape, Shape]], image: Image) -> bool:
    if comment.region_id is not None:
        return comment.region_id in changed
    x, y = int(comment.x or 0), int(comment.y or 0)
    return any(_at(old, x, y, image) != _at(new, x, y, image) for old, new in changed.values())


def _at(shape: Shape, x: int, y: int, image: Image) -> int:
    """The category that the region gives the pixel, 0: none."""
    if shape.deleted:
        return 0
    size = (image.height, image.width)
    geometry = Geometry(size=size, polygons=shape.polygons, counts=shape.counts)
    counts = polygon_masks.geometry_counts(geometry)
    place = min(x, image.width - 1) * image.height + min(y, image.height - 1)
    return shape.category if rle.covers(counts, place) else 0
