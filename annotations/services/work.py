"""The queue gives each image to one person, for as long as that person is at it.

Whoever pulls gets what was sent back, then what the person has begun, then the next image of the
queue. A place on an image is taken by an active lease or by an annotation that was submitted;
`Image.has_place` says, through an index, where one is left. It is a hint: what decides is the count
made while the image's row is locked, so that of fifty who pull at once each gets another image.
Of rows that others have locked PostgreSQL skips all; SQLite runs one writer at a time.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, Count, Exists, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Now
from django.db.models.lookups import LessThan
from django.utils import timezone

from annotations.access import require
from annotations.commits import not_waiting_for_disk
from annotations.errors import Conflict, NotFound, ServiceError
from annotations.models import (
    Annotation,
    Batch,
    Gold,
    Image,
    Lease,
    Membership,
    Project,
    ReviewRule,
)
from annotations.models.projects import Role
from annotations.prepared import A_TIME, Insert, Prepared, Update
from annotations.selectors import work as queue
from annotations.selectors.reviews import not_by
from annotations.services import audit, facts, marks

REOPENED_DAYS = 7
"""Reopened work waits so long for the one who made it."""
LATELY = 0.05
"""Of the time that a lease lasts: a lease that was put off since is not written again."""
MAX_ANNOTATORS = 20
MAX_BATCHES = 1000
HANDED_BACK_AT_ONCE = 20
State = Lease.State
Status = Annotation.Status
LABEL, REVIEW = Lease.Purpose.LABEL, Lease.Purpose.REVIEW


# --- places -----------------------------------------------------------------------------------
def recount(images: QuerySet[Image], **values: Any) -> int:
    """Writes `has_place` of these images anew, in one UPDATE. On gold ones is a place for all.

    values: of other fields, which are written as well.
    """
    return images.update(**_places(), **values)


def _places() -> dict[str, Any]:
    holding = Annotation.objects.filter(image=OuterRef("pk"), status__in=queue.HOLDING)
    same = Annotation.objects.filter(
        image=OuterRef("image"), annotator=OuterRef("user"), status__in=queue.HOLDING
    )
    leases = Lease.objects.filter(image=OuterRef("pk"), purpose=LABEL, state=State.ACTIVE)
    taken = _number(holding) + _number(leases.filter(~Exists(same)))
    batch = Batch.objects.filter(pk=OuterRef("batch")).values("annotators")
    project = Project.objects.filter(pk=OuterRef("project")).values("annotators")
    left = LessThan(taken, Coalesce(Subquery(batch), Subquery(project)))
    gold = Exists(Gold.objects.filter(image=OuterRef("pk")))
    return {"has_place": Case(When(gold, then=Value(True)), default=left)}


def _number(rows: QuerySet[Any]) -> Any:
    counted = rows.order_by().values("image").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted), Value(0))


_COUNTED = Prepared(
    lambda image: Image.objects.filter(pk=image).values_list(_places()["has_place"])
)


def _settled() -> dict[str, Any]:
    """The furthest of the annotations on an image is its status.

    One in which nothing was written yet counts for nothing, and neither does the truth of a gold
    image: annotators must not see that there is one.
    """
    order = (Status.APPROVED, Status.SUBMITTED, Status.SENT_BACK, Status.IN_PROGRESS)
    rank = Case(*(When(status=status, then=place) for place, status in enumerate(order)))
    counted = Annotation.objects.filter(~Exists(Gold.objects.filter(truth=OuterRef("pk"))))
    counted = counted.filter(image=OuterRef("pk")).exclude(status=Status.IN_PROGRESS, revision=0)
    furthest = counted.order_by(rank).values("status")[:1]
    return {"status": Coalesce(Subquery(furthest), Value(Image.Status.NEW)), **_places()}


_RECOUNT = Prepared(lambda image: Image.objects.filter(pk=image), _places, ["has_place"])
_SETTLE = Prepared(lambda image: Image.objects.filter(pk=image), _settled, ["status", "has_place"])
_LOCK = Prepared(
    lambda image: Image.objects.filter(pk=image).select_for_update(no_key=True).values_list("pk")
)


def _lock_image(image_id: int) -> None:
    if connection.features.has_select_for_update:  # else one transaction writes at a time
        _LOCK(image_id)


def _keep_places(image_id: int) -> bool:
    """Whether a place is left; the image's row stays locked until the transaction ends."""
    _lock_image(image_id)
    return bool(_RECOUNT.first(image_id))


