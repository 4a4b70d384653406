"""The bell of every page, and the list behind it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_POST

from annotations.access import find
from annotations.models import Notification
from annotations.pages.base import keyset, page, person, read
from annotations.selectors.notifications import (
    MANY,
    list_notifications,
    path_of,
    unread_count,
    wanted_kinds,
)
from annotations.services import notifications

PER_PAGE = 50


def bell(request: HttpRequest) -> dict[str, Any]:
    """Context of every page: `unread`, counted where a template shows it."""
    return {"unread": SimpleLazyObject(lambda: unread_count(request.user)), "unread_many": MANY}


@read
def overview(request: HttpRequest) -> HttpResponse:
    user = person(request)
    unread = request.GET.get("unread") == "1"
    rows = list_notifications(user, unread=unread)
    found, after = keyset(rows, request.GET.get("after"), PER_PAGE, descending=True)
    wanted = wanted_kinds(user)
    context = {
        "notifications": found,
        "only_unread": unread,
        "kinds": [(kind.value, kind.label, wanted[kind]) for kind in Notification.Kind],
        "keep_days": notifications.KEEP_DAYS,
        "next_url": f"{request.path}?unread={int(unread)}&after={after}" if after else "",
    }
    return render(request, "annotations/notifications.html", context)


@require_POST
@page
def follow(request: HttpRequest, notification_id: int) -> HttpResponse:
    """Marks it as read and leads to what it is about."""
    rows = Notification.objects.select_related("annotation")
    notification = find(rows, person(request), pk=notification_id)
    notifications.mark_read(person(request), [notification.pk])
    return redirect(path_of(notification))


@require_POST
@page
def mark_read(request: HttpRequest) -> HttpResponse:
    """Marks one as read, or all without `id`."""
    asked = request.POST.get("id", "")
    one = [int(asked)] if asked.isdecimal() and len(asked) < 19 else []
    count = notifications.mark_read(person(request), one if asked else None)
    if not asked:
        messages.success(request, f"{count} marked as read.")
    return redirect("pages:notifications")


@require_POST
@page
def choose(request: HttpRequest) -> HttpResponse:
    """The boxes that are ticked are wanted."""
    ticked = request.POST.getlist("kind")
    wanted = {kind.value: kind.value in ticked for kind in Notification.Kind}
    notifications.choose_kinds(person(request), wanted)
    messages.success(request, "Kept. It counts for what happens from now on.")
    return redirect("pages:notifications")
