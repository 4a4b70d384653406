"""The life of an annotation: begun, submitted, approved or sent back, reopened; its comments."""

import uuid

from django.db import IntegrityError, transaction
from django.utils import timezone

from annotations import attributes as typed
from annotations.access import require
from annotations.errors import Conflict, Forbidden, NotFound, ServiceError
from annotations.models import Annotation, Comment, Image, Project, Region, Review, User
from annotations.models.projects import Role
from annotations.prepared import Insert, Prepared, Update
from annotations.selectors.annotations import EDITABLE, may_judge
from annotations.services import events, facts, notifications, sampling, work

Status = Annotation.Status
Verdict = Review.Verdict


_WITH_ATTRIBUTES = Prepared(
    lambda annotation: (
        Region.objects.filter(annotation=annotation, deleted_at=None)
        .exclude(category__attributes=[])
        .order_by()
        .values_list("pk")[:1]
    )
)
_OWN = Prepared(lambda user, image: Annotation.objects.filter(image=image, annotator=user))
_LOCKED = Prepared(
    lambda user, pk: (
        Annotation.objects.visible_to(User(pk=user))
        .filter(pk=pk)
        .select_related("image", "project", "annotator")
        .select_for_update(of=("self",), no_key=True)
    )
)
_add = Insert(Annotation)
_save_moved = Update(
    Annotation, "status", "revision", "seconds_spent", "fixer", "sampled", "risk", "submission",
    "submitted_at", "approved_at", "updated_at",
)  # fmt: skip


def start_annotation(user, image: Image) -> tuple[Annotation, bool]:
    """The own annotation of the image, and whether it was made now."""
    require(user, image.project_id, Role.ANNOTATOR)
    if existing := _OWN.instance(user.pk, image.pk):
        return existing, False
    try:
        with transaction.atomic():
            annotation = begin(user, image)
            work.settle(image)
        return annotation, True
    except IntegrityError:  # another tab of the same person was quicker
        return _OWN.instance(user.pk, image.pk), False


def begin(user, image: Image) -> Annotation:
    """A new annotation of an image on which `user` has none; call in a transaction.

    Whoever calls it settles the image afterwards.
    """
    _refuse_archived(image.project)
    work.take(user, image.project, image)
    annotation = Annotation(image=image, annotator=user, project=image.project)
    _add(annotation)
    return annotation


def submit(user, annotation: Annotation, revision: int) -> Annotation:
    """The annotator says: done. Twice for the same revision is once.

    409 `attributes_missing` names the regions that lack a required attribute.
    """
    with transaction.atomic():
        annotation = _locked(user, annotation)
        if annotation.annotator_id != user.pk:
            raise Forbidden("Only the one who made an annotation may submit it.")
        same_revision(annotation.revision, revision)
        hand_in(annotation)
    return annotation


def hand_in(annotation: Annotation, key: uuid.UUID | None = None) -> None:
    """Submits the own annotation, whose row is locked, unless it is submitted already.

    `key` is that of the request. Call in a transaction.
    """
    if annotation.status == Status.SUBMITTED:
        return
    if annotation.status not in EDITABLE:
        raise Conflict("not_editable", "The annotation is approved already.")
    _refuse_archived(annotation.project)
    _attributes_complete(annotation)
    annotation.submission = key
    annotation.submitted_at = timezone.now()
    sampling.judge(annotation)
    _move(annotation, Status.SUBMITTED)
    events.submitted(annotation)


def _attributes_complete(annotation: Annotation) -> None:
    if not _WITH_ATTRIBUTES(annotation.pk):
        return
    rows = Region.objects.filter(annotation=annotation, deleted_at=None)
    rows = rows.exclude(category__attributes=[]).select_related("category").order_by("order", "id")
    fields = ("uuid", "attributes", "category__name", "category__attributes")
    lacking = [
        (str(region), category, names)
        for region, values, category, attributes in rows.values_list(*fields)
        if (names := typed.missing(attributes, values))
    ]
    if lacking:
        _, category, names = lacking[0]
        more = f", and {len(lacking) - 1} more regions lack some" if len(lacking) > 1 else ""
        raise ServiceError(
            409,
            "attributes_missing",
            f"A region of {category} lacks {', '.join(names)}{more}.",
            "attributes",
            "Select it and fill in what is required.",
            {"regions": [region for region, _, _ in lacking]},
        )


