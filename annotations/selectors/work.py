"""The queue: what may be given to whom, who has what, and how far each batch is."""

from datetime import datetime
from typing import Any

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce

from annotations.access import at_least, require
from annotations.models import Annotation, Batch, Image, Lease, Project
from annotations.models.annotations import AnnotationQuerySet
from annotations.models.projects import Role
from annotations.models.work import LeaseQuerySet
from annotations.prepared import Prepared
from annotations.selectors import reviews

HOLDING = (
    Annotation.Status.SUBMITTED,
    Annotation.Status.SENT_BACK,
    Annotation.Status.APPROVED,
)
"""An annotation in one of these states takes one of the places on its image."""


def open_images(user, project: Project | int) -> QuerySet[Image]:
    """Images with a place for `user`, who has neither skipped nor submitted them."""
    mine = Lease.objects.filter(image=OuterRef("pk"), user=user, purpose=Lease.Purpose.LABEL)
    own = Annotation.objects.filter(image=OuterRef("pk"), annotator=user, status__in=HOLDING)
    skipped = mine.filter(state__in=[Lease.State.SKIPPED, Lease.State.ACTIVE])
    # A bare boolean, which `=True` becomes, keeps SQLite from the index.
    rows = Image.objects.filter(project=project, has_place__in=[True])
    return without(without(rows, skipped), own)


def without(rows: QuerySet[Image], others: QuerySet[Any]) -> QuerySet[Image]:
    """Those for which `others` has no row, looked up for each.

    Of NOT EXISTS PostgreSQL makes a join with all that the person has ever had.
    """
    found = Subquery(others.order_by().values_list(Value(False))[:1])
    return rows.filter(Coalesce(found, Value(True), output_field=BooleanField()))


def queues(user, project: Project) -> list[QuerySet[Image]]:
    """The open images, batch after batch, then those of no batch; each in the order of the queue.

    The first row of each is found by one walk of the index `image_queue`.
    """
    ids: list[int | None] = [*waiting_batches(project).values_list("pk", flat=True), None]
    return [queue_of(user, project, pk) for pk in ids]


def waiting_batches(project: Project | int) -> QuerySet[Batch]:
    """The batches in which an image has a place for somebody, in their order."""
    waiting = Image.objects.filter(batch=OuterRef("pk"), project=project, has_place__in=[True])
    return Batch.objects.filter(Exists(waiting), project=project)


def queue_of(user: Any, project: Project | int, batch: int | None) -> QuerySet[Image]:
    """The open images of one batch, or of none, in the order of the queue."""
    # By the batch too, which is the same for all: else PostgreSQL sorts all that are in none.
    return open_images(user, project).filter(batch=batch).order_by("batch_id", "-priority", "pk")


def own_work(user, project: Project | int) -> list[QuerySet[Annotation]]:
    """What `user` should go on with: sent back, begun and held, begun and free again."""
    own = Annotation.objects.filter(project=project, annotator=user)
    mine = Lease.objects.filter(image=OuterRef("image"), user=user, purpose=Lease.Purpose.LABEL)
    own = own.exclude(Exists(mine.filter(state=Lease.State.SKIPPED))).order_by("image")
    begun = own.filter(status=Annotation.Status.IN_PROGRESS)
    held = begun.filter(Q(Exists(mine.filter(state=Lease.State.ACTIVE))))
    return [
        own.filter(status=Annotation.Status.SENT_BACK),
        held,
        begun.filter(image__has_place=True),
    ]


def to_review(
    user: int, project: int, but: int, rule: str, after: int, now: datetime
) -> AnnotationQuerySet:
    """The review queue without what another reviewer is judging or `user` has skipped.

    `but` as in `reviews.queue_of`; `after`: the image that must not come.
    """
    leases = Lease.objects.filter(annotation=OuterRef("pk"), purpose=Lease.Purpose.REVIEW)
    others = leases.filter(state=Lease.State.ACTIVE, until__gt=now).exclude(user=user)
    skipped = leases.filter(user=user, state=Lease.State.SKIPPED)
    rows = reviews.queue_of(project, but, rule).select_related(None).exclude(image=after)
    return rows.filter(~Exists(others), ~Exists(skipped))


def list_batches(user, project: Project) -> QuerySet[Batch]:
    """The batches in their order, each with `total` and `approved` and `open` images."""
    require(user, project, Role.ANNOTATOR)
    done = Q(images__status=Image.Status.APPROVED)
    return (
        Batch.objects.filter(project=project)
        .annotate(
            total=Count("images"),
            approved=Count("images", filter=done),
            open=Count("images", filter=Q(images__has_place=True)),
        )
        .order_by("order", "pk")
    )


def list_leases(user, project: Project, state: str) -> LeaseQuerySet:
    """Who has what, or has skipped what and why; annotators see their own."""
    require(user, project, Role.ANNOTATOR)
    rows = Lease.objects.visible_to(user).filter(project=project, state=state)
    return rows.select_related("user", "image", "image__batch", "project")


_HELD = Prepared(
    lambda user, image: Lease.objects.filter(
        image=image, user=user, state=Lease.State.ACTIVE
    ).order_by("-purpose")
)


def lease_of(user, image: Image, annotation: Annotation | None) -> Lease | None:
    """The active lease under which `user` works on what is open in the editor."""
    labels = annotation is None or annotation.annotator_id == user.pk

    def fits(lease: Lease) -> bool:
        if lease.purpose == Lease.Purpose.LABEL:
            return labels
        return annotation is not None and lease.annotation_id == annotation.pk

    return next(filter(fits, _HELD.instances(user.pk, image.pk)), None)


def may_start(user, role: str | None, project: Project, lease: Lease | None) -> bool:
    """Whether `user` may begin an annotation of an image on which there is none of `user`."""
    allowed = project.free_picking or lease is not None or at_least(role, Role.MANAGER)
    return role is not None and allowed and not project.archived


_BATCH_OF = Prepared(
    lambda image: Batch.objects.filter(images=image).order_by().values_list("name", "due_at")
)


def lease_values(lease: Lease) -> dict[str, Any]:
    batch, due_at = next(iter(_BATCH_OF(lease.image_id)), ("", None))
    return {
        "id": lease.pk,
        "purpose": lease.purpose,
        "until": lease.until,
        "batch": batch,
        "due_at": due_at,
    }
