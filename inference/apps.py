from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class InferenceConfig(AppConfig):
    name = "inference"

    def ready(self) -> None:
        post_migrate.connect(_always_there, sender=self)


def _always_there(**_: Any) -> None:
    from inference.services.weights import keep_classic

    keep_classic()
