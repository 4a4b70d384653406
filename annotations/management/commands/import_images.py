"""`manage.py import_images PATH... --project NAME`: files, folders and zips into a project."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from tqdm import tqdm

from annotations.errors import ServiceError
from annotations.imaging import pool
from annotations.imaging.sniff import HEAD_BYTES, ZIP, sniff
from annotations.management.cli import counted, existing_project, person
from annotations.models import Project, User
from annotations.services import ingest, zips


class Command(BaseCommand):
    help = "Adds images (files, folders, zips) to a project. What it has already is left out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--project", required=True, help="Its name.")
        parser.add_argument("--user", default="", help="Who adds them; else an owner.")

    def handle(self, *args: Any, paths: list[Path], **options: Any) -> None:
        project = existing_project(options["project"])
        user = person(options["user"], project)
        found = [pair for path in paths for pair in _files(path)]
        added = known = 0
        bad: list[str] = []
        with (
            ThreadPoolExecutor(pool.SIZE) as workers,
            tqdm(total=len(found), disable=None, unit=" files") as bar,
        ):
            try:
                for outcome in workers.map(lambda pair: _add(user, project, *pair), found):
                    bar.update()
                    if isinstance(outcome, str):
                        bad.append(outcome)
                    else:
                        added += outcome[0]
                        known += outcome[1]
            except KeyboardInterrupt:
                workers.shutdown(cancel_futures=True)
                raise CommandError(f"Stopped. {counted(added, 'image')} were added.")
        for detail in bad:
            self.stderr.write(detail)
        said = f"{counted(added, 'image')} added to {project.name}"
        self.stdout.write(said + (f", {known} were there already" if known else ""))
        if bad:
            raise CommandError(f"{counted(len(bad), 'file')} could not be taken.")


def _files(path: Path) -> list[tuple[Path, str]]:
    """(file, name) of a file, or of all images and zips below a folder."""
    if path.is_file():
        return [(path, path.name)]
    if not path.is_dir():
        raise CommandError(f"There is no file or folder {path}.")
    endings = {*zips.IMAGE_ENDINGS, ".zip"}
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in endings)
    if not files:
        raise CommandError(f"There are no images in {path}.")
    return [(file, file.relative_to(path).as_posix()) for file in files if file.is_file()]


def _add(user: User, project: Project, path: Path, name: str) -> tuple[int, int] | str:
    """(added, known) of one file or zip, or why it was refused."""
    try:
        with path.open("rb") as source:
            if sniff(source.read(HEAD_BYTES)) is ZIP:
                result = ingest.add_zip(project, path)
                return len(result.added), len(result.known)
            ingest.add_image(user, project, source, name)
            return 1, 0
    except ServiceError as error:
        return (0, 1) if error.code == "duplicate" else error.detail
    except OSError as error:
        return f"{path}: {error.strerror}"
    finally:
        connection.close()
