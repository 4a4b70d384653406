import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotations.models.images import Image
from annotations.models.predictions import Proposal
from annotations.models.projects import Category, Project, Role, projects_of


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    def visible_to(self, user) -> "AnnotationQuerySet":
        """One's own, and everybody's in projects where one is reviewer or above."""
        own = Q(annotator_id=user.pk, project_id__in=projects_of(user))
        reviewing = projects_of(user, but=Role.ANNOTATOR)
        return self.filter(own | Q(project_id__in=reviewing))


class Annotation(models.Model):
    """One annotator's work on one image. No regions and `submitted`: looked at, nothing there."""

    class Status(models.TextChoices):
        IN_PROGRESS = "in_progress", "In progress"
        SUBMITTED = "submitted", "Submitted"
        SENT_BACK = "sent_back", "Sent back"
        APPROVED = "approved", "Approved"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="annotations")
    image = models.ForeignKey(Image, models.CASCADE, related_name="annotations")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="annotations", db_index=False
    )
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.IN_PROGRESS)
    revision = models.PositiveBigIntegerField(default=0, help_text="One more with every write.")
    seconds_spent = models.PositiveIntegerField(default=0, help_text="Active time in the editor.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    submitted_at = models.DateTimeField(null=True)
    submission = models.UUIDField(
        null=True, help_text="The key of the request that submitted it; a retry changes nothing."
    )
    approved_at = models.DateTimeField(null=True)
    sampled = models.BooleanField(default=True, help_text="It is to be reviewed; see ReviewRule.")
    risk = models.FloatField(default=0, help_text="0…1, guessed when it was submitted.")
    fixer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        help_text="The reviewer who corrects it before the verdict.",
    )

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["image", "annotator"], name="one_annotation_per_person")
        ]
        indexes = [
            models.Index(fields=["project", "status", "id"], name="annotation_by_status"),
            models.Index(fields=["project", "annotator", "status"], name="annotation_by_person"),
            models.Index(fields=["annotator", "image"], name="annotation_by_annotator"),
            models.Index(
                fields=["project", "submitted_at", "id"],
                name="annotation_to_review",
                condition=Q(status="submitted", sampled=True),
            ),
            models.Index(
                fields=["project", "-risk", "submitted_at", "id"],
                name="annotation_by_risk",
                condition=Q(status="submitted", sampled=True),
            ),
            models.Index(
                fields=["project"],
                name="annotation_unsampled",
                condition=Q(status="submitted", sampled=False),
            ),
        ]


class Region(models.Model):
    """One object or one stuff area: a category and either polygons or a mask.

    `polygons`: list of polygons, each a list of rings, each a flat [x0, y0, x1, y1, …] of float
    pixels; the first ring is the outside, the others are holes. `counts`: COCO compressed RLE of
    the whole image's size. Exactly one of the two is set. A deleted region stays as a tombstone,
    so that a late write is told the truth.
    """

    uuid = models.UUIDField(unique=True, help_text="Made by the client.")
    annotation = models.ForeignKey(
        Annotation, models.CASCADE, related_name="regions", db_index=False
    )
    image = models.ForeignKey(
        Image,
        models.DO_NOTHING,  # it goes with its annotation, which the database makes sure of
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Its annotation's, which never changes: for the index. Null only while an "
        "earlier version still writes; see services.upkeep.",
    )
    category = models.ForeignKey(Category, models.PROTECT, related_name="regions", db_index=False)
    polygons = models.JSONField(null=True)
    counts = models.TextField(null=True)
    area = models.FloatField(help_text="Pixels of the mask.")
    bbox = models.JSONField(help_text="[x, y, width, height] of the mask, pixels.")
    is_crowd = models.BooleanField(default=False)
    order = models.IntegerField(default=0, help_text="Greater is in front.")
    attributes = models.JSONField(default=dict, blank=True)
    source = models.CharField(
        max_length=40, help_text="The tool that made the geometry, or import."
    )
    proposal = models.ForeignKey(
        Proposal,
        models.SET_NULL,
        null=True,
        related_name="regions",
        help_text="Accepted from it.",
        db_index=False,
    )
    version = models.PositiveBigIntegerField(help_text="1 when made, one more with every write.")
    export_id = models.PositiveBigIntegerField(
        null=True,
        help_text="The id in exports, from 1; given at the first export, or by an import.",
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["order", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(polygons__isnull=True) ^ Q(counts__isnull=True),
                name="polygons_or_mask",
            )
        ]
        indexes = [
            models.Index(fields=["annotation", "order", "id"], name="region_by_annotation"),
            models.Index(
                fields=["category", "image", "deleted_at"], name="region_by_category_image"
            ),
            models.Index(
                fields=["id"], name="region_without_image", condition=Q(image__isnull=True)
            ),
            models.Index(
                fields=["proposal"],
                name="region_by_proposal",
                condition=Q(proposal__isnull=False),
            ),
        ]


