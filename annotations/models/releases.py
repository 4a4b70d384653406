from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from annotations.models.images import StoredFile
from annotations.models.projects import Project


class ReleaseQuerySet(models.QuerySet["Release"]):
    def visible_to(self, user) -> "ReleaseQuerySet":
        """Those of one's projects; whether one may look is for the selectors."""
        return self.filter(project__memberships__user_id=user.pk or 0)


class Release(models.Model):
    """A snapshot of a project's ground truth that nothing changes any more.

    What it holds is a file (`formats.snapshot`), so no later edit or removal reaches it. One
    without a name was made by an export. The same content is the same release.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="releases")
    name = models.CharField(max_length=200, blank=True)
    sha256 = models.CharField(max_length=64, help_text="Of the content, in its canonical form.")
    title = models.CharField(max_length=200, help_text="The project's name at that time.")
    rule = models.JSONField(help_text="{status, search, annotator}: what was taken.")
    file = models.CharField(max_length=255, help_text="Storage name of the snapshot.")
    index = models.JSONField(help_text="[[id of an image, where its part of the file starts], …]")
    images = models.PositiveIntegerField()
    regions = models.PositiveIntegerField()
    counts = models.JSONField(help_text="Per category: {id, name, color, images, regions, area}.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="release_once"),
            models.UniqueConstraint(
                "project", Lower("name"), condition=~Q(name=""), name="release_name_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.sha256[:12]


class ReleaseImage(models.Model):
    """Keeps the files of an image as long as a release with a name has it."""

    release = models.ForeignKey(Release, models.CASCADE, related_name="contents")
    file = models.ForeignKey(StoredFile, models.PROTECT, related_name="releases")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["release", "file"], name="release_image_once")
        ]
