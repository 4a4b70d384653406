import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotations.models.projects import Membership, Project, Role


def _managed(user):
    rows = Membership.objects.filter(user_id=user.pk or 0, role__in=[Role.MANAGER, Role.OWNER])
    return rows.values("project")


class Event(models.TextChoices):
    """What a webhook can be told of."""

    SUBMITTED = "submitted", "Image submitted"
    SENT_BACK = "sent_back", "Image sent back"
    APPROVED = "approved", "Image approved"
    JOB = "job", "Job done or failed"
    RELEASE = "release", "Release made"
    EXPORT = "export", "Export ready"


TEST = "test"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def visible_to(self, user) -> "WebhookQuerySet":
        """Those of projects in which `user` is a manager or above."""
        return self.filter(project__in=_managed(user))


class Webhook(models.Model):
    """An address of another program that is told what happens in a project."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    secret = models.CharField(max_length=64, help_text="Signs what is sent.")
    events = models.JSONField(default=list, help_text="Kinds of events that are sent.")
    active = models.BooleanField(default=True)
    failing_since = models.DateTimeField(
        null=True, help_text="When the first of the failures came that no success followed."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["id"]


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def visible_to(self, user) -> "DeliveryQuerySet":
        return self.filter(webhook__project__in=_managed(user))


class Delivery(models.Model):
    """One event on its way to one webhook. The row is the truth; a message only wakes a worker."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        DONE = "done", "Delivered"
        FAILED = "failed", "Given up"

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    event = models.CharField(max_length=10)
    body = models.TextField(help_text="The JSON that is sent, to the byte.")
    state = models.CharField(max_length=6, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, help_text="Not tried before; null when ended.")
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the last answer.")
    response = models.TextField(blank=True, help_text="How the last answer began.")
    error = models.CharField(max_length=300, blank=True, help_text="Why no answer came.")
    seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="queued"), name="delivery_due"),
            models.Index(fields=["webhook", "-id"], name="delivery_by_webhook"),
            models.Index(fields=["created_at"], name="delivery_by_age"),
        ]
