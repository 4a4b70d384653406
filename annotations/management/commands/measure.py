"""`manage.py measure`: make the facts of quality anew, of one project or of all."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from annotations.management.cli import counted, existing_project
from annotations.models import Project
from annotations.services import facts


class Command(BaseCommand):
    help = "Measures all submitted annotations anew, such as after data of another version came in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", default="", help="Its name; else all projects.")

    def handle(self, *args: Any, project: str, **options: Any) -> None:
        chosen = [existing_project(project)] if project else list(Project.objects.all())
        for one in chosen:
            done = facts.measure_project(one)
            self.stdout.write(f"{one.name}: {counted(done, 'annotation')} measured")
