"""Ends the sessions and tokens of a person at once: `manage.py deactivate NAME [--undo]`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.models import User
from annotations.services import people


class Command(BaseCommand):
    help = "End all sessions and tokens of a person; nobody logs in by that name until --undo."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--undo", action="store_true", help="let the person log in again")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(username=options["username"]).first()
        if person is None:
            raise CommandError(f"There is nobody named {options['username']}.")
        if options["undo"]:
            people.reactivate(person)
            self.stdout.write(f"{person.username} may log in again.")
        else:
            people.deactivate(person)
            self.stdout.write(f"{person.username} is logged out everywhere, and stays out.")