class RegionRevision(models.Model):
    """What a region was after one write: who, when, from what. Never changed, never deleted.

    `write` is the client's key of that write; a retry finds it here and changes nothing. One with
    neither `polygons` nor `counts` (an import makes those) has the geometry of its region, until
    that is about to change and the revision gets its own copy. `shape` is either.
    """

    region = models.ForeignKey(Region, models.CASCADE, related_name="revisions", db_index=False)
    version = models.PositiveBigIntegerField()
    write = models.UUIDField(unique=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    at = models.DateTimeField(auto_now_add=True)
    deleted = models.BooleanField(default=False)
    category = models.ForeignKey(Category, models.PROTECT, related_name="+")
    polygons = models.JSONField(null=True)
    counts = models.TextField(null=True)
    is_crowd = models.BooleanField(default=False)
    order = models.IntegerField(default=0)
    attributes = models.JSONField(default=dict)
    source = models.CharField(max_length=40)
    seconds = models.FloatField(
        default=0, help_text="Its share of the active time that its patch reported."
    )

    class Meta:
        ordering = ["region", "version"]
        constraints = [
            models.UniqueConstraint(fields=["region", "version"], name="one_revision_per_version")
        ]

    @property
    def shape(self) -> "Region | RegionRevision":
        """Where its `polygons` or `counts` are."""
        return self.region if self.polygons is None and self.counts is None else self


class Dismissal(models.Model):
    """A person does not want this proposal in this annotation."""

    annotation = models.ForeignKey(Annotation, models.CASCADE, related_name="dismissals")
    proposal = models.ForeignKey(Proposal, models.CASCADE, related_name="dismissals")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotation", "proposal"], name="dismissed_once")
        ]


class Review(models.Model):
    """A verdict on one revision of an annotation."""

    class Verdict(models.TextChoices):
        APPROVE = "approve", "Approved"
        SEND_BACK = "send_back", "Sent back"
        REOPEN = "reopen", "Reopened"

    annotation = models.ForeignKey(Annotation, models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    revision = models.PositiveBigIntegerField()
    fixed = models.BooleanField(default=False, help_text="The reviewer had corrected it before.")
    comment = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at", "-id"]


class CommentQuerySet(models.QuerySet["Comment"]):
    def visible_to(self, user) -> "CommentQuerySet":
        return self.filter(annotation__in=Annotation.objects.visible_to(user))


class Comment(models.Model):
    """A remark on an annotation, pinned to a pixel or a region where those are given."""

    annotation = models.ForeignKey(Annotation, models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    text = models.TextField()
    x = models.FloatField(null=True)
    y = models.FloatField(null=True)
    region = models.ForeignKey(Region, models.SET_NULL, null=True, related_name="comments")
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, related_name="replies", help_text="It answers that one."
    )
    resolved_at = models.DateTimeField(null=True)
    stale_at = models.DateTimeField(
        null=True, help_text="Since when the pixels under it are other ones."
    )
    at = models.DateTimeField(auto_now_add=True, editable=False)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    objects = CommentQuerySet.as_manager()

    class Meta:
        ordering = ["at", "id"]