def settle(image: Image) -> None:
    """Makes the image's status and whether it has a place what its annotations and leases say.

    Call in a transaction, after what they depend on was written.
    """
    _lock_image(image.pk)
    [(image.status, image.has_place)] = _SETTLE(image.pk)


def _until(project: Project) -> datetime:
    return timezone.now() + timedelta(minutes=project.lease_minutes)


# --- pulling ----------------------------------------------------------------------------------
def pull(user, project: Project, purpose: str = LABEL, after: int | None = None) -> Lease | None:
    """A lease of what `user` should do next, None when nothing is left. Never of image `after`."""
    require(user, project, Role.REVIEWER if purpose == REVIEW else Role.ANNOTATOR)
    if project.archived:
        raise Conflict("archived", "The project is archived, so nothing in it changes.")
    with _given_out(project, purpose):
        if connection.features.has_select_for_update:  # of one person's tabs, one after the other
            _MEMBER(project.pk, user.pk)
        if purpose == REVIEW:
            _end_expired(project)
            return _pull_review(user, project, after)
        asked = (user.pk, project.pk, after or 0)
        seen = _Seen(*_SEEN(*asked)[0])
        if seen.expired:
            _end_expired(project)
            seen = _Seen(*_SEEN(*asked)[0])
        return _pull_own(user, project, asked, seen) or _pull_new(user, project, asked, seen)


def _given_out(project: Project, purpose: str) -> AbstractContextManager[None]:
    """The transaction of a pull. Should power fail, it may be as if nobody had pulled.

    That costs nothing where work is taken from whoever brings it: the first save makes the lease
    again (`take`, `keep`), a verdict needs none, and places, marks and what has run out are counted
    anew by the next pull. Where only the queue says who labels what, work on an image whose lease
    is gone would be refused: so there it is on the disk before anybody sees the image.
    """
    if project.free_picking or purpose == REVIEW:
        return not_waiting_for_disk()
    return transaction.atomic()


_MEMBER = Prepared(
    lambda project, user: (
        Membership.objects.select_for_update(no_key=True)
        .filter(project=project, user=user)
        .order_by()
        .values_list("pk")
    )
)


class _Seen(NamedTuple):
    """What there is for a person: images, or None."""

    sent_back: int | None
    begun: int | None
    left: int | None
    """Begun, and free again."""
    leased: int | None
    expired: bool
    """Whether leases of the project have run out."""
    batches: bool
    """Whether images in batches wait."""


def _seen(user: int, project: int, after: int) -> QuerySet[Any, Any]:
    leased = Lease.objects.filter(project=project, user=user, purpose=LABEL, state=State.ACTIVE)
    mine: list[QuerySet[Any]] = [*queue.own_work(user, project), leased.order_by("pk")]
    images = [Subquery(rows.exclude(image=after).values("image")[:1]) for rows in mine]
    waiting = [Exists(_expired(project)), Exists(queue.waiting_batches(project))]
    return Project.objects.filter(pk=project).order_by().values_list(*images, *waiting)


def _expired(project: int) -> QuerySet[Lease]:
    return Lease.objects.filter(project=project, state=State.ACTIVE, until__lte=Now()).order_by()


_ONE_EXPIRED = Prepared(lambda project: _expired(project).values_list("pk")[:1])
# `after` is 0 where there is none.
_SEEN = Prepared(_seen)
_Asked = tuple[int, int, int]
"""A person, a project and the image that must not come."""


def _pull_own(user, project: Project, asked: _Asked, seen: _Seen) -> Lease | None:
    """What was sent back, what is leased, what was begun and has its place still."""
    for image in (seen.sent_back, seen.begun, seen.leased):
        if image is not None:
            return _hold(user, project, image)
    while (image := seen.left) is not None:
        if _keep_places(image):  # else it is not left any more
            return _hold(user, project, image)
        seen = _Seen(*_SEEN(*asked)[0])
    return None


def _pull_new(user, project: Project, asked: _Asked, seen: _Seen) -> Lease | None:
    finder = marks.Finder(project, asked, seen.batches)
    while (image := finder.first()) is not None:
        left = _COUNTED.first(image)  # its row is locked
        lease = _make_lease(user, project, image, _until(project)) if left else None
        _RECOUNT(image)  # the hint may have been wrong; then it is right by now
        if lease:
            return lease
    return None


