from typing import Any, NoReturn

from django.db import models


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def update(self, **values: Any) -> NoReturn:
        raise TypeError("The audit log is only added to.")

    def delete(self) -> NoReturn:
        raise TypeError("The audit log is only added to.")


class AuditEntry(models.Model):
    """Who did what, when and from where. Only added to: the database refuses changes, too.

    Numbers and names instead of foreign keys, so that an entry outlives what it is about.
    """

    class Kind(models.TextChoices):
        LOGIN = "login", "Logged in"
        ROLE = "role", "Role changed"
        MEMBER = "member", "Member added or removed"
        INVITATION = "invitation", "Invitation"
        TOKEN = "token", "Token"
        PERSON = "person", "Account"
        EXPORT = "export", "Export"
        DELETE = "delete", "Deleted"
        RULES = "rules", "Rules changed"
        WEBHOOK = "webhook", "Webhook"
        TEAM = "team", "Team"

    at = models.DateTimeField(auto_now_add=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    actor_id = models.PositiveBigIntegerField(null=True)
    actor = models.CharField(max_length=150, blank=True, help_text="The name at that time.")
    project_id = models.PositiveBigIntegerField(null=True)
    what = models.CharField(max_length=500)
    address = models.CharField(max_length=64, blank=True, help_text="Of the client, for logins.")

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["project_id", "-id"], name="audit_by_project")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk:
            raise TypeError("The audit log is only added to.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit log is only added to.")
