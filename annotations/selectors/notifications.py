"""Reading what a person was told."""

from typing import Any

from annotations.models import Notification, User
from annotations.models.notifications import NotificationQuerySet
from annotations.prepared import Prepared

MANY = 100
Kind = Notification.Kind


def list_notifications(user, *, unread: bool = False) -> NotificationQuerySet:
    """Those of `user`, the newest first."""
    rows = Notification.objects.visible_to(user).select_related("project", "annotation")
    return rows.filter(read_at=None) if unread else rows


_UNREAD = Prepared(
    lambda user: list_notifications(User(pk=user), unread=True).order_by().values_list("pk")[:MANY]
)


def unread_count(user) -> int:
    """How many `user` has not read; MANY stands for so many and more."""
    return len(_UNREAD(user.pk or 0))


def path_of(notification: Notification) -> str:
    """The page that it is about."""
    project = f"/projects/{notification.project_id}"
    if notification.kind == Kind.SUBMITTED:
        return f"{project}/review"
    if notification.annotation is not None:
        image = notification.annotation.image_id
        return f"/images/{image}/edit?annotation={notification.annotation_id}"
    if notification.job_id is not None:
        return f"/jobs/{notification.job_id}"
    if notification.kind == Kind.JOINED:
        return f"{project}/members"
    if notification.kind == Kind.WEBHOOK:
        return f"{project}/webhooks"
    return "/notifications"


def wanted_kinds(user) -> dict[str, bool]:
    """Each kind, and whether `user` wants to be told."""
    return {kind.value: kind.value not in user.muted for kind in Kind}


def notification_values(notification: Notification) -> dict[str, Any]:
    project = notification.project
    return {
        "id": notification.pk,
        "kind": notification.kind,
        "title": notification.title,
        "text": notification.text,
        "project": project and {"id": project.pk, "name": project.name},
        "path": path_of(notification),
        "at": notification.at,
        "read": notification.read_at is not None,
    }
