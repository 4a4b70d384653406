"""`manage.py serve`: the whole product on one machine, with one command.

Loads the product once and forks it: web processes under gunicorn, a Celery worker per queue and the
sweeper, which so share what is loaded. Starts again what dies, and stops all of it on SIGTERM or
Ctrl+C. What a process says goes to `<data>/logs/<name>.log`.
"""

import contextlib
import contextvars
import ctypes
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import uuid
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import get_internal_wsgi_application
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.test import RequestFactory
from gunicorn.app.base import BaseApplication

from annotations import prepared
from annotations.formats.registry import FORMATS
from annotations.imaging import pool
from annotations.services import upkeep

QUEUES = ("interactive", "batch", "io")
THREADS = 8
MAX_LOG_BYTES = 10 * 2**20
STOP_SECONDS = 15
ASK_SECONDS = 1
WATCH_SECONDS = 0.1
SETTLED_SECONDS = 60
NICE = 5
"""Whoever waits for an answer comes first. No more: a worker may hold SQLite's place to write."""
PRELOADED = (
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.log",
    "celery.apps.worker",
    "celery.backends.filesystem",
    "celery.bin.celery",
    "celery.concurrency.solo",
    "celery.contrib.django.task",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "gunicorn.glogging",
    "gunicorn.workers.gthread",
    "kombu.transport.filesystem",
)
"""What processes would import after they are forked, each for itself."""
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15  # linux/prctl.h
M_ARENA_MAX = -8  # malloc.h


