"""Throw-away PostgreSQL, Redis and S3 servers on free ports of 127.0.0.1, for tests.

As fixtures: `from tests.servers import postgres_url, redis_url` in a conftest. Around a command:

    python -m tests.servers run [--postgres] [--redis] -- pytest tests/...

which sets DATABASE_URL, DATABASE_TEMPLATE (a database with all tables, to copy) and REDIS_URL for
it and answers with its exit status. This PostgreSQL does not wait for the disk.
"""

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import boto3
import psycopg2
import pytest
import redis

from tests import templates

START_SECONDS = 30
MIGRATED = "migrated"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def find_program(name: str) -> str | None:
    """The program's path. Debian keeps PostgreSQL's server programs off PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or next((str(path) for path in installed), None)


def wait_until(ready: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    """Asks `ready` until it answers something true. Errors on the way count as no."""
    deadline = time.monotonic() + seconds
    error: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except Exception as caught:
            error = caught
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not come up in {seconds:.0f} s: {error}")


class Server:
    """One server process with a folder of its own. `kill` is SIGKILL; `start` again recovers."""

    user: str | None = None

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"labeler-{type(self).__name__.lower()}-"))
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> object:
        raise NotImplementedError

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, user=self.user, cwd=self.folder
            )
        wait_until(self.ready, type(self).__name__)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGINT)  # PostgreSQL's fast shutdown; Redis saves and leaves
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, with_signal: int) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(timeout=30)


class Postgres(Server):
    """A cluster with durable commits (fsync and synchronous_commit stay on).

    Its databases `postgres` and `template1` are empty; `migrated` has all tables.
    """

    def __init__(self) -> None:
        super().__init__()
        if os.geteuid() == 0:  # the server refuses to run as root
            self.user = "postgres"
            shutil.chown(self.folder, "postgres")
        release = Path(find_program("initdb") or "").resolve().parent.parent.name
        made = templates.once(f"postgres{release}", self._make)
        self.password = (made / "password").read_text()
        subprocess.run(["cp", "-a", made / "data", self.folder], check=True)

    def _make(self, folder: Path) -> None:
        """A cluster in `folder`, and beside it its password."""
        data, password_file = self.folder / "data", self.folder / "password"
        self.password = secrets.token_urlsafe(16)
        password_file.write_text(self.password)
        shutil.chown(password_file, self.user or os.geteuid())
        options = {"pgdata": data, "username": "labeler", "pwfile": password_file}
        options |= {"auth": "scram-sha-256", "encoding": "UTF8"}
        subprocess.run(
            [find_program("initdb") or "initdb", "--no-locale", "--no-sync"]
            + [f"--{name}={value}" for name, value in options.items()],
            user=self.user,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
        self.start()
        self.create_database(MIGRATED, "template1")
        templates.migrate(self.url_of(MIGRATED))
        self._end(signal.SIGINT)
        subprocess.run(["mv", data, password_file, folder], check=True)

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgres://labeler:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of a fresh database with all tables."""
        name = f"labeler_{secrets.token_hex(4)}"
        self.create_database(name, MIGRATED)
        return self.url_of(name)

    def create_database(self, name: str, template: str) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True  # CREATE DATABASE runs in no transaction
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")

    def command(self) -> list[str]:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder)}
        return [
            *[find_program("postgres") or "postgres", "-D", str(self.folder / "data")],
            *["-p", str(self.port)],
            *[word for name, value in settings.items() for word in ("-c", f"{name}={value}")],
        ]

    def ready(self) -> object:
        psycopg2.connect(self.url).close()
        return True


class HurriedPostgres(Postgres):
    """A cluster that is not there after the machine's power failed: quicker."""

    def command(self) -> list[str]:
        off = ("fsync", "synchronous_commit", "full_page_writes")
        return super().command() + [word for name in off for word in ("-c", f"{name}=off")]


class Redis(Server):
    """A server with an append-only file that is written before each reply."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            *[find_program("redis-server") or "redis-server", "--bind", "127.0.0.1"],
            *["--port", str(self.port), "--dir", str(self.folder), "--save", ""],
            *["--appendonly", "yes", "--appendfsync", "always"],
        ]

    def ready(self) -> object:
        with redis.Redis.from_url(self.url) as client:
            return client.ping()


class ObjectStore(Server):
    """S3 over HTTP (rclone, from PyPI) with checked signatures; a bucket is a folder of `files`."""

    key, secret = "labeler", "a secret/with+signs"

    def __init__(self) -> None:
        super().__init__()
        self.files = self.folder / "files"
        self.files.mkdir()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"

    def storage_url(self, bucket: str) -> str:
        return f"s3://{self.key}:{quote(self.secret, safe='')}@{self.host}/{bucket}?tls=0"

    def client(self, **options: Any) -> Any:
        """boto3's client with this server's keys."""
        options = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret} | options
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **options)

    def names(self, bucket: str) -> set[str]:
        """The keys of a bucket's objects."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {one["Key"] for page in pages for one in page.get("Contents", [])}

    def command(self) -> list[str]:
        return [
            *[str(Path(sys.executable).with_name("rclone")), "--config", "", "serve", "s3"],
            *["--addr", self.host, "--auth-key", f"{self.key},{self.secret}"],
            str(self.files),
        ]

    def ready(self) -> object:
        return self.client().list_buckets()


def missing() -> list[str]:
    """The programs that tests need and that are not installed: servers, and a compiler."""
    wanted = ("initdb", "postgres", "redis-server", "cc")
    return [name for name in wanted if not find_program(name)]


AnyServer = TypeVar("AnyServer", bound=Server)


@contextlib.contextmanager
def running(kind: type[AnyServer]) -> Iterator[AnyServer]:
    server = kind()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with running(ObjectStore) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that a test may kill and start again."""
    if not find_program("initdb"):
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with running(Postgres) as server:
        yield server


@pytest.fixture(scope="module")
def postgres_url(postgres: Postgres) -> str:
    """A database of the module's own."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis server that a test may kill and start again."""
    if not find_program("redis-server"):
        pytest.skip("Redis is not installed: apt install redis-server")
    with running(Redis) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: Redis) -> str:
    return redis_server.url


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    commands = parser.add_subparsers(dest="action", required=True)
    commands.add_parser("check", help="name the programs that are missing")
    run = commands.add_parser("run", help="run a command beside throw-away servers")
    run.add_argument("--postgres", action="store_true")
    run.add_argument("--redis", action="store_true")
    run.add_argument("command", nargs="+")
    args = parser.parse_args()
    if args.action == "check":
        print(" ".join(missing()))
        return int(bool(missing()))
    environment = dict(os.environ)
    with contextlib.ExitStack() as servers:
        if args.postgres:
            environment["DATABASE_URL"] = servers.enter_context(running(HurriedPostgres)).url
            environment["DATABASE_TEMPLATE"] = MIGRATED
        if args.redis:
            environment["REDIS_URL"] = servers.enter_context(running(Redis)).url
        return subprocess.run(args.command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
