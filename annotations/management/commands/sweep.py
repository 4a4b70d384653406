"""`manage.py sweep`: take back what dead workers held, wake workers for what waits, tidy files."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from annotations.services import files, sweeping, upkeep


class Command(BaseCommand):
    help = "Requeues the jobs of dead workers and wakes workers for what waits too long."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="Go on until it is stopped.")
        parser.add_argument("--every", type=float, default=5, help="Seconds between two sweeps.")

    def handle(self, *args: Any, forever: bool, every: float, **options: Any) -> None:
        if not forever:
            sweeping.sweep()
            files.tidy()
            sweeping.tidy()
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        upkeep.forever(stop, every)
