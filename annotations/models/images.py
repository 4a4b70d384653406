import uuid

from django.db import models
from django.db.models import Q

from annotations.models.projects import Batch, Project


class StoredFile(models.Model):
    """One content-addressed picture: the bytes as they came and the upright raster.

    Shared by every project that holds the same content. Of a file with several pictures (pages,
    frames, slices) each has a row; they share the original.
    """

    sha256 = models.CharField(
        max_length=64,
        unique=True,
        help_text="Of the original bytes; of a further picture in them, of “<that>#<number>”.",
    )
    original = models.CharField(
        max_length=255, db_index=True, help_text="Storage name of the original bytes."
    )
    number = models.PositiveIntegerField(default=0, help_text="Of the picture in the file, from 0.")
    reference = models.TextField(
        blank=True, help_text="The original's path or s3:// address, where it was not copied."
    )
    original_type = models.CharField(max_length=100, help_text="MIME type of the original.")
    upright = models.CharField(
        max_length=255, help_text="Storage name of the upright 8-bit raster that browsers draw."
    )
    upright_type = models.CharField(max_length=100)
    thumbnail = models.CharField(
        max_length=255, help_text="Storage name: JPEG or WebP, at most 320 px."
    )
    values = models.CharField(
        max_length=255, blank=True, help_text="Storage name: gzipped uint16, of gray beyond 8 bits."
    )
    window = models.JSONField(
        null=True, help_text="{low, high, least, greatest, inverted, scale, offset} of `values`."
    )
    levels = models.PositiveSmallIntegerField(default=0, help_text="Of the tile pyramid; 0: none.")
    width = models.PositiveIntegerField(help_text="Of the upright raster, pixels.")
    height = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)


class ImageQuerySet(models.QuerySet["Image"]):
    def visible_to(self, user) -> "ImageQuerySet":
        return self.filter(project__memberships__user_id=user.pk or 0)


class Image(models.Model):
    """One upright raster in one project."""

    class Status(models.TextChoices):
        """The state of the work on the image, kept equal to its annotations by the services."""

        NEW = "new", "New"
        IN_PROGRESS = "in_progress", "In progress"
        SUBMITTED = "submitted", "Submitted"
        SENT_BACK = "sent_back", "Sent back"
        APPROVED = "approved", "Approved"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="images")
    file = models.ForeignKey(StoredFile, models.PROTECT, related_name="images")
    name = models.CharField(max_length=1024, help_text="As the person named it: never a path.")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.NEW)
    priority = models.IntegerField(default=0, help_text="Greater is given out first.")
    reason = models.CharField(
        max_length=200, blank=True, help_text="Why a model wants it labeled soon."
    )
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="images")
    has_place = models.BooleanField(
        default=True, help_text="Fewer people have it than are asked to label it."
    )
    export_id = models.PositiveBigIntegerField(null=True, help_text="The id in exports, from 1.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ImageQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "file"], name="content_once_per_project"),
            models.UniqueConstraint(fields=["project", "export_id"], name="image_export_id_once"),
        ]
        indexes = [
            models.Index(fields=["project", "status", "id"], name="image_by_status"),
            models.Index(fields=["project", "id"], name="image_by_project"),
            models.Index(fields=["project", "name"], name="image_by_name"),
            models.Index(
                fields=["project", "has_place", "batch", "-priority", "id"], name="image_queue"
            ),
            models.Index(
                fields=["project", "id"], name="image_with_place", condition=Q(has_place=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ImageTally(models.Model):
    """So many images more or fewer of one status among those of one block of ids.

    Counting a million rows for each page takes too long, and one row per status would make all who
    save wait for each other. So triggers on the table of images append here what changes, in the
    transaction that changes it, and `services.tallies` adds rows together now and then. At each
    moment the sum is the exact number. References nothing: rows cancel out after a project is gone.
    """

    BLOCK = 4096

    project = models.BigIntegerField()
    block = models.BigIntegerField(help_text="An image's id divided by BLOCK.")
    status = models.CharField(max_length=12)
    number = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["project", "block", "status"], name="tally_by_block")]
