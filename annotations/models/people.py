from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person or a script that logs in."""

    class Meta:
        ordering = ["username"]
