"""How long requests take in a project of 10 thousand, 100 thousand and 1 million images.

    script/bench scale [--images 10000 100000 1000000] [--requests 60] [--plot docs/scale.svg]
    script/bench scale --images 100000 --annotators 200

One throw-away PostgreSQL, one project that grows: 55 % of the images are annotated, with about 9
regions each (5 million regions at a million images, and as many revisions), 20 categories and 200
annotators. Each step is a request through all of Django, in one process, to the answer's last byte.
"Computing" is the processor time of that process and of its database connection together (no query
gets helpers of its own); "passed" is the time by the clock. `--annotators` then lets that many
people save at once over HTTP through gunicorn, each one every `--pause` seconds, and looks up every
save.
"""

import argparse
import contextlib
import gc
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.live import LiveApp
from tests.servers import Postgres, find_program, running

AIM_MS = 20
AIM_SAVE_MS = 100
PEOPLE = 200
OTHERS_FROM = 10**9
BEGUN = 100
"""So many of them have begun images."""
CATEGORIES = 20
STEP = 100_000
SIZE = (960, 1280)
FILL = [
    """INSERT INTO annotations_storedfile (id, sha256, original, number, reference, original_type,
        upright, upright_type, thumbnail, "values", levels, width, height, bytes, created_at)
    SELECT n, encode(sha256(n::text::bytea), 'hex'), 'originals/' || n, 0, '', 'image/jpeg',
        'upright/' || n, 'image/jpeg', 'thumbnails/' || n, '', 0, 1280, 960, 150000, now()
    FROM generate_series(%(first)s, %(last)s) n""",
    """INSERT INTO annotations_image (id, uuid, project_id, file_id, name, width, height, status,
        priority, has_place, created_at)
    SELECT n, gen_random_uuid(), %(project)s, n, 'street/' || n || '.jpg', 1280, 960,
        CASE WHEN n %% 20 < 9 THEN 'new' WHEN n < 2000 THEN 'in_progress'
            WHEN n %% 20 < 13 THEN 'submitted' ELSE 'approved' END, 0, n %% 20 < 9 OR n < 2000,
        now()
    FROM generate_series(%(first)s, %(last)s) n""",
    """INSERT INTO annotations_annotation (id, uuid, project_id, image_id, annotator_id, status,
        revision, seconds_spent, created_at, updated_at, submitted_at, sampled, risk)
    SELECT image.id, gen_random_uuid(), %(project)s, image.id,
        (%(people)s::int[])[1 + image.id / 20 %% %(number)s], image.status, 9, 60, now(), now(),
        CASE WHEN image.status = 'in_progress' THEN NULL
            ELSE now() - interval '1 second' * (image.id * 7919 %% 1000003) END, true, 0
    FROM annotations_image image
    WHERE image.id BETWEEN %(first)s AND %(last)s AND image.status <> 'new'""",
    """INSERT INTO annotations_region (id, uuid, annotation_id, image_id, category_id, polygons,
        counts, area, bbox, is_crowd, "order", attributes, source, version, author_id, created_at,
        updated_at)
    SELECT a.id * 10 + k, gen_random_uuid(), a.id, a.image_id,
        (%(categories)s::int[])[CASE WHEN (a.id * 31 + k) %% 9973 = 0 THEN %(kinds)s
            WHEN (a.id * 17 + k) %% 701 = 0 THEN %(kinds)s - 1
            ELSE 1 + (a.id * 7 + k) %% (%(kinds)s - 2) END],
        CASE WHEN k %% 4 > 0 THEN %(polygons)s::jsonb END,
        CASE WHEN k %% 4 = 0 THEN %(counts)s END, 5000, '[100, 100, 80, 80]', false, k, '{}',
        'polygon', 1, a.annotator_id, now(), now()
    FROM annotations_annotation a, generate_series(0, 8 + (a.id %% 11 = 0)::int) k
    WHERE a.id BETWEEN %(first)s AND %(last)s""",
    """INSERT INTO annotations_regionrevision (id, region_id, version, write, author_id, at,
        deleted, category_id, polygons, counts, is_crowd, "order", attributes, source)
    SELECT id, id, 1, gen_random_uuid(), author_id, now(), false, category_id, polygons, counts,
        false, "order", '{}', source
    FROM annotations_region WHERE id BETWEEN %(first)s * 10 AND %(last)s * 10 + 9""",
]
# What the measurement before gave out goes back.
FREE = """WITH freed AS (DELETE FROM annotations_lease RETURNING image_id)
    UPDATE annotations_image SET has_place = true
    WHERE status IN ('new', 'in_progress') AND id IN (SELECT image_id FROM freed)"""
