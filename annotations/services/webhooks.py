"""Other programs are told what happens in a project: signed, retried, never lost.

A delivery is a row that is written in the transaction of what it tells of. Workers send what is
due; a failure is tried again after 10 s, 40 s, 160 s and so on, for about 15 hours. A webhook that
answered nothing good for OFF_AFTER_DAYS is switched off, and those who can mend it are told.
"""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.models import Delivery, Event, Membership, Project, Webhook
from annotations.models.projects import Role
from annotations.models.webhooks import TEST
from annotations.services import audit, outbound
from annotations.services.notifications import Kind, tell

log = logging.getLogger(__name__)

MAX_WEBHOOKS = 10
MAX_ATTEMPTS = 8
OFF_AFTER_DAYS = 5
KEEP_DAYS = 30
AT_ONCE = 20
HELD_SECONDS = 60
"""A worker that died in the middle of a delivery loses it after so long."""
State = Delivery.State


def available() -> bool:
    """Whether whoever runs this installation allows webhooks at all."""
    return bool(settings.WEBHOOK_HOSTS)


# --- what managers do ---------------------------------------------------------------------------
def create(user, project: Project, *, url: str, events: Iterable[str]) -> Webhook:
    """A new webhook; its `secret` signs what it gets. Managers only."""
    require(user, project, Role.MANAGER)
    _check(url)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if Webhook.objects.filter(project=project).count() >= MAX_WEBHOOKS:
            raise Conflict("too_many", f"A project has at most {MAX_WEBHOOKS} webhooks.")
        webhook = Webhook.objects.create(
            project=project,
            url=url,
            secret=secrets.token_hex(32),
            events=_ordered(events),
            created_by=user,
        )
        _note(user, webhook, "Made")
    return webhook


def update(user, webhook: Webhook, changes: dict[str, Any]) -> Webhook:
    """Changes `url`, `events` or `active`. Managers only."""
    require(user, webhook.project, Role.MANAGER)
    if "url" in changes:
        _check(changes["url"])
        webhook.url = changes["url"]
    if "events" in changes:
        webhook.events = _ordered(changes["events"])
    if "active" in changes:
        webhook.active = changes["active"]
    webhook.failing_since = None
    with transaction.atomic():
        webhook.save(update_fields=["url", "events", "active", "failing_since"])
        _note(user, webhook, "Changed")
    return webhook


def renew_secret(user, webhook: Webhook) -> Webhook:
    """Another secret; what is sent from now on is signed with it. Managers only."""
    require(user, webhook.project, Role.MANAGER)
    webhook.secret = secrets.token_hex(32)
    with transaction.atomic():
        webhook.save(update_fields=["secret"])
        _note(user, webhook, "Made a new secret for")
    return webhook


def remove(user, webhook: Webhook) -> None:
    """Ends it; what waits is not sent. Managers only."""
    require(user, webhook.project, Role.MANAGER)
    with transaction.atomic():
        _note(user, webhook, "Removed")
        webhook.delete()


def send_test(user, webhook: Webhook) -> Delivery:
    """Sends an event `test`, whatever events the webhook wants. Managers only."""
    _may_send(user, webhook)
    with transaction.atomic():
        return _queue(webhook, TEST, {"by": user.username})


def send_again(user, delivery: Delivery) -> Delivery:
    """Sends it once more, under the same id, from the first attempt on. Managers only."""
    _may_send(user, delivery.webhook)
    with transaction.atomic():
        now = timezone.now()
        # One that is due within HELD_SECONDS may be on its way at this moment.
        later = Q(next_at__gt=now + timedelta(seconds=HELD_SECONDS)) | ~Q(state=State.QUEUED)
        again = {"state": State.QUEUED, "attempts": 0, "next_at": now, "ended_at": None}
        Delivery.objects.filter(later, pk=delivery.pk).update(**again)
        transaction.on_commit(wake)
    delivery.refresh_from_db()
    return delivery


def _check(url: str) -> None:
    _require_available()
    try:
        outbound.check(url)
    except outbound.Refused as refusal:
        raise ServiceError(400, "invalid", str(refusal), "url") from None


def _require_available() -> None:
    if not available():
        raise Conflict(
            "webhooks_off",
            "Webhooks are switched off on this server.",
            hint="Whoever runs it can name the hosts that may be called, in WEBHOOK_HOSTS.",
        )


def _may_send(user, webhook: Webhook) -> None:
    require(user, webhook.project, Role.MANAGER)
    _require_available()
    if not webhook.active:
        raise Conflict("inactive", "The webhook is switched off.", hint="Switch it on first.")


def _ordered(events: Iterable[str]) -> list[str]:
    given = set(events)
    return [event.value for event in Event if event.value in given]


def _note(user, webhook: Webhook, done: str) -> None:
    what = f"{done} the webhook {webhook.url}"
    audit.note(user, audit.Kind.WEBHOOK, what, project=webhook.project_id)


# --- what happens -------------------------------------------------------------------------------
def emit(project: Project, event: Event, data: dict[str, Any]) -> None:
    """Queues the event for the webhooks that want it, in the transaction of what it tells of."""
    if not available():
        return
    for webhook in Webhook.objects.filter(project=project, active=True).select_related("project"):
        if event in webhook.events:
            _queue(webhook, event, data)


