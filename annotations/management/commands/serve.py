"""`manage.py serve`: the whole product on one machine, with one command.

Starts gunicorn and a Celery worker per queue, starts again what dies, and sweeps jobs meanwhile. It
stops all of it on SIGTERM or Ctrl+C. What a process says goes to `<data>/logs/<name>.log`.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from annotations.services import upkeep

QUEUES = ("interactive", "batch", "io")
THREADS = 16
MAX_LOG_BYTES = 10 * 2**20
STOP_SECONDS = 15
SETTLED_SECONDS = 60
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Child:
    """One process of the product, in a process group of its own."""

    def __init__(self, name: str, *module: str) -> None:
        self.name = name
        self.command = [sys.executable, "-m", *module]
        self.log = settings.DATA_DIR / "logs" / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.failures = 0

    def start(self) -> None:
        self.log.parent.mkdir(exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=settings.BASE_DIR,
                env=os.environ | {"CELERY_SKIP_CHECKS": "1"},  # they would import all pages
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_the_parent if sys.platform == "linux" else None,
            )
        self.started = time.monotonic()

    def ended(self) -> str:
        """How it ended, empty while it runs."""
        code = self.process.poll() if self.process else None
        if code is None:
            return ""
        return f"signal {-code}" if code < 0 else f"status {code}"

    def rest(self) -> float:
        """Seconds to wait before it is started again: longer with each failure in a row."""
        self.failures = 0 if self.ran() > SETTLED_SECONDS else self.failures + 1
        return min(30, 2 ** (self.failures - 1)) if self.failures else 0

    def ran(self) -> float:
        return time.monotonic() - self.started

    def signal(self, number: int) -> None:
        """To the process, SIGKILL to its whole group."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


def _end_with_the_parent() -> None:
    """Ask the kernel to stop this process when the supervisor is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Command(BaseCommand):
    help = "Serves the product: web process, workers and sweeper, until Ctrl+C."
    requires_system_checks: list[str] = []  # they import all pages, which the web process does

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on.")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        _check_port(host, port)
        if _unapplied_migrations():
            self.say("Bringing the database up to date")
            call_command("migrate", verbosity=0)
        self.stop = threading.Event()
        self.children: list[Child] = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop.set())
        try:
            self._start_web(host, port)
            self._start_workers()
            self._watch()
        finally:
            self._end()

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _start_web(self, host: str, port: int) -> None:
        web = Child(
            "web",
            *["gunicorn", "labeler.wsgi", "--bind", f"{host}:{port}", "--worker-class", "gthread"],
            *["--threads", str(THREADS), "--timeout", "120", "--no-control-socket"],
        )
        self.children.append(web)
        web.start()
        while not _answers(host, port):
            if web.ended():
                raise CommandError(f"The web process does not start. It says why in {web.log}")
            if self.stop.wait(0.05):
                return
        self.say(f"Serving on http://{host}:{port}   (stop: Ctrl+C, logs: {web.log.parent})")

    def _start_workers(self) -> None:
        # Solo: half the memory of a pool; one that crashes is started again by `_watch`.
        for queue in QUEUES:
            worker = Child(
                f"worker-{queue}",
                *["celery", "--app", "labeler", "worker", "--queues", queue, "--pool", "solo"],
                *["--without-gossip", "--without-mingle", "--without-heartbeat"],
                *["--hostname", f"{queue}@%h", "--loglevel", "INFO"],
            )
            self.children.append(worker)
            worker.start()
        threading.Thread(target=upkeep.forever, args=(self.stop,), daemon=True).start()

    def _watch(self) -> None:
        again: dict[str, float] = {}
        while not self.stop.wait(0.25):
            for child in self.children:
                how = child.ended()
                if how and child.name not in again:
                    again[child.name] = time.monotonic() + child.rest()
                    self.say(f"{child.name} ended ({how}) and is started again; see {child.log}")
                elif how and time.monotonic() >= again[child.name]:
                    del again[child.name]
                    child.start()

    def _end(self) -> None:
        running = [child for child in self.children if child.process and not child.ended()]
        if running:
            self.say("Stopping")
        for child in running:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and any(not child.ended() for child in running):
            time.sleep(0.05)
        for child in self.children:
            child.signal(signal.SIGKILL)


def _check_port(host: str, port: int) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OverflowError:
        raise CommandError(f"{port} is no port: a number from 1 to 65535 is.")
    except PermissionError:
        raise CommandError(f"Port {port} is reserved for the administrator. Choose another: --port")
    except OSError:
        raise CommandError(
            f"Port {port} on {host} is taken, or the address is not this machine's. "
            f"Stop what serves there, or choose another one: PORT={port + 1}"
        )


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def _unapplied_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