TABLES = ("storedfile", "image", "annotation", "region", "regionrevision")


class Sized(Postgres):
    """With the memory of a small database server; commits are durable."""

    def command(self) -> list[str]:
        settings = {"shared_buffers": "2GB", "max_connections": "300", "max_wal_size": "8GB"}
        settings["max_parallel_workers_per_gather"] = "0"  # nobody would count their time
        words = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
        return super().command() + words


class Installation:
    """The product in this process, on the database, with one project that can grow."""

    def __init__(self) -> None:
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from annotations.masks import rle
        from annotations.models import Category, Membership, Project, User
        from annotations.models.projects import Role
        from annotations.services import people

        self.images = 0
        self.owner = User.objects.create(username="owner")
        self.project = Project.objects.create(
            name="Streets", kind="instance", created_by=self.owner
        )
        self.categories = [
            Category.objects.create(
                project=self.project,
                name=f"category {n}",
                color="#336699",
                order=n,
                is_thing=True,
                export_id=n + 1,
            )
            for n in range(CATEGORIES)
        ]
        self.people = User.objects.bulk_create(
            User(username=f"annotator{n}") for n in range(PEOPLE)
        )
        members = [(self.owner, Role.OWNER), *((one, Role.ANNOTATOR) for one in self.people)]
        Membership.objects.bulk_create(
            Membership(project=self.project, user=user, role=role) for user, role in members
        )
        self.tokens = {user.pk: people.create_token(user)[1] for user in (self.owner, *self.people)}
        ring = [100, 100, 140, 104, 180, 120, 184, 160, 160, 184, 120, 176, 104, 150, 96, 120]
        import numpy as np

        mask = np.zeros(SIZE, bool)
        mask[300:400, 500:620] = True
        mask[330:350, 530:560] = False
        self.values: dict[str, Any] = {
            "project": self.project.pk,
            "people": [one.pk for one in self.people],
            "number": PEOPLE,
            "categories": [one.pk for one in self.categories],
            "kinds": CATEGORIES,
            "polygons": json.dumps([[ring]]),
            "counts": rle.encode(mask),
        }

    def grow(self, images: int) -> float:
        """Fills up to so many images; the seconds that it took."""
        from django.db import connection

        from annotations.services import tallies

        begun = time.monotonic()
        with connection.cursor() as cursor:
            # References hold by the way the rows are made: checking ten million takes minutes.
            cursor.execute("SET session_replication_role = replica")
            _set_defaults(cursor)
            cursor.execute(FREE)
            with _hurried(cursor), _without_indexes(cursor):
                for first in range(self.images + 1, images + 1, STEP):
                    last = min(first + STEP - 1, images)
                    for statement in FILL:
                        cursor.execute(statement, {**self.values, "first": first, "last": last})
                    print(f"  {last:,} images after {time.monotonic() - begun:.0f} s", flush=True)
            cursor.execute("SET session_replication_role = DEFAULT")
            for table in TABLES:  # what is saved between two fillings takes none of their ids
                cursor.execute(
                    "SELECT setval(%s, greatest(%s, nextval(%s)))",
                    [f"annotations_{table}_id_seq", OTHERS_FROM, f"annotations_{table}_id_seq"],
                )
            cursor.execute("VACUUM ANALYZE")
        tallies.recount()
        self.images = images
        return time.monotonic() - begun


@contextlib.contextmanager
def _hurried(cursor: Any) -> Iterator[None]:
    """The server waits for no disk meanwhile; at the end all is on it."""
    names = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")
    for name in names:
        cursor.execute(f"ALTER SYSTEM SET {name} = off")
    cursor.execute("SELECT pg_reload_conf()")
    yield
    for name in names:
        cursor.execute(f"ALTER SYSTEM RESET {name}")
    cursor.execute("SELECT pg_reload_conf()")
    cursor.execute("CHECKPOINT")


