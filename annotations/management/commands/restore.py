"""`manage.py restore FOLDER`: what `manage.py backup` wrote, verified file by file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.errors import ServiceError
from annotations.management.cli import counted, progress_bar
from annotations.services import backups


class Command(BaseCommand):
    help = "Makes the database and the stored files what they were. Stop everything else before."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--force", action="store_true", help="Replace what is here. It cannot be undone."
        )

    def handle(self, *args: Any, folder: Path, force: bool, **options: Any) -> None:
        bar, move = progress_bar("Verifying", "files")
        try:
            with bar:
                done = backups.restore(folder.absolute(), force=force, progress=move)
        except (backups.BackupError, ServiceError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"The database and {counted(done.files, 'file')} are what they were.")
