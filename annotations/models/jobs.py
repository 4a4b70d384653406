import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotations.models.images import Image
from annotations.models.projects import Project, Role


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user) -> "JobQuerySet":
        """Jobs of projects where one is manager or above, and one's own in one's projects."""
        managing = Q(
            project__memberships__user_id=user.pk or 0,
            project__memberships__role__in=[Role.MANAGER, Role.OWNER],
        )
        own = Q(created_by_id=user.pk, project__memberships__user_id=user.pk or 0)
        return self.filter(managing | own).distinct()


class Job(models.Model):
    """Work to be done by a worker. This row is the truth; a broker message only wakes a worker.

    A worker holds the lease until `lease_expires_at` and extends it while it works. A job whose
    lease ran out is tried again, up to JOB_MAX_ATTEMPTS times.
    """

    class Kind(models.TextChoices):
        INGEST = "ingest", "Image upload"
        IMPORT = "import", "Import"
        EXPORT = "export", "Export"
        RELEASE = "release", "Release"
        PRELABEL = "prelabel", "Pre-labeling"
        CONSENSUS = "consensus", "Consensus"
        SUSPECTS = "suspects", "Search for suspicious labels"
        TRAIN = "train", "Training"

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    params = models.JSONField(default=dict)
    key = models.CharField(
        max_length=200, unique=True, help_text="The same request asked twice is one job."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True, help_text="What it is doing, or the report when ended.")
    error = models.JSONField(null=True, help_text="{code, detail, field, hint} when failed.")
    result = models.JSONField(
        default=dict, help_text="What came out; an export: its file and size."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease = models.UUIDField(null=True, help_text="Who works on it: a new one with every attempt.")
    lease_expires_at = models.DateTimeField(null=True)
    cancel_requested = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "lease_expires_at"], name="job_by_lease"),
            models.Index(fields=["project", "-id"], name="job_by_project"),
        ]


class JobShare(models.Model):
    """One worker's part in a job of many images.

    The items that it took are its own until the lease runs out; then any other worker may take
    them. Without this row nothing more is written for them.
    """

    lease = models.UUIDField(primary_key=True)
    job = models.ForeignKey(Job, models.CASCADE, related_name="shares")
    lease_expires_at = models.DateTimeField()
    worker = models.CharField(max_length=120, help_text="Which process: host and number.")
    device = models.CharField(max_length=80, blank=True, help_text="What its engine runs on.")
    memory_used = models.PositiveBigIntegerField(null=True, help_text="Bytes of the GPU's memory.")
    memory_total = models.PositiveBigIntegerField(null=True)
    done = models.PositiveIntegerField(default=0, help_text="Images that it ended.")
    started_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["started_at", "pk"]

    @property
    def speed(self) -> float:
        """Images per second since it began."""
        passed = (timezone.now() - self.started_at).total_seconds()
        return self.done / passed if passed > 0 else 0.0

    @property
    def per_minute(self) -> float:
        return 60 * self.speed


class JobItem(models.Model):
    """One image of a job."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="items")
    image = models.ForeignKey(Image, models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=Job.State.choices, default=Job.State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    seconds = models.FloatField(default=0)
    share = models.ForeignKey(
        JobShare, models.SET_NULL, null=True, related_name="items", help_text="Who works on it."
    )

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["job", "image"], name="one_item_per_image")]
        indexes = [models.Index(fields=["job", "state", "id"], name="job_item_by_state")]