@contextlib.contextmanager
def _without_indexes(cursor: Any) -> Iterator[None]:
    """Drops those that are no primary key, and builds them again from all rows at once."""
    tables = [f"annotations_{table}" for table in TABLES]
    cursor.execute(
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'u' AND conrelid = ANY(%s::regclass[])",
        [tables],
    )
    unique = cursor.fetchall()
    for table, name, _ in unique:
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)",
        [tables],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    cursor.execute("SET maintenance_work_mem = '512MB'")
    for table, name, definition in unique:
        cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        cursor.execute(definition)
    cursor.execute("RESET maintenance_work_mem")


def _set_defaults(cursor: Any) -> None:
    """Lets the database fill in what FILL does not name, as the models would."""
    from django.apps import apps
    from django.db import connection

    for table in TABLES:
        for column in apps.get_model("annotations", table)._meta.concrete_fields:
            if column.null or column.primary_key or column.is_relation:
                continue
            value = column.get_default()
            if value is None or column.column == "uuid":
                continue
            known = column.get_db_prep_save(value, connection)
            cursor.execute(
                f'ALTER TABLE annotations_{table} ALTER "{column.column}" SET DEFAULT %s', [known]
            )


@contextlib.contextmanager
def installation() -> Iterator[tuple[Postgres, Installation]]:
    """A database server of its own and the product set up on it, in this process."""
    with running(Sized) as server, tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DATABASE_URL": server.url,
            "LABELER_DATA": folder,
            "READ_DOTENV": "0",
            "DEBUG": "0",
            "SECRET_KEY": uuid.uuid4().hex * 2,
            "LOG_LEVEL": "WARNING",
            "ALLOWED_HOSTS": "testserver,127.0.0.1",
        }
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
        import django

        django.setup()
        yield server, Installation()


def steps(made: Installation) -> dict[str, Callable[[random.Random], Any]]:
    """What is measured: each makes one request and returns its reply."""
    from django.test import Client

    from annotations.models import Annotation

    def client(person: Any) -> Client:
        """One process answers all, so all have its middleware, which is loaded once."""
        one = Client(headers={"Authorization": f"Token {made.tokens[person.pk]}"})
        one.handler = page.handler
        return one

    project, api = made.project.pk, f"/api/projects/{made.project.pk}"
    # Pages as the owner sees them: with all that a manager and a reviewer is shown.
    page = Client()
    page.force_login(made.owner)
    people = [client(one) for one in made.people]
    owner = client(made.owner)
    begun = {
        place: list(Annotation.objects.filter(annotator=one, status="in_progress")[:5])
        for place, one in enumerate(made.people[:BEGUN])
    }

    def some(chance: random.Random) -> int:
        return chance.randint(1, made.images)

    def save(chance: random.Random) -> Any:
        place = chance.randrange(BEGUN)
        write = {
            "op": "upsert", "region": str(uuid.uuid4()), "based_on": 0, "key": str(uuid.uuid4()),
            "category": made.categories[0].pk, "polygons": [[[1, 1, 90, 1, 90, 80, 1, 80]]],
        }  # fmt: skip
        annotation = chance.choice(begun[place]).pk
        path = f"/api/annotations/{annotation}/patches"
        return people[place].post(path, {"writes": [write]}, "application/json")

    def listed(chance: random.Random, query: str) -> Any:
        return owner.get(f"{api}/images?limit=100&after={some(chance)}&{query}")

    rare, seldom = (f"category={one.pk}" for one in made.categories[:-3:-1])
    waiting = list(
        Annotation.objects.filter(status="submitted")[:1000].values_list("pk", flat=True)
    )

    def common(chance: random.Random) -> str:
        return f"category={chance.choice(made.categories[:-2]).pk}"

    fresh = iter(people[BEGUN:] * 100)

    def pull(client: Any) -> Any:
        return client.post(f"{api}/next", {"mode": "label"}, "application/json")

    return {
        "next image, a new one": lambda c: pull(next(fresh)),
        "next image, one begun": lambda c: pull(c.choice(people[:BEGUN])),
        "next image, looked at": lambda c: c.choice(people).get(f"{api}/next?after={some(c)}"),
        "next to review, given": lambda c: owner.post(
            f"{api}/next", {"mode": "review", "after": some(c)}, "application/json"
        ),
        "open image (workspace)": lambda c: owner.get(f"/api/images/{some(c)}/workspace"),
        "open image, filtered": lambda c: owner.get(
            f"/api/images/{some(c)}/workspace?status=approved"
        ),
        "save a region": save,
        "100 images (API)": lambda c: listed(c, ""),
        "100 images by status": lambda c: listed(c, f"status={c.choice(['new', 'approved'])}"),
        "100 images by category": lambda c: listed(c, common(c)),
        "100 images by seldom category": lambda c: listed(c, seldom),
        "100 images by rare category": lambda c: listed(c, rare),
        "100 images by both": lambda c: listed(
            c, f"status={c.choice(['new', 'submitted', 'approved'])}&{common(c)}"
        ),
        "image page": lambda c: page.get(f"/projects/{project}"),
        "image page, scrolled": lambda c: page.get(
            f"/projects/{project}?after={some(c)}", headers={"HX-Request": "true"}
        ),
        "review page": lambda c: page.get(f"/projects/{project}/review"),
        "review page, scrolled": lambda c: page.get(
            f"/projects/{project}/review?after={c.choice(waiting)}", headers={"HX-Request": "true"}
        ),
        "project with counts": lambda c: owner.get(api),
    }


