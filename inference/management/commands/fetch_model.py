"""manage.py fetch_model NAME: official weights, or a file of one's own."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from annotations.errors import ServiceError
from inference.models import ModelVersion
from inference.services.weights import OFFICIAL, fetch


class Command(BaseCommand):
    help = "Installs the weights of a model: from their authors, or from a local file."

    def add_arguments(self, parser: CommandParser) -> None:
        names = ", ".join(f"{name} ({entry.megabytes} MB)" for name, entry in OFFICIAL.items())
        parser.add_argument("name", help=f"one of {names}; or your own name, with --file")
        parser.add_argument("--file", type=Path, help="a local copy, .pth, .pt or .safetensors")
        parser.add_argument("--sha256", default="", help="what the file must have")

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(
            unit="B", unit_scale=True, desc=options["name"], disable=not sys.stderr.isatty()
        ) as bar:

            def watch(done: int, total: int) -> None:
                bar.total = total or None
                bar.update(done - bar.n)

            try:
                model = fetch(
                    options["name"], file=options["file"], sha256=options["sha256"], watch=watch
                )
            except ServiceError as error:
                raise CommandError(" ".join(filter(None, [error.detail, error.hint])))
        if model.state != ModelVersion.State.READY:
            raise CommandError(
                f"{model.name} is {model.get_state_display().lower()}: {model.reason}"
            )
        self.stdout.write(f"{model.name} is ready. SHA-256 {model.sha256}")
