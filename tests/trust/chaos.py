"""Saves over HTTP while what they rely on is killed; then a check of every single one of them.

    script/chaos [--minutes 2] [--clients 6] [--database sqlite|postgres|both] [--no-control]

Clients save regions through gunicorn, as the editor does: a key for each write, repeated until an
answer comes. Meanwhile web processes, gunicorn as a whole and the database are killed with SIGKILL
and started again. Afterwards the database's history is held against what the clients were told:

    every write that was acknowledged is there, with the version and the contents it was given
    no write that was refused is there
    a write without an answer is there at most once
    nothing else is there, and the versions of a region count 1, 2, 3, … without a gap

A check that cannot fail is worth nothing, so the controls plant a fault that it must find: a server
that answers before COMMIT (`tests.trust.hasty_wsgi`), and a PostgreSQL with synchronous_commit=off.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import statistics
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import requests

from tests.live import Api, LiveApp, picture
from tests.servers import Postgres, find_program, wait_until

OK, REFUSED, UNKNOWN = "acknowledged", "refused", "unanswered"
RETRY_SECONDS = 0.1
SETTLE_SECONDS = 60
REVISIONS = """
    SELECT region.uuid, revision.version, revision.write, revision.attributes, region.version
    FROM annotations_regionrevision revision
    JOIN annotations_region region ON region.id = revision.region_id