@dataclass(slots=True)
class Times:
    """Milliseconds of each request."""

    computing: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)


def measure(made: Installation, requests_each: int, seed: int) -> dict[str, Times]:
    """The first three requests of each step are left out."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    found: dict[str, Times] = {}
    for name, step in steps(made).items():
        found[name] = Times()
        for number in range(requests_each + 3):
            begun, computed = time.perf_counter(), computing()
            reply = step(chance)
            if number == 2:  # as labeler.wsgi does when all is loaded
                gc.collect()
                gc.freeze()
            body = b"".join(reply) if reply.streaming else reply.content
            passed, computed = time.perf_counter() - begun, computing() - computed
            if reply.status_code not in (200, 201):
                raise AssertionError(f"{name}: {reply.status_code} {body[:500]!r}")
            if number >= 3:
                found[name].passed.append(1000 * passed)
                found[name].computing.append(1000 * computed)
    return found


def computing() -> float:
    """Seconds of processor time of this process and of its database connection so far."""
    from django.db import connection

    connection.ensure_connection()
    backend = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
    return time.process_time() + int(backend.split()[0]) / 1e9


def machine() -> str:
    """What it runs on, for beside the figures."""
    parts = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    told = {name.strip(): value.strip() for name, _, value in parts}
    model, clock = (told.get(name, "unknown") for name in ("model name", "cpu MHz"))
    return f"{os.cpu_count()} × {model}, {clock} MHz, load {os.getloadavg()[0]:.1f}"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def plot(path: Path, sizes: list[int], p95: dict[str, list[float]]) -> None:
    """Milliseconds (p95) over the number of images, which grows tenfold, as an SVG."""
    width, height, left, top = 900, 460, 60, 30
    right, bottom = width - 260, height - 50
    colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"]
    most = max(25.0, max(max(line) for line in p95.values()))

    def x(place: int) -> float:
        return left + (right - left) * place / max(1, len(sizes) - 1)

    def y(value: float) -> float:
        return bottom - (bottom - top) * value / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{left}" y="18">p95 in the server, milliseconds</text>',
        f'<line x1="{left}" x2="{right}" y1="{y(AIM_MS)}" y2="{y(AIM_MS)}" stroke="#999999" '
        'stroke-dasharray="4 4"/>',
        f'<text x="{left - 8}" y="{y(AIM_MS) + 4}" text-anchor="end">{AIM_MS}</text>',
        f'<text x="{left - 8}" y="{bottom + 4}" text-anchor="end">0</text>',
    ]
    for place, size in enumerate(sizes):
        text = f'<text x="{x(place)}" y="{bottom + 20}" text-anchor="middle">{size:,} images</text>'
        parts.append(text)
    labels: list[float] = []
    for number, (name, line) in enumerate(sorted(p95.items(), key=lambda item: item[1][-1])):
        color = colors[number % len(colors)]
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        # The lowest line is named first, each name at least a line above the one before.
        at = min(y(line[-1]), labels[-1] - 14 if labels else bottom)
        labels.append(at)
        parts.append(
            f'<text x="{right + 10}" y="{at + 4:.1f}" fill="{color}">{name}: {line[-1]:.1f}</text>'
        )
    path.write_text("\n".join([*parts, "</svg>", ""]))


# --- many at once -----------------------------------------------------------------------------
def annotators(
    server: Postgres, made: Installation, number: int, seconds: float, pause: float, workers: int
) -> bool:
    """So many people save over HTTP, each one every `pause` seconds; whether none was lost."""
    from django.db import connection

    from annotations.models import Annotation, RegionRevision

    app = LiveApp(DATABASE_URL=server.url, LOG_LEVEL="WARNING", DEBUG="0")
    mine = {
        one.pk: Annotation.objects.get_or_create(
            annotator=one, image_id=20 * place + 1, defaults={"project": made.project}
        )[0]
        for place, one in enumerate(made.people[:number])
    }
    connection.close()
    saved: list[tuple[str, float]] = []
    problems: list[str] = []
    end = threading.Event()

    def work(person: int, annotation: int, chance: random.Random) -> None:
        path = f"{app.url}/api/annotations/{annotation}/patches"
        with requests.Session() as http:
            http.headers["Authorization"] = f"Token {made.tokens[person]}"
            end.wait(chance.uniform(0, pause))
            while not end.is_set():
                key, region = str(uuid.uuid4()), str(uuid.uuid4())
                write: dict[str, Any] = {
                    "op": "upsert", "region": region, "based_on": 0, "key": key,
                    "category": made.categories[0].pk, "source": "polygon",
                    "polygons": [[[1, 1, 90, 1, 90, 80, 40, 99, 1, 80]]],
                }  # fmt: skip
                begun = time.perf_counter()
                try:
                    reply = http.post(path, json={"writes": [write]}, timeout=60)
                    passed = time.perf_counter() - begun
                    if reply.status_code == 200:
                        saved.append((key, 1000 * passed))
                    else:
                        problems.append(f"{reply.status_code} {reply.text[:200]}")
                except requests.RequestException as error:
                    problems.append(repr(error))
                end.wait(chance.uniform(0.5 * pause, 1.5 * pause))

    try:
        app.start_web(processes=workers)
        threads = [
            threading.Thread(target=work, args=(pk, one.pk, random.Random(pk)))  # noqa: S311 (no secret)
            for pk, one in mine.items()
        ]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        end.set()
        for thread in threads:
            thread.join()
        passed = time.monotonic() - begun
    finally:
        app.stop()
    keys = {key for key, _ in saved}
    there = sum(
        RegionRevision.objects.filter(write__in=list(keys)[start : start + 5000]).count()
        for start in range(0, len(keys), 5000)
    )
    times = [one for _, one in saved]
    p95 = percentile(times, 0.95) if times else 0.0
    print(
        f"{len(threads)} annotators, {workers} web processes, {passed:.0f} s: {len(saved)} saves "
        f"({len(saved) / passed:.0f} a second), median {statistics.median(times or [0]):.0f} ms, "
        f"p95 {p95:.0f} ms (aim {AIM_SAVE_MS}), longest {max(times, default=0):.0f} ms; "
        f"lost {len(keys) - there}, refused or failed {len(problems)}"
    )
    for problem in problems[:5]:
        print(f"  {problem}")
    return there == len(keys) and not problems


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench scale", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--requests", type=int, default=60, help="of each kind")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--annotators", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pause", type=float, nargs="+", default=[30.0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if not find_program("initdb"):
        sys.exit("PostgreSQL is not installed: apt install postgresql")
    p95: dict[str, list[float]] = {}
    good = True
    print(machine())
    with installation() as (server, made):
        for size in options.images:
            seconds = made.grow(size)
            print(f"{size:,} images ({seconds:.0f} s to fill), milliseconds; {machine()}:")
            print(f"  {'':30} {'computing: median, p95':>24} {'passed: median, p95':>24}")
            for name, times in measure(made, options.requests, options.seed).items():
                p95.setdefault(name, []).append(percentile(times.computing, 0.95))
                columns = "".join(
                    f"{statistics.median(one):16.1f} {percentile(one, 0.95):8.1f}"
                    for one in (times.computing, times.passed)
                )
                over = "  over" if p95[name][-1] > AIM_MS else ""
                print(f"  {name:30} {columns}{over}", flush=True)
        if options.plot:
            plot(options.plot, options.images, p95)
        for pause in options.pause if options.annotators else []:
            good &= annotators(
                server, made, options.annotators, options.seconds, pause, options.workers
            )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
