"""`manage.py backup FOLDER`: the database and all stored files, with their hashes."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.errors import ServiceError
from annotations.management.cli import counted, progress_bar
from annotations.services import backups


class Command(BaseCommand):
    help = "Writes the database and all stored files to a new folder, while the product runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="Must not exist yet.")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        bar, move = progress_bar("Copying", "files")
        try:
            with bar:
                done = backups.backup(folder.absolute(), move)
        except (backups.BackupError, ServiceError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{folder}: the database and {counted(done.files, 'file')} ({done.bytes / 1e6:.1f} MB)"
        )