_HELD = Prepared(
    lambda user, image: Lease.objects.filter(
        image=image, user=user, purpose=LABEL, state=State.ACTIVE
    ).order_by()
)
_PUT_OFF = Prepared(_HELD.build, lambda until=A_TIME: {"until": until}, ["id"])
_DONE = Prepared(_HELD.build, lambda at=A_TIME: {"state": State.DONE, "ended_at": at}, ["id"])
_add_lease = Insert(Lease, ignore=True)
_save_until = Update(Lease, "until")


def _hold(user, project: Project, image_id: int, until: datetime | None = None) -> Lease:
    """The lease of `user` on an image to label, made or put off."""
    lease: Lease | None = _HELD.instance(user.pk, image_id)
    until = until or _until(project)
    if lease is None:
        lease = _make_lease(user, project, image_id, until)
        _keep_places(image_id)
    elif abs(until - lease.until) > LATELY * timedelta(minutes=project.lease_minutes):
        lease.until = until
        _save_until(lease)
    return lease


def _make_lease(user, project: Project, image_id: int, until: datetime) -> Lease:
    lease = Lease(project=project, image_id=image_id, user=user, purpose=LABEL, until=until)
    if _add_lease(lease):
        return lease
    return _HELD.instance(user.pk, image_id)  # another tab of the same person was quicker


@cache
def _reviewable(rule: str, later: bool, skip_locked: bool) -> Prepared:
    """The first annotation to judge and its image; `later`: of those handed in since a time."""

    def build(
        user: int, project: int, but: int, after: int, now: datetime = A_TIME, at: datetime = A_TIME
    ) -> QuerySet[Any, Any]:
        rows = queue.to_review(user, project, but, rule, after, now)
        rows = rows.filter(submitted_at__gte=at) if later else rows
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)
        return rows.values_list("pk", "image")[:1]

    return Prepared(build)


_HANDED_IN = Prepared(
    lambda project, image: (
        Annotation.objects.filter(project=project, image=image, submitted_at__isnull=False)
        .order_by("-submitted_at")
        .values_list("submitted_at")[:1]
    )
)
_JUDGED = Prepared(
    lambda annotation: Lease.objects.filter(
        annotation=annotation, purpose=REVIEW, state=State.ACTIVE
    ).order_by()
)
_save_judge = Update(Lease, "user", "until")


def _pull_review(user, project: Project, after: int | None) -> Lease | None:
    """What to judge next: after an image what came in later, then from the front again."""
    rule = project.review_rule
    last = after and rule != ReviewRule.RISKIEST and _HANDED_IN.first(project.pk, after)
    asked = (user.pk, project.pk, not_by(user, project), after or 0, timezone.now())
    looks = [
        (skip, later) for skip in (True, False) for later in (True, False) if last or not later
    ]
    for skip_locked, later in looks:
        for pk, image in _reviewable(rule, later, skip_locked)(*asked, last or A_TIME):
            lease = _JUDGED.instance(pk)  # its own, or another one's that has run out
            if lease is None:
                lease = Lease(project=project, image_id=image, annotation_id=pk, purpose=REVIEW)
            lease.user, lease.until = user, _until(project)
            (_save_judge if lease.pk else _add_lease)(lease)
            return lease
    return None


# --- while somebody works ---------------------------------------------------------------------
def take(user, project: Project, image: Image) -> None:
    """To be called when `user` begins an annotation: whoever works on an image holds it.

    Whoever calls it settles the image afterwards.
    """
    role = require(user, project, Role.ANNOTATOR)
    held = _HELD.instance(user.pk, image.pk)
    if not queue.may_start(user, role, project, held):
        raise Conflict(
            "not_given",
            "In this project the queue says who labels which image.",
            hint="Ask for the next image.",
        )
    if held is None:
        _make_lease(user, project, image.pk, _until(project))
    else:
        _PUT_OFF(user.pk, image.pk, _until(project))


def keep(annotation: Annotation) -> None:
    """To be called with every save: it is a heartbeat."""
    until = _until(annotation.project)
    if not _PUT_OFF(annotation.annotator_id, annotation.image_id, until):
        _hold(annotation.annotator, annotation.project, annotation.image_id)


