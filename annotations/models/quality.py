"""What is measured of people's work and of models. `services.facts` keeps it; nothing edits it."""

from django.conf import settings
from django.db import models

from annotations.models.annotations import Annotation, Region
from annotations.models.images import Image
from annotations.models.predictions import Proposal
from annotations.models.projects import Batch, Category, Membership, Project, Role


class GoldQuerySet(models.QuerySet["Gold"]):
    def visible_to(self, user) -> "GoldQuerySet":
        """Those of projects that one manages: nobody else may know which images are gold."""
        managed = Membership.objects.filter(
            user_id=user.pk or 0, role__in=[Role.MANAGER, Role.OWNER]
        )
        return self.filter(image__project__in=managed.values("project"))


class Gold(models.Model):
    """An image whose truth is known; whoever else labels it is scored against that."""

    image = models.OneToOneField(Image, models.CASCADE, related_name="gold")
    truth = models.ForeignKey(Annotation, models.CASCADE, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GoldQuerySet.as_manager()


class WorkFact(models.Model):
    """One annotation that was submitted: what it cost and what became of it.

    `due` is set where it is to be measured again. `day` is that of the submission, in UTC; None:
    it counts for nothing now.
    """

    annotation = models.OneToOneField(
        Annotation, models.CASCADE, primary_key=True, related_name="fact"
    )
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="+")
    day = models.DateField(null=True)
    due = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    regions = models.PositiveIntegerField(default=0)
    sent_back = models.PositiveIntegerField(default=0, help_text="So often.")
    approved = models.BooleanField(default=False)
    gold = models.BooleanField(default=False, help_text="It was scored against a truth.")
    problem = models.CharField(
        max_length=300, blank=True, default="", db_default="",
        help_text="Why it could not be measured; tried again when it becomes due again.",
    )  # fmt: skip

    class Meta:
        indexes = [
            models.Index(fields=["project", "annotator", "day"], name="work_fact_by_person"),
            models.Index(
                fields=["due"], condition=models.Q(due__isnull=False), name="work_fact_due"
            ),
        ]


class RegionFact(models.Model):
    """One region of a submitted annotation; or proposals that it left out; or what it missed."""

    class Origin(models.TextChoices):
        DRAWN = "drawn", "Drawn by hand"
        ACCEPTED = "accepted", "Accepted as proposed"
        EDITED = "edited", "Accepted and edited"
        REJECTED = "rejected", "Dismissed, or deleted again"
        UNUSED = "unused", "Neither accepted nor dismissed"
        MISSED = "missed", "In the truth only"

    class Gold(models.TextChoices):
        RIGHT = "right", "Right"
        WRONG = "wrong", "Wrong category"
        EXTRA = "extra", "Not in the truth"
        MISSING = "missing", "Missing"

    work = models.ForeignKey(WorkFact, models.CASCADE, related_name="facts")
    region = models.ForeignKey(Region, models.CASCADE, null=True, related_name="+")
    proposal = models.ForeignKey(Proposal, models.SET_NULL, null=True, related_name="+")
    origin = models.CharField(max_length=8, choices=Origin.choices)
    count = models.PositiveIntegerField(default=1, help_text="Of proposals that were left out.")
    category = models.ForeignKey(Category, models.CASCADE, null=True, related_name="+")
    proposed = models.ForeignKey(Category, models.SET_NULL, null=True, related_name="+")
    model = models.CharField(max_length=200, blank=True)
    model_version = models.CharField(max_length=80, blank=True)
    area = models.FloatField(default=0)
    seconds = models.FloatField(default=0)
    iou = models.FloatField(null=True, help_text="Of the proposal and what was made of it.")
    pixels_changed = models.PositiveIntegerField(default=0)
    gold = models.CharField(max_length=7, choices=Gold.choices, blank=True)
    truth = models.ForeignKey(Category, models.SET_NULL, null=True, related_name="+")
    gold_iou = models.FloatField(null=True)
    gold_dice = models.FloatField(null=True)
    gold_boundary = models.FloatField(null=True)


