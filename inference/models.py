"""Tables of the models that can segment."""

from django.db import models


class ModelVersion(models.Model):
    """An engine with its weights and its category map.

    `engine` is a key of `inference.registry.ENGINES`. `state` says whether it may be used; a file
    that could not be trusted or loaded is `rejected`, with the reason.
    """

    class State(models.TextChoices):
        READY = "ready", "Ready"
        MISSING = "missing", "Weights not installed"
        REJECTED = "rejected", "Rejected"

    name = models.CharField(max_length=200, unique=True)
    engine = models.CharField(max_length=40)
    weights = models.CharField(
        max_length=500, blank=True, help_text="File name in the models folder."
    )
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the weights file.")
    config = models.JSONField(default=dict, help_text="What the engine needs to load the weights.")
    categories = models.JSONField(default=list, help_text="The model's class names, by index.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    reason = models.TextField(blank=True)
    device = models.CharField(max_length=80, blank=True, help_text="Where a worker last loaded it.")
    metrics = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class StoredEmbedding(models.Model):
    """An embedding in the storage: the SHA-256 of its image's file and of its model's weights."""

    image = models.CharField(max_length=64)
    model = models.CharField(max_length=64)
    bytes = models.PositiveBigIntegerField()
    used_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "model"], name="one_embedding")]

    def __str__(self) -> str:
        return f"{self.image}:{self.model}"
