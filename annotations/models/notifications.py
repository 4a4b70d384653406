from django.conf import settings
from django.db import models
from django.db.models import Q

from annotations.models.annotations import Annotation
from annotations.models.jobs import Job
from annotations.models.projects import Project, projects_of


class NotificationQuerySet(models.QuerySet["Notification"]):
    def visible_to(self, user) -> "NotificationQuerySet":
        """One's own, without those of projects that one is no member of any more."""
        mine = self.filter(user_id=user.pk or 0)
        return mine.filter(Q(project=None) | Q(project__in=projects_of(user)))


class Notification(models.Model):
    """One thing that one person is told in the app. Title and text stay as they were then."""

    class Kind(models.TextChoices):
        SUBMITTED = "submitted", "Work waits for my review"
        SENT_BACK = "sent_back", "My work is sent back"
        COMMENT = "comment", "Somebody comments on my work"
        REPLY = "reply", "Somebody answers my comment"
        MENTION = "mention", "Somebody mentions me"
        JOB_DONE = "job_done", "A job that I started is done"
        JOB_FAILED = "job_failed", "A job that I started failed"
        JOINED = "joined", "Somebody accepts my invitation"
        WEBHOOK = "webhook", "A webhook is switched off"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    project = models.ForeignKey(Project, models.CASCADE, null=True, related_name="+")
    annotation = models.ForeignKey(Annotation, models.CASCADE, null=True, related_name="+")
    job = models.ForeignKey(Job, models.CASCADE, null=True, related_name="+")
    title = models.CharField(max_length=300)
    text = models.CharField(max_length=500, blank=True, help_text="The reason, or what was said.")
    at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "-id"], name="notification_by_person"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="notification_unread"),
            models.Index(fields=["at"], name="notification_by_age"),
        ]
        constraints = [
            # However much is submitted: of a project in which work waits, one is told once.
            models.UniqueConstraint(
                fields=["user", "project"],
                condition=Q(kind="submitted", read_at=None),
                name="one_unread_of_waiting_work",
            )
        ]
