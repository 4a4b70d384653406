"""`manage.py import_dataset FORMAT PATH --project NAME`: a data set, all of it or nothing."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.errors import ServiceError
from annotations.formats.registry import FORMATS
from annotations.management.cli import notes, person, plain, progress_bar, project_named
from annotations.models import Project
from annotations.records import DatasetError
from annotations.services import files, imports, projects
from annotations.services.importing import Totals


class Command(BaseCommand):
    help = "Imports a data set; makes the project where there is none of that name."

    def add_arguments(self, parser: CommandParser) -> None:
        readable = [name for name, info in FORMATS.items() if info.reads]
        parser.add_argument("format", choices=readable)
        parser.add_argument("path", type=Path, help="A file, a folder or a zip.")
        parser.add_argument("--project", required=True, help="Its name.")
        parser.add_argument("--images", type=Path, help="The folder with the images.")
        parser.add_argument("--kind", choices=Project.Kind.values, help="Of a new project.")
        parser.add_argument("--user", default="", help="Whose work it is; else an owner's.")
        parser.add_argument(
            "--as", dest="taken_as", choices=imports.KINDS, default=imports.KINDS[0]
        )

    def handle(self, *args: Any, format: str, path: Path, **options: Any) -> None:
        for given in (path, options["images"]):
            if given is not None and not given.exists():
                raise CommandError(f"There is no file or folder {given}.")
        try:
            with files.scratch() as folder:
                if path.is_file() and path.suffix.lower() == ".zip":
                    path = imports.unpack(path.resolve(), path.name, folder / "data", format)
                self._import(format, path, options)
        except ServiceError as error:
            raise plain(error)
        except DatasetError as error:
            raise plain(imports.as_service_error(error))

    def _import(self, format: str, path: Path, options: dict[str, Any]) -> None:
        project = project_named(options["project"])
        user = person(options["user"], project)
        made = project is None
        if project is None:
            kind = options["kind"] or imports.read(format, path, lambda name: (1, 1)).kind
            project = projects.create_project(user, name=options["project"], kind=kind)
        bar, move = progress_bar("Reading")
        try:
            with bar:
                totals: Totals = imports.import_dataset(
                    user,
                    project,
                    format,
                    path,
                    kind=options["taken_as"],
                    images=options["images"] or imports.image_folder(path, format),
                    progress=move,
                )
        except BaseException:
            if made:
                projects.delete_project(user, project)
            raise
        self.stdout.write(f"Imported into {project.name}: {totals.summary()}.")
        for line in notes(totals.as_dict()):
            self.stdout.write(line)