def approve(user, annotation: Annotation, revision: int, comment: str = "") -> Annotation:
    """A reviewer finds the revision right; it becomes ground truth."""
    return _judge(user, annotation, revision, comment, Verdict.APPROVE, Status.APPROVED)


def send_back(user, annotation: Annotation, revision: int, comment: str) -> Annotation:
    """A reviewer asks for changes and says which."""
    if not comment.strip():
        raise ServiceError(
            400, "invalid", "A comment is needed.", "comment", "Say what is to be changed."
        )
    return _judge(user, annotation, revision, comment, Verdict.SEND_BACK, Status.SENT_BACK)


def fix(user, annotation: Annotation, revision: int) -> Annotation:
    """Lets a reviewer correct a submitted annotation before the verdict; nobody else meanwhile."""
    with transaction.atomic():
        annotation = _locked(user, annotation)
        _refuse_own(user, annotation)
        same_revision(annotation.revision, revision)
        _refuse_unsubmitted(annotation)
        if annotation.fixer_id not in (None, user.pk):
            raise Conflict(
                "being_fixed",
                "Another reviewer corrects this annotation.",
                hint="Wait for the verdict, or judge another one.",
            )
        annotation.fixer = user
        annotation.save(update_fields=["fixer"])
    return annotation


def accept_unsampled(user, project: Project) -> int:
    """Approves what was submitted and not drawn for review. Managers only; returns how many."""
    require(user, project, Role.MANAGER)
    rows = Annotation.objects.filter(project=project, status=Status.SUBMITTED, sampled=False)
    count = 0
    for pk in rows.values_list("pk", flat=True):
        with transaction.atomic():
            found = rows.select_for_update(of=("self",), no_key=True).filter(pk=pk)
            annotation = found.select_related("image", "project", "annotator").first()
            if annotation is None or annotation.project.archived:
                continue
            _record(user, annotation, Verdict.APPROVE, "Not drawn for review.")
            annotation.approved_at = timezone.now()
            _move(annotation, Status.APPROVED)
            events.approved(user, annotation)
            count += 1
    return count


def reopen(user, annotation: Annotation, revision: int, comment: str = "") -> Annotation:
    """Makes a submitted or approved annotation editable again.

    Reviewers may; the annotator may take back what nobody has judged yet.
    """
    with transaction.atomic():
        annotation = _locked(user, annotation)
        if annotation.annotator_id != user.pk or annotation.status != Status.SUBMITTED:
            require(user, annotation.project_id, Role.REVIEWER)
        same_revision(annotation.revision, revision)
        if annotation.status == Status.IN_PROGRESS:
            return annotation
        if annotation.status not in (Status.SUBMITTED, Status.APPROVED):
            raise Conflict("not_submitted", "The annotation was not submitted.")
        _record(user, annotation, Verdict.REOPEN, comment)
        annotation.submitted_at = annotation.approved_at = None
        _move(annotation, Status.IN_PROGRESS)
    return annotation


