"""`manage.py import_images PATH... --project NAME`: files, folders, zips, videos into a project."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from tqdm import tqdm

from annotations.access import require
from annotations.errors import ServiceError
from annotations.imaging import pool
from annotations.imaging.sniff import HEAD_BYTES, ZIP, sniff
from annotations.management.cli import counted, existing_project, person, plain
from annotations.models import Project
from annotations.models.projects import Role
from annotations.services import frames, ingest, ingest_zips, references, zips

IMAGE_ENDINGS = (*zips.IMAGE_ENDINGS, ".nii.gz")
OTHER_ENDINGS = (".zip", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")


class Command(BaseCommand):
    help = "Adds images (files, folders, zips) to a project. What it has already is left out."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH")
        parser.add_argument("--project", required=True, help="Its name.")
        parser.add_argument("--user", default="", help="Who adds them; else an owner.")
        frames = parser.add_mutually_exclusive_group()
        frames.add_argument("--every", type=int, metavar="N", help="Every Nth frame of a video.")
        frames.add_argument(
            "--seconds", type=float, metavar="S", help="One frame of a video in S seconds; else 1."
        )
        frames.add_argument(
            "--reference",
            action="store_true",
            help="Leave the files (or s3://BUCKET/PREFIX) where they are; only thumbnails and what "
            "browsers need are stored. They must stay there, unchanged.",
        )

    def handle(self, *args: Any, paths: list[str], **options: Any) -> None:
        project = existing_project(options["project"])
        user = person(options["user"], project)
        try:
            require(user, project, Role.MANAGER)
            ingest.refuse_archived(project)
            asked = {key: str(options[key] or "") for key in ("every", "seconds")}
            sampling = frames.sampling_of(asked)
        except ServiceError as error:
            raise plain(error)
        if options["reference"]:
            found: list[tuple[Any, str]] = [pair for path in paths for pair in _references(path)]
        else:
            found = [pair for path in paths for pair in _files(Path(path))]
        added = known = 0
        bad: list[str] = []
        with (
            ThreadPoolExecutor(pool.SIZE) as workers,
            tqdm(total=len(found), disable=None, unit=" files") as bar,
        ):
            try:
                for outcome in workers.map(lambda pair: _add(project, sampling, *pair), found):
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
    endings = IMAGE_ENDINGS + OTHER_ENDINGS
    files = sorted(file for file in path.rglob("*") if file.name.lower().endswith(endings))
    if not files:
        raise CommandError(f"There are no images in {path}.")
    return [(file, file.relative_to(path).as_posix()) for file in files if file.is_file()]


def _references(place: str) -> list[tuple[str, str]]:
    found = list(references.found(place, IMAGE_ENDINGS))
    if not found:
        raise CommandError(f"There are no images in {place}.")
    return found


def _add(
    project: Project, sampling: frames.Sampling, path: Path | str, name: str
) -> tuple[int, int] | str:
    """(added, known) of one file, zip or reference, or why it was refused."""
    try:
        if isinstance(path, str):
            result = ingest.add_reference(project, path, name)
            return len(result.added), len(result.known)
        with path.open("rb") as source:
            if sniff(source.read(HEAD_BYTES)) is ZIP:
                result = ingest_zips.add_zip(project, path)
            else:
                result = ingest.add_files(project, source, name, sampling=sampling)
            return len(result.added), len(result.known)
    except ServiceError as error:
        return (0, 1) if error.code == "duplicate" else error.detail
    except OSError as error:
        return f"{path}: {error.strerror}"
    finally:
        connection.close()
