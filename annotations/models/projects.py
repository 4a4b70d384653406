from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import TextChoices
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user) -> "ProjectQuerySet":
        """Projects of which `user` is a member, whatever the role.

        Anonymous has no id, and NULL would match projects without members: hence `or 0`.
        """
        return self.filter(memberships__user_id=user.pk or 0)


class ReviewRule(TextChoices):
    """Which submitted annotations are reviewed, and in which order."""

    ALL = "all", "All, those that wait longest first"
    SHARE = "share", "A share of them, drawn by chance"
    RISKIEST = "riskiest", "All, the riskiest first"


class Project(models.Model):
    """Images, categories and people."""

    class Kind(TextChoices):
        SEMANTIC = "semantic", "Semantic masks"
        INSTANCE = "instance", "Instances"
        PANOPTIC = "panoptic", "Panoptic"

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    guidelines = models.TextField(blank=True, help_text="What annotators must know, as plain text.")
    annotators = models.PositiveSmallIntegerField(
        default=1, help_text="So many people label each image."
    )
    free_picking = models.BooleanField(
        default=True, help_text="Annotators may label any image, not only what the queue gives."
    )
    lease_minutes = models.PositiveSmallIntegerField(
        default=30, help_text="An image that somebody left is given to others after that time."
    )
    lone_review = models.BooleanField(
        default=True, help_text="Where nobody else may review, one judges the own work."
    )
    review_rule = models.CharField(max_length=8, choices=ReviewRule.choices, default=ReviewRule.ALL)
    review_share = models.PositiveSmallIntegerField(
        default=20, help_text="Percent of the submitted annotations, by the rule `share`."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    asked_by: int | None = None
    """The id of the person whose `role` the query gave it too: `selectors.projects`."""

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def archived(self) -> bool:
        return self.archived_at is not None

    @property
    def exclusive(self) -> bool:
        """Whether a pixel belongs to at most one region (semantic and panoptic projects)."""
        return self.kind != self.Kind.INSTANCE

    def one_region(self, category: "Category") -> bool:
        """Whether an annotation has at most one region of it: in semantic projects, and of stuff
        in panoptic ones."""
        if self.kind == self.Kind.PANOPTIC:
            return not category.is_thing
        return self.kind == self.Kind.SEMANTIC


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, user) -> "BatchQuerySet":
        return self.filter(project__memberships__user_id=user.pk or 0)


class Batch(models.Model):
    """Images that are labeled together: before those of later batches, and by a date."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="batches")
    name = models.CharField(max_length=200)
    order = models.PositiveIntegerField(default=0, help_text="Smaller is given out first.")
    due_at = models.DateTimeField(null=True, blank=True)
    annotators = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="People per image; empty: as the project says."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["order", "id"]
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint("project", Lower("name"), name="batch_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Role(TextChoices):
    """Each role may do all that the roles before it may."""

    ANNOTATOR = "annotator", "Annotator"
    REVIEWER = "reviewer", "Reviewer"
    MANAGER = "manager", "Manager"
    OWNER = "owner", "Owner"


class MembershipQuerySet(models.QuerySet["Membership"]):
    def visible_to(self, user) -> "MembershipQuerySet":
        """Everybody in the projects of which `user` is a member."""
        return self.filter(project__in=Project.objects.visible_to(user))


class Membership(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(
        max_length=10, choices=Role.choices, help_text="The best of the own and the teams' roles."
    )
    own_role = models.CharField(
        max_length=10,
        choices=Role.choices,
        null=True,
        blank=True,
        help_text="Where a team gives a better one: the own role, empty if there is none.",
    )
    marks = models.JSONField(
        null=True, editable=False, help_text="How far one is in the queue: `services.marks`."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["user__username"]
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_role_per_member")
        ]

    @property
    def own(self) -> Role | None:
        """The role that the person has without teams."""
        role = self.role if self.own_role is None else self.own_role
        return Role(role) if role else None


def projects_of(user: Any, but: Role | None = None) -> RawSQL:
    """Ids of the projects of `user`, for `__in`; without those in which the role is `but`.

    Raw, because it is in nearly every query, and Django would write it anew each time.
    """
    sql, parameters = "user_id = %s", [user.pk or 0]
    if but is not None:
        sql, parameters = f"{sql} AND role <> %s", [*parameters, but.value]
    table = Membership._meta.db_table
    return RawSQL(f"SELECT project_id FROM {table} WHERE {sql}", parameters)  # noqa: S608, S611 (no input)


class CategoryQuerySet(models.QuerySet["Category"]):
    def visible_to(self, user) -> "CategoryQuerySet":
        return self.filter(project__in=Project.objects.visible_to(user))


class Category(models.Model):
    """A class. Deleting one archives it: stored regions keep their category."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="categories")
    name = models.CharField(max_length=200)
    supercategory = models.CharField(max_length=200, blank=True)
    color = models.CharField(max_length=7, help_text="#rrggbb")
    hotkey = models.CharField(max_length=1, blank=True)
    is_thing = models.BooleanField(default=True, help_text="Countable; stuff otherwise.")
    order = models.PositiveIntegerField(default=0)
    attributes = models.JSONField(
        default=list, blank=True, help_text="What its regions carry: `annotations.attributes`."
    )
    export_id = models.PositiveBigIntegerField(help_text="The id in exports, from 1, never reused.")
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = CategoryQuerySet.as_manager()

    class Meta:
        ordering = ["order", "id"]
        constraints = [
            models.UniqueConstraint("project", Lower("name"), name="category_name_once"),
            models.UniqueConstraint(
                fields=["project", "export_id"], name="category_export_id_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def archived(self) -> bool:
        return self.archived_at is not None