def add_comment(
    user,
    annotation: Annotation,
    *,
    text: str,
    x: float | None = None,
    y: float | None = None,
    region: uuid.UUID | None = None,
    reply_to: int | None = None,
) -> Comment:
    """A remark by whoever sees the annotation, at a pixel (x, y) of the image or on a region.

    `reply_to`: the id of the comment that it answers; an answer to an answer joins the first one.
    """
    if not text.strip():
        raise ServiceError(400, "invalid", "A comment needs a text.", "text")
    if (x is None) != (y is None):
        raise ServiceError(400, "invalid", "A place needs both x and y.", "x" if x is None else "y")
    image = annotation.image
    if x is not None and y is not None and not (0 <= x <= image.width and 0 <= y <= image.height):
        raise ServiceError(400, "invalid", "The place is outside the image.", "x")
    pinned = None
    if region is not None:
        pinned = Region.objects.filter(annotation=annotation, uuid=region).first()
        if pinned is None:
            raise ServiceError(400, "invalid", "The annotation has no such region.", "region")
    parent = None
    if reply_to is not None:
        parent = Comment.objects.filter(annotation=annotation, pk=reply_to).first()
        if parent is None:
            raise ServiceError(400, "invalid", "The annotation has no such comment.", "reply_to")
    with transaction.atomic():
        comment = Comment.objects.create(
            annotation=annotation,
            author=user,
            text=text,
            x=x,
            y=y,
            region=pinned,
            parent=parent and (parent.parent or parent),
        )
        events.commented(user, comment)
    return comment


def resolve_comment(user, comment: Comment, resolved: bool) -> Comment:
    """Marks a comment as dealt with, or takes that back. Whoever sees the annotation may."""
    if resolved != (comment.resolved_at is not None):
        comment.resolved_at = timezone.now() if resolved else None
        comment.save(update_fields=["resolved_at"])
    return comment


def _judge(
    user, annotation: Annotation, revision: int, comment: str, verdict: Verdict, status: Status
) -> Annotation:
    with transaction.atomic():
        annotation = _locked(user, annotation)
        _refuse_own(user, annotation)
        same_revision(annotation.revision, revision)
        last = annotation.reviews.first()
        if annotation.status == status and last and last.reviewer_id == user.pk:
            return annotation
        _refuse_unsubmitted(annotation)
        _record(user, annotation, verdict, comment)
        annotation.approved_at = timezone.now() if status == Status.APPROVED else None
        _move(annotation, status)
        if status == Status.APPROVED:
            events.approved(user, annotation)
        else:
            events.sent_back(user, annotation, comment)
    return annotation


def _refuse_own(user, annotation: Annotation) -> None:
    role = require(user, annotation.project_id, Role.REVIEWER)
    if not may_judge(user, role, annotation):
        raise Forbidden(
            "This annotation is your own, so another reviewer judges it.",
            hint="Only where nobody else may review and the rules allow it, one judges the own.",
        )


def _refuse_unsubmitted(annotation: Annotation) -> None:
    if annotation.status != Status.SUBMITTED:
        raise Conflict(
            "not_submitted",
            f"The annotation is {annotation.get_status_display().lower()}, not submitted.",
            hint="Load it again; somebody may have been quicker.",
        )


def _record(user, annotation: Annotation, verdict: Verdict, comment: str) -> None:
    Review.objects.create(
        annotation=annotation,
        reviewer=user,
        verdict=verdict,
        revision=annotation.revision,
        fixed=annotation.fixer_id == user.pk,
        comment=comment.strip(),
    )


def _locked(user, annotation: Annotation) -> Annotation:
    """The annotation as it is now, its row locked until the transaction ends."""
    now: Annotation | None = _LOCKED.instance(user.pk, annotation.pk)
    if now is None:
        raise NotFound("annotation")
    _refuse_archived(now.project)
    return now


def _refuse_archived(project: Project) -> None:
    if project.archived:
        raise Conflict("archived", "The project is archived, so nothing in it changes.")


def same_revision(now: int, given: int) -> None:
    """Refuses with 412 where an annotation is at another revision than the sender has."""
    if now != given:
        raise ServiceError(
            412,
            "stale",
            f"The annotation is at revision {now} by now, not {given}.",
            "revision",
            "Load it again and look at what changed.",
            {"revision": now},
        )


def _move(annotation: Annotation, status: Status) -> None:
    annotation.status = status
    annotation.fixer = None
    _save_moved(annotation)
    work.moved(annotation)
    work.settle(annotation.image)
    if status != Status.SUBMITTED:
        notifications.settle_reviewed(annotation.project_id)
    facts.due(annotation)
