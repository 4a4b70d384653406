"""manage.py list_models: what is installed, and what is not and why."""

from typing import Any

from django.core.management.base import BaseCommand

from inference.models import ModelVersion
from inference.registry import ENGINES
from inference.selectors import roles
from inference.services.weights import OFFICIAL, refresh


class Command(BaseCommand):
    help = "Looks into the models folder and lists every model with its state."

    def handle(self, *args: Any, **options: Any) -> None:
        refresh()
        models = list(ModelVersion.objects.filter(engine__in=ENGINES))
        for model in models:
            line = [
                model.name,
                ENGINES[model.engine].title,
                "+".join(roles(model)),
                model.get_state_display(),
                model.device,
                model.reason,
            ]
            self.stdout.write("\t".join(filter(None, line)))
        installed = {model.name for model in models}
        for name, entry in OFFICIAL.items():
            if name not in installed:
                self.stdout.write(
                    f"{name}\t{entry.title}\tNot installed: manage.py fetch_model {name} "
                    f"({entry.megabytes} MB)"
                )
