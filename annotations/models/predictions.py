from typing import Any

from django.db import models
from django.db.models import Q

from annotations.models.images import Image
from annotations.models.jobs import Job
from annotations.models.projects import Category


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def visible_to(self, user) -> "PredictionQuerySet":
        return self.filter(image__project__memberships__user_id=user.pk or 0)

    def newest(self) -> models.QuerySet["Prediction", Any]:
        """The ids of the newest one of each model on each image."""
        groups = self.order_by().values("image", "model")
        return groups.annotate(newest=models.Max("pk")).values("newest")


class Prediction(models.Model):
    """One model run on one image, or one import as pre-annotations. Never a person's work.

    `model` and `model_version` say what made it; (job, image) is unique, so that a retried job
    writes once.
    """

    image = models.ForeignKey(Image, models.CASCADE, related_name="predictions")
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="predictions")
    model = models.CharField(max_length=200)
    model_version = models.CharField(
        max_length=80, help_text="SHA-256 of the weights, or a release"
    )
    seconds = models.FloatField(default=0, help_text="Time the engine took.")
    uncertainty = models.FloatField(null=True, help_text="0…1: how unsure the model was.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "image"], name="one_prediction_per_job_and_image"
            )
        ]
        indexes = [models.Index(fields=["image", "-id"], name="prediction_by_image")]


class Proposal(models.Model):
    """One region that a model proposes; geometry as in `Region`."""

    prediction = models.ForeignKey(Prediction, models.CASCADE, related_name="proposals")
    category = models.ForeignKey(
        Category, models.CASCADE, null=True, help_text="None: the model does not name classes."
    )
    polygons = models.JSONField(null=True)
    counts = models.TextField(null=True)
    area = models.FloatField()
    bbox = models.JSONField()
    score = models.FloatField(help_text="0…1, as the model gave it.")
    is_crowd = models.BooleanField(default=False)

    class Meta:
        ordering = ["-score", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(polygons__isnull=True) ^ Q(counts__isnull=True),
                name="proposal_polygons_or_mask",
            )
        ]
