"""What the commands share: projects and people by name, and progress on a terminal."""

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from annotations.errors import ServiceError
from annotations.models import Project, User
from annotations.models.projects import Role


def project_named(name: str) -> Project | None:
    """The project, None where there is none. CommandError: several have the name."""
    found = list(Project.objects.filter(name=name)[:2])
    if len(found) > 1:
        raise CommandError(f"Several projects are named “{name}”. Rename one of them first.")
    return found[0] if found else None


def existing_project(name: str) -> Project:
    project = project_named(name)
    if project is None:
        raise CommandError(f"There is no project named “{name}”.")
    return project


def person(username: str, project: Project | None = None) -> User:
    """The one named, else an owner of the project, else the only administrator (or person)."""
    if username:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is nobody named “{username}”.")
        return user
    if project is not None:
        owners = User.objects.filter(memberships__project=project, memberships__role=Role.OWNER)
        if owner := owners.order_by("pk").first():
            return owner
    candidates = list(User.objects.filter(is_active=True, is_superuser=True)[:2])
    if not candidates:
        candidates = list(User.objects.filter(is_active=True)[:2])
    if len(candidates) != 1:
        raise CommandError("Whose project is it? Name somebody: --user NAME")
    return candidates[0]


def progress_bar(text: str, unit: str = "images") -> tuple[tqdm, Callable[[int, int], None]]:
    """A bar on a terminal (nothing in a pipe), and a function that sets it to (done, total)."""
    bar: tqdm = tqdm(desc=text, disable=None, unit=f" {unit}")

    def move(done: int, total: int) -> None:
        bar.total = total or None
        bar.update(done - bar.n)

    return bar, move


def plain(error: ServiceError) -> CommandError:
    """A refusal as a command says it."""
    where = f"{error.field}: " if error.field and error.field not in error.detail else ""
    return CommandError(f"{where}{error.detail} {error.hint}".strip())


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def notes(values: dict[str, Any]) -> list[str]:
    """The report's first lines."""
    shown = [f"  {note}" for note in values["notes"][:20]]
    left = len(values["notes"]) + values["more_notes"] - len(shown)
    return [*shown, f"  … and {left} more notes"] if left else shown
