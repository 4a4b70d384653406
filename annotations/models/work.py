from django.conf import settings
from django.db import models
from django.db.models import Q

from annotations.models.annotations import Annotation
from annotations.models.images import Image
from annotations.models.projects import Project, Role, projects_of


class LeaseQuerySet(models.QuerySet["Lease"]):
    def visible_to(self, user) -> "LeaseQuerySet":
        """One's own, and everybody's in projects where one is reviewer or above."""
        own = Q(user_id=user.pk, project_id__in=projects_of(user))
        reviewing = projects_of(user, but=Role.ANNOTATOR)
        return self.filter(own | Q(project_id__in=reviewing))


class Opening(models.Model):
    """An image may have become open again to somebody, any one where none is named.

    See `services.marks`.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    image = models.ForeignKey(Image, models.CASCADE, null=True, related_name="+")


class Lease(models.Model):
    """One person has one image, to label it or to judge an annotation of it, until a time.

    A heartbeat puts that time off. Ended ones stay: they say who had what, from when to when.
    """

    class Purpose(models.TextChoices):
        LABEL = "label", "Labeling"
        REVIEW = "review", "Review"

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        DONE = "done", "Done"
        RETURNED = "returned", "Handed back"
        SKIPPED = "skipped", "Skipped"

    class Reason(models.TextChoices):
        UNCLEAR = "unclear", "The guidelines do not say"
        BAD_IMAGE = "bad_image", "The image is bad"
        TOO_HARD = "too_hard", "Too hard for me"
        IRRELEVANT = "irrelevant", "Does not belong here"
        OTHER = "other", "Something else"

    project = models.ForeignKey(Project, models.CASCADE, related_name="leases")
    image = models.ForeignKey(Image, models.CASCADE, related_name="leases")
    annotation = models.ForeignKey(
        Annotation, models.CASCADE, null=True, related_name="leases", help_text="To be judged."
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="leases")
    purpose = models.CharField(max_length=6, choices=Purpose.choices, default=Purpose.LABEL)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ACTIVE)
    until = models.DateTimeField(help_text="Handed back then, unless a heartbeat comes before.")
    begun_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=10, choices=Reason.choices, blank=True)
    note = models.CharField(max_length=1000, blank=True, help_text="Why it was skipped.")

    objects = LeaseQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["image", "user"],
                condition=Q(state="active", purpose="label"),
                name="one_label_lease_per_person",
            ),
            models.UniqueConstraint(
                fields=["annotation"],
                condition=Q(state="active", purpose="review"),
                name="one_review_lease_per_annotation",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "state", "until"], name="lease_by_end"),
            models.Index(fields=["user", "project", "state"], name="lease_by_person"),
        ]