def heartbeat(user, lease: Lease) -> Lease:
    """Puts the end off. Conflict `lease_lost` when the image is somebody else's by now."""
    with transaction.atomic():
        lease = _own(user, lease)
        if lease.state == State.RETURNED and lease.purpose == LABEL:
            if not _keep_places(lease.image_id):
                raise Conflict(
                    "lease_lost",
                    "The image was given to somebody else while you were away.",
                    hint="What you saved is kept. Ask for the next image.",
                )
            return _hold(user, lease.project, lease.image_id)
        if lease.state != State.ACTIVE:
            raise Conflict("lease_lost", "You do not have this image any more.")
        lease.until = _until(lease.project)
        lease.save(update_fields=["until"])
    return lease


def hand_back(user, lease: Lease) -> None:
    """The next who asks may have it. Twice is once."""
    with transaction.atomic():
        lease = _own(user, lease)
        if lease.state == State.ACTIVE:
            _end(lease, State.RETURNED)


def hand_back_all(user_id: int, project_id: int | None = None) -> None:
    """Ends what a person has open, in the project or everywhere; in a transaction."""
    rows = Lease.objects.filter(user_id=user_id, state=State.ACTIVE)
    if project_id is not None:
        rows = rows.filter(project_id=project_id)
    for lease in rows.select_for_update(of=("self",), no_key=True).order_by("image"):
        _end(lease, State.RETURNED)


def skip(user, lease: Lease, reason: str, note: str = "") -> None:
    """Hands it back for good: it does not come again for `user`, and managers see why."""
    if reason == Lease.Reason.OTHER and not note.strip():
        raise ServiceError(400, "invalid", "Say in a few words why.", "note")
    with transaction.atomic():
        lease = _own(user, lease)
        if lease.state != State.ACTIVE:
            raise Conflict("lease_lost", "You do not have this image any more.")
        _end(lease, State.SKIPPED, reason=reason, note=note.strip())


def offer_again(user, lease: Lease) -> None:
    """A skipped image comes again for the one who skipped it. Managers only."""
    require(user, lease.project_id, Role.MANAGER)
    with transaction.atomic():
        Lease.objects.filter(pk=lease.pk, state=State.SKIPPED).update(state=State.RETURNED)
        marks.opened(lease.project_id, lease.image_id)


def take_away(user, lease: Lease) -> None:
    """A manager gives an image back to the queue that somebody has."""
    require(user, lease.project_id, Role.MANAGER)
    with transaction.atomic():
        now = Lease.objects.select_for_update(no_key=True).filter(pk=lease.pk).first()
        if now and now.state == State.ACTIVE:
            _end(now, State.RETURNED)


def moved(annotation: Annotation) -> None:
    """To be called when an annotation was submitted, judged or reopened: leases follow it.

    Whoever calls it settles the image afterwards.
    """
    now = timezone.now()
    if annotation.status != Status.SUBMITTED:
        judged = Lease.objects.filter(annotation=annotation, state=State.ACTIVE)
        judged.update(state=State.DONE, ended_at=now)
    if annotation.status in (Status.SUBMITTED, Status.APPROVED):
        _DONE(annotation.annotator_id, annotation.image_id, now)
    if annotation.status == Status.IN_PROGRESS:
        until = now + timedelta(days=REOPENED_DAYS)
        _hold(annotation.annotator, annotation.project, annotation.image_id, until)


def sweep() -> int:
    """Hands back what nobody has given a sign of. Safe anywhere, by several at once."""
    ended = 0
    overdue = Lease.objects.filter(state=State.ACTIVE, until__lte=timezone.now())
    for project in Project.objects.filter(pk__in=overdue.order_by().values("project")):
        with transaction.atomic():
            ended += _end_expired(project)
    return ended


def _end_expired(project: Project) -> int:
    """In order of images, so that two who do this never wait for each other."""
    if not _ONE_EXPIRED(project.pk):
        return 0
    overdue = Lease.objects.filter(project=project, state=State.ACTIVE, until__lte=timezone.now())
    locked = overdue.select_for_update(of=("self",), no_key=True, skip_locked=True)
    found = list(locked.order_by("image")[:HANDED_BACK_AT_ONCE])
    for lease in found:
        _end(lease, State.RETURNED)
    return len(found)


