"""manage.py demo: people to log in as, and three projects with photographs."""

import secrets
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.demo.content import ANNOTATOR, OWNER, REVIEWER
from annotations.models import Project, User

LOGIN_FILE = "demo_login"


class Command(BaseCommand):
    help = "Makes the demo's people and projects. Safe to run again: what is there stays."
    requires_system_checks: list[str] = []  # they import all pages, and every start would wait

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--first-start",
            action="store_true",
            help="bring the tables up to date; make the demo only where nobody has an account yet",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["first_start"]:
            call_command("migrate", verbosity=0)
        if not options["first_start"] or not User.objects.exists():
            from annotations.demo.build import make_all  # slow to import, and rarely needed

            self.stdout.write("Making the demo: three projects with photographs, pre-labeled.")
            for project in make_all(demo_password()):
                prelabel(project)
        if (file := settings.DATA_DIR / LOGIN_FILE).exists():
            self.stdout.write(
                f"Log in as {OWNER} (owner of the demo's projects, and staff: sees all "
                f"people), {ANNOTATOR} (annotator) or "
                f"{REVIEWER} (reviewer). Their password: {file.read_text().strip()}"
            )


def demo_password() -> str:
    """One password for the demo's people, made for this data folder and kept in it."""
    file = settings.DATA_DIR / LOGIN_FILE
    if file.exists():
        return file.read_text().strip()
    if User.objects.filter(username=OWNER).exists():
        raise CommandError(
            f"The demo's people are there, and {file} with their password is not. "
            f"Set a new one: manage.py changepassword {OWNER}"
        )
    password = secrets.token_urlsafe(9)
    file.touch(mode=0o600)
    file.write_text(password + "\n")
    return password


def prelabel(project: Project) -> None:
    """Proposals of the engine that needs no weights, on images that have none yet."""
    if project.images.filter(predictions__isnull=True).exists():
        call_command("prelabel", project=str(project.pk), model="classic", wait=True)
