from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db import models

from annotations.models.projects import Membership, Role


class User(AbstractUser):
    """A person or a script that logs in."""

    preferences = models.JSONField(
        default=dict, blank=True, help_text="Of the editor: keys of one's own, left-handed."
    )
    last_seen_at = models.DateTimeField(null=True, blank=True, help_text="To within some minutes.")
    muted = models.JSONField(
        default=list, blank=True, help_text="Kinds of notifications that the person wants not."
    )

    class Meta:
        ordering = ["username"]

    @property
    def seen(self) -> datetime | None:
        """When they were here last, as far as that is known."""
        return self.last_seen_at or self.last_login


class Scope(models.TextChoices):
    """What a token may do; each may do what those before it may."""

    READ = "read", "Read"
    WRITE = "write", "Read and write"
    ADMIN = "admin", "Everything"


class TokenGrant(models.Model):
    """What a token is for and what it may do. One without this row may do everything."""

    token = models.OneToOneField("knox.AuthToken", models.CASCADE, related_name="grant")
    name = models.CharField(max_length=100, blank=True)
    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.ADMIN)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def visible_to(self, user) -> "InvitationQuerySet":
        """Those of projects in which `user` is a manager or above."""
        managing = Membership.objects.filter(user_id=user.pk, role__in=[Role.MANAGER, Role.OWNER])
        return self.filter(project__in=managing.values("project"))


class Invitation(models.Model):
    """A link with which one person joins a project, once, until a time."""

    project = models.ForeignKey("Project", models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role.choices)
    secret_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the secret.")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    used_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]


class Identity(models.Model):
    """Who somebody is at a sign-on provider: there, the subject never changes."""

    user = models.ForeignKey(User, models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_person_per_subject")
        ]