def _queue(webhook: Webhook, event: str, data: dict[str, Any]) -> Delivery:
    identity, now = uuid4(), timezone.now()
    body = {
        "id": str(identity),
        "event": event,
        "at": now.isoformat(),
        "project": {"id": webhook.project_id, "name": webhook.project.name},
        "data": data,
    }
    transaction.on_commit(wake)
    return Delivery.objects.create(
        webhook=webhook, uuid=identity, event=event, body=json.dumps(body), next_at=now
    )


# --- sending ------------------------------------------------------------------------------------
def wake() -> None:
    """Tells a worker to look. A lost message is harmless: `sweep` repeats it."""
    try:
        current_app.send_task(
            "annotations.tasks.deliver", queue="io", retry=False, ignore_result=True
        )
    except Exception:  # any broker's own errors
        log.warning("No worker could be woken to deliver; upkeep will", exc_info=True)


def sweep() -> None:
    """Wakes a worker for what has been due for a while."""
    late = timezone.now() - timedelta(seconds=5)
    if Delivery.objects.filter(state=State.QUEUED, next_at__lte=late).exists():
        wake()


def deliver_due() -> int:
    """Sends at most AT_ONCE of what is due, the oldest first; returns how many it tried."""
    now = timezone.now()
    due = Delivery.objects.filter(state=State.QUEUED, next_at__lte=now).order_by("next_at")
    ids = due.values_list("pk", flat=True)[:AT_ONCE]
    return sum(_deliver(pk) for pk in list(ids))


def _deliver(pk: int) -> bool:
    """One attempt, unless another worker is at it. That it is held, the row says."""
    now = timezone.now()
    held = Delivery.objects.filter(pk=pk, state=State.QUEUED, next_at__lte=now).update(
        next_at=now + timedelta(seconds=HELD_SECONDS), attempts=F("attempts") + 1
    )
    if not held:
        return False
    delivery = Delivery.objects.select_related("webhook__project").get(pk=pk)
    webhook = delivery.webhook
    begun = time.monotonic()
    delivery.status, delivery.response, delivery.error, good = None, "", "", False
    if not webhook.active:
        delivery.error, delivery.attempts = "The webhook is switched off.", MAX_ATTEMPTS
    else:
        try:
            answer = outbound.post(webhook.url, delivery.body.encode(), headers(delivery))
            delivery.status, delivery.response = answer.status, answer.text
            good = 200 <= answer.status < 300
            if 300 <= answer.status < 400:
                delivery.error = "It answered with a redirect, which is not followed."
        except (outbound.Refused, outbound.Failed) as error:
            delivery.error = str(error)[:300]
    delivery.seconds = round(time.monotonic() - begun, 3)
    _record(delivery, good)
    return True


def headers(delivery: Delivery) -> dict[str, str]:
    """Of one attempt, made now."""
    timestamp = str(int(time.time()))
    return {
        "Content-Type": "application/json",
        "User-Agent": "Labeler-Webhook/1",
        "Labeler-Event": delivery.event,
        "Labeler-Delivery": str(delivery.uuid),
        "Labeler-Timestamp": timestamp,
        "Labeler-Signature": "v1=" + sign(delivery.webhook.secret, timestamp, delivery.body),
    }


def sign(secret: str, timestamp: str, body: str) -> str:
    """HMAC-SHA256 (RFC 2104), hexadecimal, over the timestamp, a full stop and the body."""
    return hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()


def _record(delivery: Delivery, good: bool) -> None:
    """Ends the delivery, or says when it is tried again; and how the webhook stands."""
    now = timezone.now()
    if good or delivery.attempts >= MAX_ATTEMPTS:
        delivery.state = State.DONE if good else State.FAILED
        delivery.next_at, delivery.ended_at = None, now
    else:
        delivery.next_at = now + timedelta(seconds=10 * 4 ** (delivery.attempts - 1))
    fields = ("state", "next_at", "ended_at", "status", "response", "error", "seconds")
    values = {name: getattr(delivery, name) for name in fields}
    Delivery.objects.filter(pk=delivery.pk).update(**values)
    webhook = Webhook.objects.filter(pk=delivery.webhook_id, active=True)
    if good:
        webhook.exclude(failing_since=None).update(failing_since=None)
    elif not webhook.filter(failing_since=None).update(failing_since=now):
        _switch_off(webhook.filter(failing_since__lt=now - timedelta(days=OFF_AFTER_DAYS)))


def _switch_off(found: Any) -> None:
    with transaction.atomic():
        webhook = found.select_related("project", "created_by").first()
        if webhook is None or not found.update(active=False):
            return
        owners = Membership.objects.filter(project=webhook.project, role=Role.OWNER)
        people = {row.user_id: row.user for row in owners.select_related("user")}
        if webhook.created_by is not None:
            people[webhook.created_by_id] = webhook.created_by
        host = outbound.urlsplit(webhook.url).hostname
        title = f"The webhook to {host} was switched off"
        why = f"It has failed for {OFF_AFTER_DAYS} days. Mend it and switch it on again."
        tell(people.values(), Kind.WEBHOOK, title, why, project=webhook.project)
        _note(None, webhook, "Switched off, after failures,")


def tidy() -> None:
    """Drops from the log what is older than KEEP_DAYS."""
    old = timezone.now() - timedelta(days=KEEP_DAYS)
    Delivery.objects.filter(created_at__lt=old).exclude(state=State.QUEUED).delete()
