"""Tables of the models that can segment."""

from django.conf import settings
from django.db import models
from django.db.models import Q


class ModelQuerySet(models.QuerySet["ModelVersion"]):
    def visible_to(self, user) -> "ModelQuerySet":
        """Those of the installation, and those that one's projects trained."""
        return self.filter(Q(project=None) | Q(project__memberships__user_id=user.pk or 0))


class ModelVersion(models.Model):
    """An engine with its weights and its category map.

    `engine` is a key of `inference.registry.ENGINES`. `state` says whether it may be used; a file
    that could not be trusted or loaded is `rejected`, with the reason. One that a project trained
    is of that project alone; `current` is the one that the project uses. `origin` holds `borders`
    too where they may follow the image: {model, image, images}, its AP without and with that.
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
    metrics = models.JSONField(default=dict, help_text="Of a trained one: see evaluation.Quality.")
    project = models.ForeignKey(
        "annotations.Project",
        models.CASCADE,
        null=True,
        related_name="models",
        help_text="Which trained it.",
    )
    current = models.BooleanField(default=False)
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, related_name="+", help_text="What training began with."
    )
    origin = models.JSONField(
        default=dict, help_text="{release, options, seed, code}: what it was made from, and how."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ModelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(current=True), name="one_current_model"
            )
        ]

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


class TrainingQuerySet(models.QuerySet["TrainingRun"]):
    def visible_to(self, user) -> "TrainingQuerySet":
        """Those of one's projects; whether one may look is for the selectors."""
        return self.filter(project__memberships__user_id=user.pk or 0)


class TrainingRun(models.Model):
    """One training of an engine on a project's ground truth. Whether it goes on: its job.

    The data are those of `release`, so that another attempt after a killed worker, which goes on
    from the checkpoint among the job's parameters, sees the same.
    """

    project = models.ForeignKey("annotations.Project", models.CASCADE, related_name="trainings")
    job = models.OneToOneField("annotations.Job", models.CASCADE, related_name="training")
    engine = models.CharField(max_length=40)
    options = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    prelabel = models.BooleanField(default=True, help_text="Whether the rest is labeled after it.")
    stop = models.BooleanField(default=False, help_text="Stop early and keep the best.")
    parent = models.ForeignKey(ModelVersion, models.SET_NULL, null=True, related_name="+")
    release = models.ForeignKey("annotations.Release", models.SET_NULL, null=True, related_name="+")
    release_sha256 = models.CharField(max_length=64, blank=True)
    images = models.JSONField(default=dict, help_text="How many: {train, validation, held_out}.")
    curve = models.JSONField(default=list, help_text="[{done, seconds, loss, score}], in order.")
    score_name = models.CharField(max_length=40, blank=True, help_text="What `score` of it is.")
    model = models.OneToOneField(
        ModelVersion, models.SET_NULL, null=True, related_name="training", help_text="What came out"
    )
    before = models.JSONField(
        null=True, help_text="{model, metrics} of the current one on the same held-out images."
    )
    verdict = models.TextField(blank=True, help_text="Whether it became the current one, and why.")
    examples = models.JSONField(
        default=list, help_text="Some held-out images: [{image, name, iou, regions}]."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TrainingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
