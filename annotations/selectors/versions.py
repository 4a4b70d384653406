"""What an annotation can be compared with: proposals, what it was, what others made."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet

from annotations.errors import NotFound
from annotations.models import Annotation, Image, Prediction, Proposal, Region, RegionRevision
from annotations.selectors.annotations import mask_values
from annotations.selectors.reviews import reviews_of


@dataclass(frozen=True)
class Base:
    """One thing to compare with. `key` asks for its regions."""

    key: str
    title: str


def bases_of(user, annotation: Annotation) -> list[Base]:
    """All that `user` may compare the annotation with: what is most telling first.

    Earlier states are those that a verdict was given on; the work of others is that of annotations
    that `user` may see.
    """
    found = [
        Base(f"review-{one.pk}", f"As {one.reviewer.username} saw it, revision {one.revision}")
        for one in reviews_of(annotation)
        if one.revision != annotation.revision
    ]
    newest = Prediction.objects.filter(image=annotation.image_id).newest()
    for prediction in Prediction.objects.filter(pk__in=newest):
        found.append(Base(f"prediction-{prediction.pk}", f"Proposals of {prediction.model}"))
    for other in others(user, annotation):
        found.append(Base(f"annotation-{other.pk}", f"The work of {other.annotator.username}"))
    return found


def others(user, annotation: Annotation) -> Any:
    """Annotations of the same image that `user` may see."""
    rows = Annotation.objects.visible_to(user).filter(image=annotation.image_id)
    return rows.exclude(pk=annotation.pk).select_related("annotator").order_by("pk")


def base_regions(user, annotation: Annotation, key: str) -> list[dict[str, Any]]:
    """The regions of one of `bases_of`, back to front; or NotFound."""
    if key not in {base.key for base in bases_of(user, annotation)}:
        raise NotFound("base")
    kind, _, digits = key.partition("-")
    number = int(digits)
    rows: list[Any]
    if kind == "review":
        review = annotation.reviews.get(pk=number)
        rows = regions_at(annotation, review.at)
    elif kind == "prediction":
        rows = list(Proposal.objects.filter(prediction=number).order_by("score", "pk"))
    else:
        regions = Region.objects.filter(annotation=number, deleted_at=None)
        rows = list(regions.order_by("order", "pk"))
    return [shape_values(row, annotation.image) for row in rows]


def regions_at(annotation: Annotation, at: datetime) -> list[RegionRevision]:
    """What each region was at that moment, back to front; without those that were deleted."""
    then = RegionRevision.objects.filter(region__annotation=annotation, at__lte=at)
    return list(_newest(then))


def _newest(then: QuerySet[RegionRevision]) -> QuerySet[RegionRevision]:
    """Of each region the newest of these, back to front, but none that were deletions."""
    newest = then.order_by().values("region").annotate(newest=Max("pk")).values("newest")
    rows = RegionRevision.objects.filter(pk__in=newest, deleted=False).select_related("region")
    return rows.order_by("order", "region_id")


def shape_values(row: Any, image: Image) -> dict[str, Any]:
    geometry = row.shape if isinstance(row, RegionRevision) else row
    return {
        "category": row.category_id,
        "mask": mask_values(geometry.counts, image),
        "polygons": geometry.polygons,
    }


def revisions_of(
    annotation: Annotation, region: uuid.UUID | None = None
) -> QuerySet[RegionRevision]:
    """Every write of its regions, or of one, without the geometry; for `revision_values`."""
    rows = RegionRevision.objects.filter(region__annotation=annotation)
    if region:
        rows = rows.filter(region__uuid=region)
    model = "region__proposal__prediction__model"
    return rows.select_related("author", "region__proposal__prediction").only(
        "version", "at", "seconds", "source", "deleted", "category_id", "author__username",
        "region__uuid", "region__proposal_id", model, f"{model}_version",
    )  # fmt: skip


def revision_values(row: RegionRevision) -> dict[str, Any]:
    """One line of the history; `id` asks for how all regions were right after it."""
    return {
        "id": row.pk,
        "region": row.region.uuid,
        "category": row.category_id,
        **_who_and_what(row),
    }


def state_after(annotation: Annotation, revision: int) -> list[dict[str, Any]]:
    """What the annotation's regions were right after that write, back to front; or NotFound.

    Writes to an annotation come one by one, so the ids of revisions are their order.
    """
    then = RegionRevision.objects.filter(region__annotation=annotation, pk__lte=revision)
    if not then.filter(pk=revision).exists():
        raise NotFound("revision")
    return [
        {
            "uuid": row.region.uuid,
            "proposal": row.region.proposal_id,
            **_fields(row),
            **shape_values(row, annotation.image),
        }
        for row in _newest(then).select_related("author")
    ]


def history_of(annotation: Annotation, region: uuid.UUID) -> list[dict[str, Any]]:
    """Every revision of a region, the oldest first: who, when, from what, and what it was then.

    A model is named where the region was accepted from a proposal of its. NotFound without one.
    """
    rows = RegionRevision.objects.filter(region__annotation=annotation, region__uuid=region)
    found = list(rows.select_related("author", "region__proposal__prediction").order_by("version"))
    if not found:
        raise NotFound("region")
    return [
        _who_and_what(row) | _fields(row) | shape_values(row, annotation.image) for row in found
    ]


def _who_and_what(row: RegionRevision) -> dict[str, Any]:
    proposal = row.region.proposal
    model = proposal.prediction if proposal else None
    return {
        "version": row.version,
        "author": row.author.username,
        "at": row.at,
        "seconds": row.seconds,
        "source": row.source,
        "model": model.model if model else "",
        "model_version": model.model_version if model else "",
        "deleted": row.deleted,
    }


def _fields(row: RegionRevision) -> dict[str, Any]:
    return {
        "version": row.version,
        "author": row.author.username,
        "is_crowd": row.is_crowd,
        "order": row.order,
        "attributes": row.attributes,
        "source": row.source,
    }
