"""`manage.py export_dataset FORMAT PATH --project NAME`: annotations as a folder or a zip."""

import shutil
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.errors import ServiceError
from annotations.formats import splits
from annotations.formats.registry import FORMATS
from annotations.management.cli import existing_project, notes, plain, progress_bar
from annotations.models import Project, Release
from annotations.records import DatasetError
from annotations.selectors.exports import WANTED, Rule
from annotations.services import exports, files, imports, releases


class Command(BaseCommand):
    help = "Exports annotations to a new folder, or to a zip where PATH ends with .zip."

    def add_arguments(self, parser: CommandParser) -> None:
        writable = [name for name, info in FORMATS.items() if info.writes]
        parser.add_argument("format", choices=writable)
        parser.add_argument("path", type=Path, help="A folder that is not there yet, or a .zip.")
        parser.add_argument("--project", required=True, help="Its name.")
        parser.add_argument("--release", help="The name of one; else of what there is now.")
        parser.add_argument("--status", choices=list(WANTED), default="approved")
        parser.add_argument("--split", help="train/val/test, such as 80/10/10.")
        parser.add_argument("--seed", default="", help="Another one gives other splits.")
        parser.add_argument(
            "--stratify", action="store_true", help="Share out each category by the fractions."
        )
        parser.add_argument("--images", action="store_true", help="Put the images beside them.")

    def handle(self, *args: Any, format: str, path: Path, **options: Any) -> None:
        project = existing_project(options["project"])
        if path.exists() and (path.suffix == ".zip" or not path.is_dir() or any(path.iterdir())):
            raise CommandError(f"{path} is there already. Name another one, or remove it.")
        asked = split_options(**options)
        aside = path.with_name(f".{path.name}.part")
        bar, move = progress_bar("Writing")
        try:
            exports.check_request(project, format, options["status"], asked)
            with files.space(), bar:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir()
                release = named_release(project, options["release"]) or releases.make_release(
                    project, Rule(options["status"]), None, progress=move
                )
                report = exports.write_dataset(
                    release,
                    format,
                    aside,
                    images=options["images"],
                    options=asked,
                    progress=move,
                )
                if path.suffix == ".zip":
                    packed = path.with_name(f".{path.name}.zip.part")
                    packed.unlink(missing_ok=True)
                    exports.pack(aside, packed)
                    packed.replace(path)
                else:
                    aside.replace(path)
        except ServiceError as error:
            raise plain(error)
        except DatasetError as error:
            raise plain(imports.as_service_error(error))
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.")
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self.stdout.write(f"{report.images} images and {report.regions} regions in {path}")
        self.stdout.write(f"Release {release.name or 'without a name'}: {release.sha256}")
        for line in notes(exports.report_values(report)):
            self.stdout.write(line)


def named_release(project: Project, name: str | None) -> Release | None:
    """CommandError: there is none of that name."""
    if not name:
        return None
    release = Release.objects.filter(project=project, name__iexact=name).first()
    if release is None:
        raise CommandError(f"There is no release named “{name}” in {project.name}.")
    return release


def split_options(split: str | None, seed: str, stratify: bool, **_: Any) -> dict[str, Any]:
    """The options of an export. CommandError: no such splits."""
    if not split:
        return {}
    try:
        return {"splits": splits.parse(split), "seed": seed, "stratify": stratify}
    except ValueError:
        raise CommandError(f"“{split}” are no splits. They look like 80/10/10.")
