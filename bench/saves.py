"""What saving costs in one process, without a network: `script/bench saves [--postgres]`.

Each request goes through all of the application, as gunicorn would call it, not DEBUG, and with the
shapes of `bench.peer`. "Computing" is the processor time of this process, "waited" the time until
the answer: with SQLite the first holds the database's work too, with PostgreSQL only the second.
"""

import argparse
import contextlib
import cProfile
import json
import os
import pstats
import secrets
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench import _peer_content as content

PEOPLE = 16
WARM_UP = 20
EXPORTS = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/bench saves", description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--profile", default="", help="Prints where that action's time goes.")
    parser.add_argument("--statements", default="", help="Prints that action's statements.")
    options = parser.parse_args(arguments)
    with database(options.postgres) as settings:
        os.environ |= settings
        Bench(options).run()
    return 0


@contextlib.contextmanager
def database(postgres: bool) -> Iterator[dict[str, str]]:
    """Settings of a fresh installation, as `manage.py serve` has them but for the database."""
    from tests import servers, templates

    with tempfile.TemporaryDirectory() as data, contextlib.ExitStack() as stack:
        settings = {
            "LABELER_DATA": data,
            "SECRET_KEY": secrets.token_hex(32),
            "READ_DOTENV": "0",
            "DEBUG": "0",
        }
        if postgres:
            server = servers.Postgres()
            server.start()
            stack.callback(server.stop)
            settings["DATABASE_URL"] = server.new_database()
        else:
            target = Path(data) / "labeler.sqlite3"
            target.write_bytes(templates.sqlite().read_bytes())
        yield settings


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def run(self) -> None:
        from labeler.wsgi import application

        self.application = application
        self._prepare()
        from annotations.services import facts

        facts.wake = lambda: None  # no worker listens
        numbers = range(self.options.images)
        known: dict[int, int] = {}
        self.row("submit 10 polygons", [self._submit("polygons", n) for n in numbers])
        self.row("submit 3 masks", [self._submit("masks", n) for n in numbers])
        self.row("save 10 polygons", [self._save(n, known) for n in numbers])
        self.row("update 10 polygons", [self._update(n, known, 10) for n in numbers])
        self.row("update 1 polygon", [self._update(n, known, 1) for n in numbers])
        self.row("submit what was saved", [self._hand_in(n) for n in numbers])
        self.row(
            "measure a submission", [lambda: facts.measure_due(10)] * (len(numbers) * 3 // 10), 10
        )
        self.row("next image", [self._next(n) for n in numbers], before=self._submit_given)
        exports = [self._export()] * EXPORTS
        self.row("export polygons, the first time", exports, before=self._forget_exports)
        self.row("export polygons again", exports)

    def _prepare(self) -> None:
        from django.utils import timezone
        from knox.models import AuthToken

        from annotations.models import Category, Image, Membership, Project, StoredFile, User

        now = timezone.now()  # so that no request notes that they are here
        people = [
            User.objects.create(username=f"person{n}", last_seen_at=now) for n in range(PEOPLE)
        ]
        self.tokens = [AuthToken.objects.create(person)[1] for person in people]
        size = {"width": content.WIDTH, "height": content.HEIGHT}
        names = dict.fromkeys(("original", "original_type", "upright", "upright_type"), "x")
        files = [
            StoredFile.objects.create(sha256=f"{n:064}", thumbnail="x", bytes=1, **names, **size)
            for n in range(self.options.images)
        ]
        self.categories: dict[str, dict[str, int]] = {}
        self.projects: dict[str, int] = {}
        self.images: dict[tuple[str, int], int] = {}
        for kind in ("polygons", "masks", "saved", "queue"):
            project = Project.objects.create(name=kind, kind="instance", created_by=people[0])
            for person in people:
                role = "owner" if person is people[0] else "manager"
                Membership.objects.create(project=project, user=person, role=role, own_role=role)
            self.projects[kind] = project.pk
            self.categories[kind] = {
                name: Category.objects.create(
                    project=project,
                    name=name,
                    color=f"#33{40 + 20 * place}99",
                    is_thing=True,
                    export_id=place + 1,
                ).pk
                for place, name in enumerate(content.CATEGORIES)
            }
            for number in range(self.options.images):
                image = Image.objects.create(
                    project=project, file=files[number], name=f"{number}.jpg", **size
                )
                self.images[kind, number] = image.pk

    def _submit(self, kind: str, number: int) -> Callable[[], object]:
        body = self._patch(kind, number, submit=str(uuid.uuid4()))
        return self._ask(f"/api/images/{self.images[kind, number]}/patches", body, number)

    def _save(self, number: int, known: dict[int, int]) -> Callable[[], object]:
        path = f"/api/images/{self.images['saved', number]}/patches"
        ask = self._ask(path, self._patch("saved", number, moved=5), number)

        def act() -> None:
            known[number] = ask()["annotation"]

        return act

    def _update(self, number: int, known: dict[int, int], count: int) -> Callable[[], object]:
        based_on = 1 if count == 10 else 2
        body = self._patch("saved", number, based_on=based_on, count=count, moved=based_on)
        return lambda: self._ask(f"/api/annotations/{known[number]}/patches", body, number)()

    def _hand_in(self, number: int) -> Callable[[], object]:
        body = {"writes": [], "submit": str(uuid.uuid4()), "revision": 21}
        return self._ask(f"/api/images/{self.images['saved', number]}/patches", body, number)

    def _next(self, number: int) -> Callable[[], object]:
        return self._ask(f"/api/projects/{self.projects['queue']}/next", {}, number)

    def _submit_given(self, number: int) -> None:
        """Who asks next has no image, so that another one is given."""
        from annotations.models import Lease
        from annotations.services import reviews

        for lease in Lease.objects.filter(
            user__username=f"person{number % PEOPLE}", state="active"
        ):
            annotation, _ = reviews.start_annotation(lease.user, lease.image)
            reviews.submit(lease.user, annotation, annotation.revision)

    def _export(self) -> Callable[[], object]:
        """COCO of all polygons, without the download."""
        values = {"format": "coco", "status": "all"}
        ask = self._ask(f"/api/projects/{self.projects['polygons']}/exports", values, 0)

        def act() -> None:
            assert ask()["state"] == "done"

        return act

    def _forget_exports(self, number: int) -> None:
        """No ids were given for exports, and there is no release."""
        from annotations.models import Image, Region, Release

        Region.objects.update(export_id=None)
        Image.objects.update(export_id=None)
        Release.objects.all().delete()

    def _patch(
        self,
        kind: str,
        number: int,
        based_on: int = 0,
        moved: int = 0,
        count: int = 10,
        **more: Any,
    ) -> dict[str, Any]:
        shapes: list[dict[str, Any]]
        if kind == "masks":
            size = [content.HEIGHT, content.WIDTH]
            counts = [content.counts(which) for which in content.mask_numbers(number)]
            shapes = [{"mask": {"size": size, "counts": one}} for one in counts]
        else:
            rings = content.rings(number, moved=moved)
            shapes = [{"polygons": [[ring.ravel().tolist()]]} for ring in rings]
        writes = [
            {
                "op": "upsert",
                "region": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {number} {place}")),
                "based_on": based_on,
                "key": str(uuid.uuid4()),
                "category": self.categories[kind][content.category_of(place)],
                "order": place,
                **shape,
            }
            for place, shape in enumerate(shapes[:count])
        ]
        return {"writes": writes, "seconds": 5, **more}

    def _ask(self, path: str, values: dict[str, Any], number: int) -> Callable[[], Any]:
        from django.test import RequestFactory

        body = json.dumps(values).encode()
        token = self.tokens[number % PEOPLE]
        headers = {"Authorization": f"Token {token}", "Host": "localhost"}
        found: dict[str, Any] = {}

        def ask() -> Any:
            request = RequestFactory(headers=headers).post(path, body, "application/json")
            # It never asks for the function that it should get back.
            start: Any = lambda status, headers: found.update(status=status)  # noqa: E731 (short)
            reply = self.application(request.environ, start)
            answer = json.loads(b"".join(reply))
            reply.close()
            assert found["status"][0] == "2", answer
            return answer

        return ask

    def row(
        self,
        name: str,
        actions: list[Callable[[], object]],
        each: int = 1,
        before: Callable[[int], None] = lambda number: None,
    ) -> None:
        from django.db import connection

        statements: list[str] = []

        def count(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
            statements.append(sql)
            return execute(sql, parameters, many, context)

        def listed(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
            begun = time.perf_counter()
            try:
                return execute(sql, parameters, many, context)
            finally:
                print(f"  {1000 * (time.perf_counter() - begun):6.2f} {sql[:240]}")

        profiler = cProfile.Profile()
        computing, waited = [], []
        for number, action in enumerate(actions):
            before(number)
            watching: Any = contextlib.nullcontext()
            if number == 2:
                watching = connection.execute_wrapper(count)
            if number == 3 and self.options.statements == name:
                watching = connection.execute_wrapper(listed)
            with watching:
                warm = number >= min(WARM_UP, len(actions) // 2)
                profiled = self.options.profile == name and warm
                began, begun = time.process_time(), time.perf_counter()
                if profiled:
                    profiler.enable()
                action()
                if profiled:
                    profiler.disable()
                if warm:
                    computing.append(time.process_time() - began)
                    waited.append(time.perf_counter() - begun)
        times = [f"{1000 * median(found) / each:.1f}" for found in (computing, waited)]
        print(f"| {name} | {' | '.join(times)} | {len(statements) / each:g} |", flush=True)
        if self.options.profile == name:
            stats = pstats.Stats(profiler)
            stats.sort_stats("tottime").print_stats(45)
            stats.sort_stats("cumtime").print_stats(110)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
