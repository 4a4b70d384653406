"""What people are told in the app: written in the transaction of what it is about."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from annotations.models import Annotation, Job, Membership, Notification, Project, User
from annotations.models.notifications import NotificationQuerySet
from annotations.models.projects import MembershipQuerySet, Role
from annotations.prepared import Prepared

KEEP_DAYS = 90
Kind = Notification.Kind


def tell(
    people: Iterable[User],
    kind: Kind,
    title: str,
    text: str = "",
    *,
    project: Project | None = None,
    annotation: Annotation | None = None,
    job: Job | None = None,
) -> None:
    """Tells those of `people` who are active and want to know this kind of thing."""
    Notification.objects.bulk_create(
        (
            Notification(
                user=person,
                kind=kind,
                title=title[:300],
                text=_short(text),
                project=project,
                annotation=annotation,
                job=job,
            )
            for person in people
            if person.is_active and kind not in person.muted
        ),
        ignore_conflicts=kind == Kind.SUBMITTED,
    )


def _not_told(project: int, annotator: int) -> MembershipQuerySet:
    """Who reviews in a project and was not told since last reading it, but for one person."""
    told = Notification.objects.filter(
        user=OuterRef("user"), project=project, kind=Kind.SUBMITTED, read_at=None
    )
    rows = Membership.objects.filter(~Exists(told), project=project)
    return rows.exclude(role=Role.ANNOTATOR).exclude(user=annotator)


_TO_TELL = Prepared(
    lambda project, annotator: _not_told(project, annotator).order_by().values_list("pk")[:1]
)


def tell_reviewers(annotation: Annotation) -> None:
    """That work waits, to whoever may judge it and has not been told since last reading it."""
    asked = (annotation.project_id, annotation.annotator_id)
    if not _TO_TELL(*asked):
        return
    rows = _not_told(*asked)
    # In one order, so that of two who submit at once none waits for the other for ever.
    reviewers = [row.user for row in rows.select_related("user").order_by("user_id")]
    title = f"{annotation.annotator.username} submitted {annotation.image.name}"
    tell(reviewers, Kind.SUBMITTED, title, "It waits for review.", project=annotation.project)


_UNREAD = Prepared(
    lambda user, kind="": (
        Notification.objects.filter(user=user, kind=kind, read_at=None)
        .order_by()
        .values_list("pk")[:1]
    )
)


def settle(user, kind: Kind, **about: Project | Annotation) -> None:
    """What `user` was told of this is dealt with, so it counts as read."""
    if not _UNREAD(user.pk, kind):
        return
    rows = Notification.objects.filter(user=user, kind=kind, read_at=None, **about)
    rows.update(read_at=timezone.now())


def _of_nothing() -> NotificationQuerySet:
    """What people were told of waiting work in projects where nothing waits for them any more."""
    waiting = Annotation.objects.filter(
        project=OuterRef("project"), status=Annotation.Status.SUBMITTED, sampled=True
    ).exclude(annotator=OuterRef("user"))
    return Notification.objects.filter(~Exists(waiting), kind=Kind.SUBMITTED, read_at=None)


def _reviewers(project: int) -> MembershipQuerySet:
    return Membership.objects.filter(project=project).exclude(role=Role.ANNOTATOR).order_by()


_OF_NOTHING = Prepared(
    lambda project: (
        _of_nothing()
        .filter(project=project, user__in=_reviewers(project).values("user"))
        .order_by()
        .values_list("pk")
    )
)


def settle_reviewed(project: int | None = None) -> None:
    """Whoever judged it: what nothing waits behind any more counts as read.

    Of two verdicts at the same moment neither sees the other, and people and images come and go:
    so without a project all are looked through, which is done now and then.
    """
    if project is not None and not _OF_NOTHING(project):
        return
    rows = _of_nothing() if project is None else _of_nothing().filter(project=project)
    with transaction.atomic():
        locked = rows.select_for_update(of=("self",), skip_locked=True)
        ids = list(locked.order_by("pk").values_list("pk", flat=True))
        Notification.objects.filter(pk__in=ids).update(read_at=timezone.now())


def mark_read(user, ids: Iterable[int] | None = None) -> int:
    """Marks those of `user` as read, all where `ids` is None; returns how many. Others' stay."""
    rows = Notification.objects.filter(user=user, read_at=None)
    if ids is not None:
        rows = rows.filter(pk__in=list(ids))
    return rows.update(read_at=timezone.now())


def choose_kinds(user, wanted: Mapping[str, bool]) -> None:
    """Keeps which kinds `user` wants to be told of; those left out stay as they are."""
    muted = {kind for kind in user.muted if wanted.get(kind) is not True}
    user.muted = sorted(muted | {kind for kind, told in wanted.items() if not told})
    user.save(update_fields=["muted"])


def tidy() -> None:
    """Drops what is older than KEEP_DAYS."""
    Notification.objects.filter(at__lt=timezone.now() - timedelta(days=KEEP_DAYS)).delete()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 500 else text[:499] + "…"
