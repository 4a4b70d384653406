from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person or a script that logs in."""

    preferences = models.JSONField(
        default=dict, blank=True, help_text="Of the editor: keys of one's own, left-handed."
    )

    class Meta:
        ordering = ["username"]