"""


@dataclass(slots=True)
class Save:
    """One write of one client and what became of it."""

    key: str
    region: str
    based_on: int
    number: int
    outcome: str = UNKNOWN
    version: int = 0
    seconds: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class Client:
    """Saves into an annotation of its own until told to stop."""

    url: str
    token: str
    annotation: int
    category: int
    random: random.Random
    history: list[Save] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def work(self, stop: threading.Event, deadline: "Deadline") -> None:
        with requests.Session() as http:
            http.headers["Authorization"] = f"Token {self.token}"
            try:
                while not stop.is_set():
                    self.save(http, deadline)
            except Exception as error:  # an answer that a save must never get
                self.errors.append(repr(error))

    def save(self, http: requests.Session, deadline: "Deadline") -> None:
        """A new region, or a change of one; now and then with a version that is stale."""
        known = list(self.versions)
        new = len(known) < 5 or (len(known) < 2000 and self.random.random() < 0.2)
        region = str(uuid.UUID(int=self.random.getrandbits(128))) if new else ""
        region = region or self.random.choice(known)
        based_on = self.versions.get(region, 0)
        if based_on > 1 and self.random.random() < 0.05:
            based_on -= 1
        key = str(uuid.UUID(int=self.random.getrandbits(128)))
        save = Save(key, region, based_on, len(self.history))
        self.history.append(save)
        begun = time.monotonic()
        while save.outcome == UNKNOWN and not deadline.passed():
            save.attempts += 1
            try:
                self.send(http, save)
            except requests.RequestException:
                time.sleep(RETRY_SECONDS)
        save.seconds = time.monotonic() - begun

    def send(self, http: requests.Session, save: Save) -> None:
        write: dict[str, Any] = {
            "op": "upsert",
            "region": save.region,
            "based_on": save.based_on,
            "key": save.key,
            "category": self.category,
            "polygons": [[[1, 1, 20, 1, 20, 20 + save.number % 50]]],
            "attributes": {"number": save.number},
        }
        address = f"{self.url}/api/annotations/{self.annotation}/patches"
        reply = http.post(address, json={"writes": [write]}, timeout=(2, 15))
        if reply.status_code == 200:
            save.outcome = OK
            save.version = reply.json()["regions"][0]["version"]
            self.versions[save.region] = save.version
        elif reply.status_code == 412:
            save.outcome = REFUSED
            theirs = reply.json()["conflicts"][0]["theirs"]
            if theirs:
                self.versions[save.region] = theirs["version"]
            else:
                self.versions.pop(save.region, None)
        elif reply.status_code < 500:
            raise AssertionError(f"{reply.status_code}: {reply.text[:500]}")
        else:
            time.sleep(RETRY_SECONDS)


class Deadline:
    """When clients give up waiting for answers; none until `set`."""

    def __init__(self) -> None:
        self.at = float("inf")

    def set(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def passed(self) -> bool:
        return time.monotonic() > self.at


class HastyPostgres(Postgres):
    """A control: COMMIT returns before the log is on disk, and the log is written late."""

    def command(self) -> list[str]:
        hasty = {"synchronous_commit": "off", "wal_writer_delay": "10s"}
        return super().command() + [f"--{name}={value}" for name, value in hasty.items()]


@dataclass(slots=True)
class Report:
    """What happened and what is wrong."""

    name: str
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    latencies: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} × {what}" for what, count in sorted(self.kills.items()))
        outcomes = ", ".join(f"{self.outcomes[name]} {name}" for name in (OK, REFUSED, UNKNOWN))
        median = statistics.median(self.latencies or [0.0])
        lines = [
            f"{self.name}: {self.seconds:.0f} s, {sum(self.kills.values())} kills ({kills})",
            f"  saves: {outcomes}; {self.retried} were sent more than once",
            f"  time to an answer: median {1000 * median:.0f} ms, "
            f"longest {max(self.latencies, default=0):.1f} s",
            f"  lost: {len(self.lost)}, wrong: {len(self.wrong)}",
        ]
        return "\n".join([*lines, *[f"    {one}" for one in (self.lost + self.wrong)[:10]]])


class Chaos:
    """One installation under fire."""

    def __init__(self, name: str, postgres: Postgres | None, hasty: bool, seed: int) -> None:
        self.report = Report(name)
        self.postgres = postgres
        self.module = "tests.trust.hasty_wsgi" if hasty else "labeler.wsgi"
        self.random = random.Random(seed)
        settings = {"DATABASE_URL": postgres.url} if postgres else {}
        self.app = LiveApp(**settings)
        self.clients: list[Client] = []

    def run(self, seconds: float, clients: int) -> Report:
        try:
            self.app.prepare()
            self.start_web()
            self.make_clients(clients)
            stop, deadline = threading.Event(), Deadline()
            threads = [
                threading.Thread(target=client.work, args=(stop, deadline))
                for client in self.clients
            ]
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            self.kill_until(begun + seconds)
            stop.set()
            deadline.set(SETTLE_SECONDS)
            for thread in threads:
                thread.join()
            self.report.seconds = time.monotonic() - begun
            self.check()
            return self.report
        finally:
            self.app.stop()

    def start_web(self) -> None:
        self.app.spawn(
            "web",
            *["-m", "gunicorn", self.module, "--bind", f"127.0.0.1:{self.app.port}"],
            *["--worker-class", "gthread", "--workers", "2", "--threads", "4"],
            *["--no-control-socket", "--timeout", "120", "--graceful-timeout", "5"],
        )
        wait_until(
            lambda: requests.get(f"{self.app.url}/healthz", timeout=5).ok,
            f"the web process (log: {self.app.data / 'web.log'})",
            seconds=120,
        )

    def make_clients(self, number: int) -> None:
        owner = self.app.api("owner")
        project = owner.project()["id"]
        pictures = {f"{n}.png": picture(seed=n) for n in range(number)}
        images = owner.upload(project, pictures)
        category = owner.categories(project)[0]["id"]
        for image in images:
            annotation = owner.annotation(image["id"])["id"]
            client_random = random.Random(self.random.random())
            token = self.app.people["owner"].token
            self.clients.append(Client(self.app.url, token, annotation, category, client_random))

    def kill_until(self, end: float) -> None:
        faults = [self.kill_database] if self.postgres else []
        if not isinstance(self.postgres, HastyPostgres):  # which only the database's end harms
            faults += [self.kill_web_process, self.kill_gunicorn]
        turn = 0
        while time.monotonic() < end or turn < len(faults):
            pause = self.random.uniform(0.7, 1.8)
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            fault = faults[turn % len(faults)]
            turn += 1
            fault()

    def kill_web_process(self) -> None:
        """One of gunicorn's two; gunicorn starts another."""
        found = children(self.app.processes["web"].pid)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(found), signal.SIGKILL)
                self.report.kills["web process"] += 1

    def kill_gunicorn(self) -> None:
        self.app.kill("web")
        self.report.kills["gunicorn"] += 1
        self.start_web()

    def kill_database(self) -> None:
        """All of PostgreSQL's processes at once, as when the machine's power fails."""
        assert self.postgres
        assert self.postgres.process
        processes = children(self.postgres.process.pid)
        self.postgres.process.send_signal(signal.SIGSTOP)  # so that it starts no more of them
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.postgres.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "the end")
        self.report.kills["PostgreSQL"] += 1
        self.postgres.start()

    def check(self) -> None:
        saves = {save.key: save for client in self.clients for save in client.history}
        report = self.report
        report.wrong += [error for client in self.clients for error in client.errors]
        report.outcomes.update(save.outcome for save in saves.values())
        report.retried = sum(save.attempts > 1 for save in saves.values())
        report.latencies = [save.seconds for save in saves.values()]
        stored: dict[str, tuple[str, int, Any]] = {}
        versions: dict[str, list[int]] = {}
        current: dict[str, int] = {}
        for region, version, key, attributes, now in self.revisions():
            if key in stored:
                report.wrong.append(f"{key} is there twice")
            stored[key] = region, version, attributes
            versions.setdefault(region, []).append(version)
            current[region] = now
        for key, save in saves.items():
            found = stored.pop(key, None)
            if found is None:
                if save.outcome == OK:
                    report.lost.append(f"version {save.version} of {save.region} is not there")
            elif save.outcome == REFUSED:
                report.wrong.append(f"{key} was refused and is there")
            elif found[0] != save.region or found[2] != {"number": save.number}:
                report.wrong.append(f"{key} is there with other contents")
            elif save.outcome == OK and found[1] != save.version:
                report.wrong.append(f"{key} is version {found[1]}, not {save.version}")
        report.wrong += [f"nobody wrote {key}" for key in stored]
        for region, numbers in versions.items():
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                report.wrong.append(f"{region} has the versions {sorted(numbers)}")
            if current[region] != max(numbers):
                report.wrong.append(f"{region} is at {current[region]}, not at {max(numbers)}")
        self.check_what_is_read(current)

    def check_what_is_read(self, current: dict[str, int]) -> None:
        """What the API shows afterwards is what the history ends with."""
        owner = Api(self.app.url, self.app.people["owner"].token)
        shown = {
            region["uuid"]: region["version"]
            for client in self.clients
            for region in owner.get(f"annotations/{client.annotation}")["regions"]
        }
        if shown != current:
            self.report.wrong.append("the API shows other regions than the history ends with")

    def revisions(self) -> Iterator[tuple[str, int, str, Any, int]]:
        """(region, version, key, attributes, the region's version now) of every write stored."""
        if self.postgres:
            with contextlib.closing(psycopg2.connect(self.postgres.url)) as connection:
                cursor = connection.cursor()
                cursor.execute(REVISIONS)
                rows = cursor.fetchall()
        else:
            path = self.app.data / "labeler.sqlite3"
            with contextlib.closing(sqlite3.connect(path)) as connection:
                rows = connection.execute(REVISIONS).fetchall()
        for region, version, key, attributes, now in rows:
            values = json.loads(attributes) if isinstance(attributes, str) else attributes
            yield str(uuid.UUID(str(region))), version, str(uuid.UUID(str(key))), values, now


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that still run."""
    try:
        tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(task) for task in tasks]


def run(
    database: str, *, seconds: float, clients: int = 6, control: bool = False, seed: int = 0
) -> Report:
    """One run on `sqlite` or `postgres`; `control` plants the fault of that database."""
    name = f"{database}, control" if control else database
    if database == "sqlite":
        return Chaos(name, None, control, seed).run(seconds, clients)
    server = HastyPostgres() if control else Postgres()
    try:
        server.start()
        return Chaos(name, server, False, seed).run(seconds, clients)
    finally:
        server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/chaos", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=2, help="for all databases together")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    databases = ["sqlite", "postgres"] if options.database == "both" else [options.database]
    if "postgres" in databases and not find_program("initdb"):
        sys.exit("PostgreSQL is not installed: apt install postgresql, or --database sqlite")
    print(f"seed {options.seed}", flush=True)
    failed = False
    for database in databases:
        seconds = 60 * options.minutes / len(databases)
        report = run(database, seconds=seconds, clients=options.clients, seed=options.seed)
        failed |= bool(report.lost or report.wrong)
        print(report, flush=True)
        if options.no_control:
            continue
        report = run(database, seconds=12, control=True, seed=options.seed)
        failed |= not report.lost
        print(report, flush=True)
        print("  found, as it must be" if report.lost else "  NOT FOUND: the check is blind")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