def _end(lease: Lease, state: str, **values: Any) -> None:
    lease.state = state
    lease.ended_at = timezone.now()
    for name, value in values.items():
        setattr(lease, name, value)
    lease.save(update_fields=["state", "ended_at", *values])
    if lease.purpose == LABEL:
        _keep_places(lease.image_id)
        marks.opened(lease.project_id, lease.image_id)


def _own(user, lease: Lease) -> Lease:
    rows = Lease.objects.select_related("project").filter(user=user, pk=lease.pk)
    now = rows.select_for_update(of=("self",), no_key=True).first()
    if now is None:
        raise NotFound("lease")
    return now


# --- rules, batches and priorities ------------------------------------------------------------
RULES = (
    "annotators", "free_picking", "lease_minutes", "lone_review", "review_rule", "review_share",
)  # fmt: skip


def set_rules(user, project: Project, changes: dict[str, Any]) -> Project:
    """Changes any of `RULES`. Managers only."""
    require(user, project, Role.MANAGER)
    with transaction.atomic():
        before = project.annotators
        for name, value in changes.items():
            setattr(project, name, value)
        project.save(update_fields=list(changes))
        what = ", ".join(f"{name} = {value}" for name, value in changes.items())
        audit.note(user, audit.Kind.RULES, what, project=project)
        if project.annotators != before:
            recount(Image.objects.filter(project=project))
            marks.opened(project.pk)
    return project


def make_batch(user, project: Project, **values: Any) -> Batch:
    """A new batch, the last one. `name`, `due_at`, `annotators`. Managers only."""
    require(user, project, Role.MANAGER)
    siblings = Batch.objects.filter(project=project)
    if siblings.count() >= MAX_BATCHES:
        raise Conflict("too_many", f"A project has at most {MAX_BATCHES} batches.")
    last = siblings.order_by("order").values_list("order", flat=True).last()
    return _named(Batch(project=project, order=0 if last is None else last + 1), values)


def change_batch(user, batch: Batch, changes: dict[str, Any]) -> Batch:
    """Changes name, due_at, annotators or order. Managers only."""
    require(user, batch.project_id, Role.MANAGER)
    with transaction.atomic():
        before = batch.annotators
        batch = _named(batch, changes)
        if batch.annotators != before:
            recount(Image.objects.filter(batch=batch))
            marks.opened(batch.project_id)
    return batch


def move_batch(user, batch: Batch, *, up: bool) -> None:
    """One place up or down in the order. Managers only."""
    require(user, batch.project_id, Role.MANAGER)
    with transaction.atomic():
        rows = list(Batch.objects.filter(project=batch.project_id))
        here = rows.index(batch)
        there = here + (-1 if up else 1)
        if 0 <= there < len(rows):
            rows[here], rows[there] = rows[there], rows[here]
        for order, row in enumerate(rows):
            row.order = order
        Batch.objects.bulk_update(rows, ["order"])


def _named(batch: Batch, values: dict[str, Any]) -> Batch:
    for name, value in values.items():
        setattr(batch, name, value.strip() if name == "name" else value)
    if not batch.name:
        raise ServiceError(400, "invalid", "A name is needed.", "name")
    try:
        with transaction.atomic():
            batch.save()
    except IntegrityError:
        raise Conflict(
            "name_taken", f"There already is a batch named {batch.name}.", "name"
        ) from None
    return batch


def remove_batch(user, batch: Batch) -> None:
    """Its images stay, in no batch. Managers only."""
    require(user, batch.project_id, Role.MANAGER)
    with transaction.atomic():
        images = list(batch.images.values_list("pk", flat=True)) if batch.annotators else []
        batch.delete()
        recount(Image.objects.filter(pk__in=images))
        marks.opened(batch.project_id)


def place(
    user,
    project: Project,
    images: Iterable[int],
    *,
    batch: Batch | bool | None = False,
    priority: int | None = None,
) -> int:
    """Puts images into a batch (None: into none) or gives them a priority. Managers only.

    Returns how many. Ids of other projects are refused, and nothing is changed then.
    """
    require(user, project, Role.MANAGER)
    ids = set(images)
    rows = Image.objects.filter(project=project, pk__in=ids)
    if rows.count() != len(ids):
        raise NotFound("image")
    with transaction.atomic():
        if batch is not False:
            rows.update(batch=batch)
            recount(rows)
            facts.due_again(Annotation.objects.filter(image__in=rows))
        if priority is not None:
            rows.update(priority=priority)
        marks.opened(project.pk)
    return len(ids)
