"""Webhooks of a project, and what they were sent."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotations.access import find
from annotations.errors import ServiceError
from annotations.models import Delivery, Event, Webhook
from annotations.models.projects import Role
from annotations.pages.base import (
    action,
    keyset,
    page,
    person,
    project_context,
    read,
    refuse_in,
)
from annotations.pages.forms import WebhookForm
from annotations.services import webhooks

PER_PAGE = 50
BADGES = {"queued": "accent", "done": "success", "failed": "error"}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def overview(request: HttpRequest, project_id: int) -> HttpResponse:
    """The list; a POST makes one, and its answer alone shows the secret."""
    context = project_context(request, project_id, "pages:settings", Role.MANAGER)
    form = WebhookForm(request.POST or None, initial={"events": Event.values})
    if request.method == "POST" and form.is_valid():
        try:
            values = form.cleaned_data
            made = webhooks.create(person(request), context["project"], **values)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            return _one(request, context, made, secret=made.secret)
    context |= {
        "form": form,
        "available": webhooks.available(),
        "webhooks": Webhook.objects.filter(project=context["project"]),
    }
    status = 400 if form.errors else 200
    return render(request, "annotations/webhooks.html", context, status=status)


def _found(request: HttpRequest, project_id: int, webhook_id: int) -> Webhook:
    rows = Webhook.objects.select_related("project")
    return find(rows, person(request), pk=webhook_id, project=project_id)


@read
def one(request: HttpRequest, project_id: int, webhook_id: int) -> HttpResponse:
    """Its settings and the log."""
    context = project_context(request, project_id, "pages:settings", Role.MANAGER)
    return _one(request, context, _found(request, project_id, webhook_id))


def _one(
    request: HttpRequest, context: dict[str, Any], webhook: Webhook, secret: str = ""
) -> HttpResponse:
    rows = Delivery.objects.filter(webhook=webhook)
    found, after = keyset(rows, request.GET.get("after"), PER_PAGE, descending=True)
    form = WebhookForm(initial={"url": webhook.url, "events": webhook.events})
    context |= {
        "webhook": webhook,
        "secret": secret,
        "form": form,
        "available": webhooks.available(),
        "deliveries": [(row, BADGES[row.state]) for row in found],
        "waiting": any(row.state == Delivery.State.QUEUED for row in found),
        "max_attempts": webhooks.MAX_ATTEMPTS,
        "keep_days": webhooks.KEEP_DAYS,
        "off_after": webhooks.OFF_AFTER_DAYS,
        "next_url": f"{request.path}?after={after}" if after else "",
    }
    return render(request, "annotations/webhook.html", context)


@action("pages:webhooks")
def change(request: HttpRequest, project_id: int, webhook_id: int) -> HttpResponse:
    """Its address and events, or `active` alone."""
    webhook = _found(request, project_id, webhook_id)
    if "active" in request.POST:
        changes: dict[str, Any] = {"active": request.POST["active"] == "true"}
    else:
        form = WebhookForm(request.POST)
        if not form.is_valid():
            words = "Type in an address and choose at least one event."
            raise ServiceError(400, "invalid", words)
        changes = form.cleaned_data
    webhooks.update(person(request), webhook, changes)
    messages.success(request, "Saved.")
    return redirect("pages:webhook", project_id, webhook_id)


@never_cache
@action("pages:webhooks")
def renew_secret(request: HttpRequest, project_id: int, webhook_id: int) -> HttpResponse:
    """The page that this answers with is the only place where the secret is shown."""
    webhook = webhooks.renew_secret(person(request), _found(request, project_id, webhook_id))
    context = project_context(request, project_id, "pages:settings", Role.MANAGER)
    return _one(request, context, webhook, secret=webhook.secret)


@action("pages:webhooks")
def remove(request: HttpRequest, project_id: int, webhook_id: int) -> None:
    webhooks.remove(person(request), _found(request, project_id, webhook_id))
    messages.success(request, "The webhook was removed.")


@action("pages:webhooks")
def test(request: HttpRequest, project_id: int, webhook_id: int) -> HttpResponse:
    webhooks.send_test(person(request), _found(request, project_id, webhook_id))
    return redirect("pages:webhook", project_id, webhook_id)


@action("pages:webhooks")
def send_again(
    request: HttpRequest, project_id: int, webhook_id: int, delivery_id: int
) -> HttpResponse:
    rows = Delivery.objects.select_related("webhook__project")
    about = {"webhook": webhook_id, "webhook__project": project_id}
    webhooks.send_again(person(request), find(rows, person(request), pk=delivery_id, **about))
    return redirect("pages:webhook", project_id, webhook_id)
