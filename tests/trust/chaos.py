"""Saves over HTTP while what they rely on is killed; then a check of every single one of them.

    script/chaos [--minutes 2] [--clients 8] [--together 20] [--database sqlite|postgres|both]
    script/chaos --database postgres --minutes 40 --kills 200 --saves 50000

Clients save regions through gunicorn, as the editor does: a key for each write, repeated until an
answer comes. Some save into annotations of their own; `--together` people on one image, and
sessions in one annotation; some through a proxy that cuts connections before the server got a
request and after it answered. Meanwhile web processes, gunicorn as a whole, PostgreSQL, Redis and
the workers, which export and pre-label, are killed with SIGKILL and started again.

Afterwards `tests.trust.history` holds what the database kept against what the clients were told,
and `tests.trust.orders` looks at every job. With `--kills` and `--saves` a run ends as soon as
there were so many, and fails when the minutes are over before.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import requests

from tests.live import PEOPLE, Api, LiveApp, picture
from tests.servers import Postgres, Redis, find_program, wait_until
from tests.trust import history
from tests.trust.history import OK, REFUSED, UNKNOWN, Client, Deadline, Revision
from tests.trust.orders import Orders
from tests.trust.proxy import CuttingProxy

SETTLE_SECONDS = 60
TOGETHER_PAUSE = 6.0
SESSIONS_EVERY = 5
"""One session in the shared annotation to so many people on one image: they wait for each other,
and all requests that wait hold a thread."""
LEASE_SECONDS = 5
WORKER = "worker-batch,io"
REVISIONS = """
    SELECT region.uuid, revision.version, revision.write, revision.attributes, region.version
    FROM annotations_regionrevision revision
    JOIN annotations_region region ON region.id = revision.region_id
    JOIN annotations_annotation annotation ON annotation.id = region.annotation_id
    WHERE annotation.project_id = {project}
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many, for how long. A goal of 0 is none; `pause` are seconds between two kills."""

    seconds: float
    clients: int = 6
    together: int = 0
    pause: float = 1.2
    kills: int = 0
    saves: int = 0
    seed: int = 0


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
    cuts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    job_attempts: int = 0
    retried: int = 0
    latencies: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} × {what}" for what, count in sorted(self.kills.items()))
        outcomes = ", ".join(f"{self.outcomes[name]} {name}" for name in (OK, REFUSED, UNKNOWN))
        jobs = ", ".join(f"{count} {state}" for state, count in sorted(self.jobs.items()))
        median = statistics.median(self.latencies or [0.0])
        lines = [
            f"{self.name}: {self.seconds:.0f} s, {sum(self.kills.values())} kills ({kills})",
            f"  saves: {outcomes}; {self.retried} were sent more than once",
            f"  cut by the proxy: {self.cuts['before']} requests, "
            f"{self.cuts['after']} acknowledgements",
            f"  jobs: {jobs or 'none'}; {self.job_attempts} attempts",
            f"  time to an answer: median {1000 * median:.0f} ms, "
            f"longest {max(self.latencies, default=0):.1f} s",
            f"  lost: {len(self.lost)}, wrong: {len(self.wrong)}",
        ]
        return "\n".join([*lines, *[f"    {one}" for one in (self.lost + self.wrong)[:10]]])


class Chaos:
    """One installation under fire: on SQLite gunicorn alone, on PostgreSQL all of it."""

    def __init__(self, name: str, postgres: Postgres | None, hasty: bool, plan: Plan) -> None:
        self.report = Report(name)
        self.plan = plan
        self.postgres = postgres
        self.module = "tests.trust.hasty_wsgi" if hasty else "labeler.wsgi"
        self.random = random.Random(plan.seed)
        # The controls are about saves alone.
        self.redis = Redis() if postgres and not isinstance(postgres, HastyPostgres) else None
        settings = {"JOB_LEASE_SECONDS": str(LEASE_SECONDS), "LOG_LEVEL": "WARNING"}
        self.database = postgres.new_database() if postgres else ""
        if postgres:
            settings["DATABASE_URL"] = self.database
        if self.redis:
            settings["REDIS_URL"] = self.redis.url
        self.app = LiveApp(data=None, **settings)
        self.clients: list[Client] = []
        self.orders: Orders | None = None

    def run(self) -> Report:
        with contextlib.ExitStack() as stack:
            stack.callback(self.app.stop)
            if self.redis:
                stack.callback(self.redis.stop)
                self.redis.start()
            self.app.prepare([*PEOPLE, *(f"person{n}" for n in range(self.plan.together))])
            self.start_web()
            proxy = stack.enter_context(CuttingProxy(self.app.port, self.plan.seed))
            self.make_clients(proxy.url)
            if self.redis:
                self.orders = Orders(self.app.api("manager"))
                self.app.start_worker("batch,io")
                self.app.start_sweeper()
            self.under_fire()
            self.report.cuts = proxy.cuts
            self.check()
        return self.report

    def under_fire(self) -> None:
        stop, deadline = threading.Event(), Deadline()
        threads = [
            threading.Thread(target=client.work, args=(stop, deadline)) for client in self.clients
        ]
        if self.orders:
            threads.append(threading.Thread(target=self.orders.work, args=(stop,)))
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            self.kill_until(begun + self.plan.seconds)
        finally:
            stop.set()
            deadline.set(SETTLE_SECONDS)
            for thread in threads:
                thread.join()
        self.report.seconds = time.monotonic() - begun

    def start_web(self) -> None:
        self.app.spawn(
            "web",
            *["-m", "gunicorn", self.module, "--bind", f"127.0.0.1:{self.app.port}"],
            *["--worker-class", "gthread", "--workers", "2", "--threads", "8"],
            *["--no-control-socket", "--timeout", "120", "--graceful-timeout", "5"],
            "--preload",  # a web process that was killed is back at once
        )
        wait_until(
            lambda: requests.get(f"{self.app.url}/healthz", timeout=5).ok,
            f"the web process (log: {self.app.data / 'web.log'})",
            seconds=120,
        )

    def make_clients(self, proxy: str) -> None:
        """A quarter of those that save alone, and of the sessions, goes through the proxy."""
        owner = self.app.api("owner")
        alone, together = self.plan.clients, self.plan.together
        members = {f"person{n}": "annotator" for n in range(together)}
        self.project = owner.project(members=members)["id"]
        pictures = {f"{n:04}.png": picture(seed=n) for n in range(alone + 2)}
        images = [image["id"] for image in owner.upload(self.project, pictures)]
        category = owner.categories(self.project)[0]["id"]
        annotations = [owner.annotation(image)["id"] for image in images[: alone + 1]]
        everybody = owner.get(f"projects/{self.project}/rules")["free_picking"]
        assert everybody, "an annotator may label any image"

        def add(name: str, person: str, annotation: int, cut: bool, **more: object) -> None:
            chance = random.Random(self.random.random())
            url, token = proxy if cut else self.app.url, self.app.people[person].token
            self.clients.append(
                # Whatever of a client's fields is given.
                Client(name, url, token, annotation, category, chance, **more)  # type: ignore[arg-type]
            )

        for number in range(alone):
            cut = number >= alone - alone // 4
            add(f"alone {number}", "owner", annotations[number], cut)
        known: dict[str, int] = {}
        for number in range(together):
            person, pause = f"person{number}", TOGETHER_PAUSE
            mine = self.app.api(person).annotation(images[-1])["id"]
            add(f"one image {number}", person, mine, False, pause=pause, most_regions=200)
        for number in range(-(-together // SESSIONS_EVERY)):
            cut = number % 4 == 3
            shared = {"most_regions": 200, "versions": known, "pause": TOGETHER_PAUSE}
            add(f"one annotation {number}", "owner", annotations[-1], cut, **shared)

    # --- faults -----------------------------------------------------------------------------------
    def kill_until(self, end: float) -> None:
        faults: list[Callable[[], None]] = [self.kill_database] if self.postgres else []
        if not isinstance(self.postgres, HastyPostgres):  # which only the database's end harms
            faults += [self.kill_web_process, self.kill_gunicorn]
        if self.orders:
            faults = [
                *[self.kill_worker, self.kill_web_process, self.kill_database],
                *[self.kill_worker, self.kill_gunicorn, self.kill_redis],
            ]
        turn, begun, said = 0, time.monotonic(), 0
        while (time.monotonic() < end or turn < len(faults)) and not self.reached():
            pause = self.random.uniform(0.6, 1.4) * self.plan.pause
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            fault = faults[turn % len(faults)]
            turn += 1
            fault()
            if (minute := int((time.monotonic() - begun) / 60)) > said:
                said = minute
                kills = self.report.kills.total()
                print(f"  {minute} min: {kills} kills, {self.acknowledged()} saves", flush=True)

    def acknowledged(self) -> int:
        """How many saves were answered with success so far."""
        return sum(save.outcome == OK for one in self.clients for save in tuple(one.history))

    def reached(self) -> bool:
        """Whether there are goals and all are reached."""
        if not self.plan.kills and not self.plan.saves:
            return False
        kills = self.report.kills.total()
        return kills >= self.plan.kills and self.acknowledged() >= self.plan.saves

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

    def kill_worker(self) -> None:
        """In the middle of a job, if one comes soon."""
        assert self.orders
        if self.orders.running.wait(3):
            time.sleep(self.random.uniform(0, 0.3))
        self.app.kill(WORKER)
        self.report.kills["worker"] += 1
        self.app.start_worker("batch,io")

    def kill_redis(self) -> None:
        assert self.redis
        self.redis.kill()
        self.report.kills["Redis"] += 1
        self.redis.start()

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

    # --- the check --------------------------------------------------------------------------------
    def check(self) -> None:
        saves = [save for client in self.clients for save in client.history]
        report = self.report
        report.wrong += [error for client in self.clients for error in client.errors]
        report.outcomes.update(save.outcome for save in saves)
        report.retried = sum(save.attempts > 1 for save in saves)
        report.latencies = [save.seconds for save in saves]
        revisions = list(self.revisions())
        lost, wrong = history.check(saves, revisions)
        report.lost += lost
        report.wrong += wrong
        self.check_what_is_read({region: now for region, _, _, _, now in revisions})
        if self.orders:
            self.orders.check()
            report.jobs, report.job_attempts = self.orders.states, self.orders.attempts
            report.wrong += self.orders.wrong

    def check_what_is_read(self, current: dict[str, int]) -> None:
        """What the API shows afterwards is what the history ends with."""
        owner = Api(self.app.url, self.app.people["owner"].token)
        shown = {
            region["uuid"]: region["version"]
            for annotation in {client.annotation for client in self.clients}
            for region in owner.get(f"annotations/{annotation}")["regions"]
        }
        if shown != current:
            self.report.wrong.append("the API shows other regions than the history ends with")

    def revisions(self) -> Iterator[Revision]:
        query = REVISIONS.format(project=int(self.project))
        if self.postgres:
            with contextlib.closing(psycopg2.connect(self.database)) as connection:
                cursor = connection.cursor()
                cursor.execute(query)
                rows = cursor.fetchall()
        else:
            path = self.app.data / "labeler.sqlite3"
            with contextlib.closing(sqlite3.connect(path)) as connection:
                rows = connection.execute(query).fetchall()
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


def run(database: str, plan: Plan, *, control: bool = False) -> Report:
    """One run on `sqlite` or `postgres`; `control` plants the fault of that database."""
    name = f"{database}, control" if control else database
    if database == "sqlite":
        return Chaos(name, None, control, plan).run()
    server = HastyPostgres() if control else Postgres()
    try:
        server.start()
        return Chaos(name, server, False, plan).run()
    finally:
        server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/chaos", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=2, help="for all databases together")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--together", type=int, default=20)
    parser.add_argument("--pause", type=float, default=1.2, help="seconds between two kills")
    parser.add_argument("--kills", type=int, default=0, help="a goal")
    parser.add_argument("--saves", type=int, default=0, help="a goal")
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    databases = ["sqlite", "postgres"] if options.database == "both" else [options.database]
    for program in ("initdb", "redis-server") if "postgres" in databases else ():
        if not find_program(program):
            sys.exit("Not installed: apt install postgresql redis-server, or --database sqlite")
    plan = Plan(
        60 * options.minutes / len(databases), options.clients, options.together, options.pause,
        options.kills, options.saves, options.seed,
    )  # fmt: skip
    print(f"seed {plan.seed}", flush=True)
    failed = False
    for database in databases:
        report = run(database, plan)
        failed |= bool(report.lost or report.wrong)
        print(report, flush=True)
        if report.kills.total() < plan.kills or report.outcomes[OK] < plan.saves:
            print("  the goals were not reached in time")
            failed = True
        if options.no_control:
            continue
        report = run(database, Plan(12, seed=plan.seed), control=True)
        failed |= not report.lost
        print(report, flush=True)
        print("  found, as it must be" if report.lost else "  NOT FOUND: the check is blind")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