class Day(models.Model):
    """One person's day in one batch: the sums that aggregates add up."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="+")
    day = models.DateField()

    class Meta:
        abstract = True


class WorkDay(Day):
    """Sums of `WorkFact`, and of its `RegionFact` whatever their category and model."""

    annotations = models.PositiveIntegerField()
    approved = models.PositiveIntegerField()
    sent_back = models.PositiveIntegerField()
    gold = models.PositiveIntegerField()
    regions = models.PositiveIntegerField()
    seconds = models.FloatField()
    made = models.PositiveIntegerField(default=0, help_text="Regions, drawn or accepted.")
    made_seconds = models.FloatField(default=0)
    right = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    extra = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    ious = models.FloatField(default=0, help_text="Of those that are right; so are the next two.")
    dices = models.FloatField(default=0)
    boundaries = models.FloatField(default=0)

    class Meta:
        indexes = [models.Index(fields=["project", "day"], name="work_day")]


class RegionDay(Day):
    """Sums of `RegionFact` by origin, categories and model; `ious` … are sums too.

    Rows without an annotator are the sums of all people: what most reports read.
    """

    # Here it may be nobody, in `Day` it may not.
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+"
    )  # type: ignore[assignment]
    origin = models.CharField(max_length=8, choices=RegionFact.Origin.choices)
    gold = models.CharField(max_length=7, choices=RegionFact.Gold.choices, blank=True)
    category = models.ForeignKey(Category, models.CASCADE, null=True, related_name="+")
    proposed = models.ForeignKey(Category, models.SET_NULL, null=True, related_name="+")
    truth = models.ForeignKey(Category, models.SET_NULL, null=True, related_name="+")
    model = models.CharField(max_length=200, blank=True)
    model_version = models.CharField(max_length=80, blank=True)
    count = models.PositiveIntegerField()
    area = models.FloatField()
    seconds = models.FloatField()
    ious = models.FloatField()
    pixels_changed = models.PositiveBigIntegerField()
    gold_ious = models.FloatField()
    gold_dices = models.FloatField()
    gold_boundaries = models.FloatField()

    class Meta:
        indexes = [
            models.Index(fields=["project", "annotator", "day"], name="region_day_by_person")
        ]


class PairFact(models.Model):
    """Where two people labeled one image: how often the one said this and the other that.

    `first` has the smaller id. Category None: nothing there. `objects`: matched ones (or one side
    only); `pixels`: of the image. `*_weight`: the same divided by (people - 1), for coincidences.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    image = models.ForeignKey(Image, models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, models.SET_NULL, null=True, related_name="+")
    day = models.DateField(help_text="Of the later submission.")
    first = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    second = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    first_category = models.ForeignKey(Category, models.CASCADE, null=True, related_name="+")
    second_category = models.ForeignKey(Category, models.CASCADE, null=True, related_name="+")
    objects_found = models.PositiveIntegerField(default=0)
    object_weight = models.FloatField(default=0)
    pixels = models.PositiveBigIntegerField(default=0)
    pixel_weight = models.FloatField(default=0)
    ious = models.FloatField(default=0, help_text="Sum over the objects matched by both.")

    class Meta:
        indexes = [models.Index(fields=["project", "day"], name="pair_fact_by_day")]


class SuspicionQuerySet(models.QuerySet["Suspicion"]):
    def visible_to(self, user) -> "SuspicionQuerySet":
        """Those of projects in which one may review."""
        memberships = Membership.objects.filter(user_id=user.pk or 0)
        return self.filter(project__in=memberships.exclude(role=Role.ANNOTATOR).values("project"))


class Suspicion(models.Model):
    """A region (or a place without one) that is likely to be wrong, and what a person said to it.

    A judged one is not raised again while its region stays at that version.
    """

    class Reason(models.TextChoices):
        CATEGORY = "category", "Looks like another category"
        MODEL = "model", "A model disagrees"
        PEERS = "peers", "Others disagree"
        MISSED = "missed", "A model sees something here"
        SIZE = "size", "Odd size"
        SHAPE = "shape", "Odd shape"
        POSITION = "position", "Odd place"
        COLOUR = "colour", "Odd colour"
        SLIVER = "sliver", "Sliver"
        GAP = "gap", "Small holes"
        TWICE = "twice", "There twice"
        TWIN = "twin", "Its twin has another category"

    class Verdict(models.TextChoices):
        RIGHT = "right", "The label is right"
        WRONG = "wrong", "The label is wrong"
        SKIP = "skip", "Skipped"

    project = models.ForeignKey(Project, models.CASCADE, related_name="suspicions")
    annotation = models.ForeignKey(Annotation, models.CASCADE, related_name="suspicions")
    region = models.ForeignKey(Region, models.CASCADE, null=True, related_name="+")
    version = models.PositiveBigIntegerField(default=0, help_text="Of the region, when looked at.")
    category = models.ForeignKey(Category, models.CASCADE, null=True, related_name="+")
    reason = models.CharField(max_length=8, choices=Reason.choices, help_text="The strongest one.")
    detail = models.TextField(help_text="All reasons, in plain words.")
    score = models.FloatField(help_text="0…1, likely errors first.")
    bbox = models.JSONField(help_text="[x, y, width, height], pixels.")
    verdict = models.CharField(max_length=5, choices=Verdict.choices, blank=True)
    judged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    judged_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SuspicionQuerySet.as_manager()

    class Meta:
        ordering = ["-score", "id"]
        indexes = [models.Index(fields=["project", "verdict", "-score"], name="suspicion_rank")]