class Child:
    """One process of the product, in a session of its own: a fork of this one that calls `main`."""

    def __init__(
        self,
        name: str,
        main: Callable[[], object],
        wanted: Callable[[], bool] = lambda: True,
        nice: int = 0,
    ) -> None:
        self.name = name
        self.main = main
        self.wanted = wanted
        self.nice = nice
        self.log = settings.DATA_DIR / "logs" / f"{name}.log"
        self.pid = 0
        self.status: int | None = None
        self.started = 0.0
        self.failures = 0

    def start(self) -> None:
        self.log.parent.mkdir(exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        connections.close_all()  # SQLite's must not be carried across a fork
        parent = os.getpid()
        # Until the child has its own answers to signals this process's would swallow them there.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        self.pid = os.fork()
        if not self.pid:
            self._run(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        self.status = None
        self.started = time.monotonic()

    def _run(self, parent: int) -> NoReturn:
        code = 1
        try:
            os.setsid()
            os.nice(self.nice)
            for number in STOPPING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            if sys.platform == "linux":
                system = ctypes.CDLL(None)
                system.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # should the supervisor be killed
                system.prctl(PR_SET_NAME, self.name.encode())
                if os.getppid() != parent:
                    os._exit(1)
            with self.log.open("ab") as log, open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            self.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # what this process was to do at its end is the supervisor's to do

    def ended(self) -> str:
        """How it ended, empty while it runs."""
        if self.pid and self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        if self.status is None:
            return ""
        return f"signal {-self.status}" if self.status < 0 else f"status {self.status}"

    def rest(self) -> float:
        """Seconds to wait before it is started again: longer with each failure in a row."""
        self.failures = 0 if self.ran() > SETTLED_SECONDS else self.failures + 1
        return min(30, 2 ** (self.failures - 1)) if self.failures else 0

    def ran(self) -> float:
        return time.monotonic() - self.started

    def signal(self, number: int) -> None:
        """To the process, SIGKILL to its whole group."""
        if not self.pid:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            elif not self.ended():
                os.kill(self.pid, number)


class Web(BaseApplication):
    """gunicorn with the application that is loaded already."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return get_internal_wsgi_application()


class Command(BaseCommand):
    help = "Serves the product: web processes, workers and sweeper, until Ctrl+C."
    requires_system_checks: list[str] = []  # they would take as long as the start itself

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on.")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        _check_port(host, port)
        tables = Child("tables", self._bring_tables_up_to_date)
        tables.start()
        os.environ["CELERY_SKIP_CHECKS"] = "1"  # they would go through all models and pages
        # Where the web processes count together; looked for when prometheus_client is imported.
        counts = tempfile.mkdtemp(prefix="labeler-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
        self.stop = threading.Event()
        self.children: list[Child] = []
        for number in STOPPING:
            signal.signal(number, lambda *_: self.stop.set())
        try:
            self._serve(host, port, tables)
        finally:
            self._end()
            shutil.rmtree(counts, ignore_errors=True)

    def _serve(self, host: str, port: int, tables: Child) -> None:
        preloads = sys.platform == "linux"  # elsewhere some libraries break when they are forked
        if preloads:
            _preload()
        while not tables.ended():
            time.sleep(0.02)
        if tables.status:
            raise CommandError(f"The database cannot be brought up to date. {tables.log} says why")
        if preloads:
            _warm_up()
        self._start_decoders()
        self._start_web(host, port)
        self._start_workers()
        self._watch()

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _bring_tables_up_to_date(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", verbosity=0)

    def _start_decoders(self) -> None:
        if sys.platform == "linux":
            listener = socket.socket(socket.AF_UNIX)
            os.environ[pool.SHARED] = f"labeler-decoders-{uuid.uuid4()}"
            listener.bind(f"\0{os.environ[pool.SHARED]}")
            listener.listen()
            self.children.append(Child("decoders", partial(pool.run_server, listener)))

    def _start_web(self, host: str, port: int) -> None:
        web = Child("web", partial(_serve, host, port))
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
            words = ["worker", "--queues", queue, "--pool", "solo", "--hostname", f"{queue}@%h"]
            words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            main, wanted = partial(_work, words), partial(_has_work, queue)
            nice = 0 if queue == "interactive" else NICE
            self.children.append(Child(f"worker-{queue}", main, wanted, nice))
        self.children.append(
            Child("sweeper", partial(upkeep.forever, threading.Event()), nice=NICE)
        )

    def _watch(self) -> None:
        again: dict[str, float] = {}
        while not self.stop.wait(WATCH_SECONDS):
            for child in self.children:
                if not child.pid:
                    if child.wanted():
                        child.start()
                    continue
                how = child.ended()
                if how and child.name not in again:
                    again[child.name] = time.monotonic() + child.rest()
                    self.say(f"{child.name} ended ({how}) and is started again; see {child.log}")
                elif how and time.monotonic() >= again[child.name]:
                    del again[child.name]
                    child.start()

    def _end(self) -> None:
        running = [child for child in self.children if child.pid and not child.ended()]
        if running:
            self.say("Stopping")
        deadline = time.monotonic() + STOP_SECONDS
        asked = 0.0
        while running and time.monotonic() < deadline:
            if time.monotonic() - asked > ASK_SECONDS:  # again: Celery loses one while it starts
                for child in running:
                    child.signal(signal.SIGTERM)
                asked = time.monotonic()
            time.sleep(0.05)
            running = [child for child in running if not child.ended()]
        for child in self.children:
            child.signal(signal.SIGKILL)


def _has_work(queue: str) -> bool:
    """Whether a worker of the queue is needed by now; nobody may ever ask for a learned model."""
    if queue == "io" or not settings.CELERY_BROKER_URL.startswith("filesystem://"):
        return True
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"]
    return any(name.endswith(f".{queue}.msg") for name in os.listdir(folder))


def _work(words: list[str]) -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    current_app.worker_main(words)


def _end_with(parent: int) -> None:
    """The kernel's signal that the supervisor was killed is lost while Celery starts."""
    while os.getppid() == parent:
        time.sleep(1)
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)


def _preload() -> None:
    """Load everything that processes need. Opens nothing, starts no thread."""
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)  # threads of Python seldom allocate at once
    warnings.filterwarnings("ignore", "No directory at")  # WhiteNoise, where nothing is collected
    get_internal_wsgi_application()
    current_app.loader.import_default_modules()
    current_app.finalize()
    for name in (*PRELOADED, *(one.module for one in FORMATS.values())):
        import_module(name)


def _warm_up() -> None:
    """What each process would make for itself when it is first needed, such as how models relate,
    is made here, and is no garbage for any collector to look through. Speaks to no broker."""
    with contextlib.suppress(Exception):  # the processes will say what is wrong
        for model in apps.get_models():
            list(model._default_manager.all()[:1])
        prepared.compile_all()
        host = settings.ALLOWED_HOSTS[0].lstrip(".*") or "localhost"
        page = RequestFactory(SERVER_NAME=host).get("/login").environ
        application: Any = get_internal_wsgi_application()
        contextvars.copy_context().run(application, page, lambda *_: None)
    connections.close_all()
    gc.collect()
    gc.freeze()


def _serve(host: str, port: int) -> None:
    web = Web(
        bind=f"{host}:{port}",
        worker_class="gthread",
        workers=settings.WEB_PROCESSES,
        threads=THREADS,
        timeout=120,
        preload_app=True,
        control_socket_disable=True,
    )
    web.run()


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
