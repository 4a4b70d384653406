"""How long the reports of quality take with 100,000 annotations: `script/bench quality`.

Fills a throw-away PostgreSQL with facts as three months of twenty people's work leave them, and
prints the 95th percentile of each report, by the clock and of processor time (of this process and
of its database connection). The limit is 300 ms.
"""

import argparse
import os
import secrets
import sys
import time
from datetime import timedelta
from typing import Any

import numpy as np

from bench.queue import cpu_seconds
from tests.servers import MIGRATED, Postgres, running

PEOPLE, CATEGORIES, DAYS, BATCHES = 20, 20, 90, 10
LIMIT_MS = 300
ROUNDS = 20


def fill(annotations: int) -> Any:
    """A project with as many annotations, 5 regions each, a tenth of the images by two people."""
    from django.utils import timezone

    from annotations import models as m
    from annotations.services import facts

    owner = m.User.objects.create(username="owner")
    people = m.User.objects.bulk_create(m.User(username=f"p{n}") for n in range(PEOPLE))
    project = m.Project.objects.create(name="Big", kind="instance", created_by=owner)
    m.Membership.objects.create(project=project, user=owner, role="owner")
    categories = m.Category.objects.bulk_create(
        m.Category(project=project, name=f"c{n}", color="#000000", export_id=n + 1)
        for n in range(CATEGORIES)
    )
    batches = m.Batch.objects.bulk_create(
        m.Batch(project=project, name=f"b{n}", order=n) for n in range(BATCHES)
    )
    count = annotations // PEOPLE
    files = m.StoredFile.objects.bulk_create(
        m.StoredFile(sha256=f"{n:064d}", original="x", width=640, height=480, bytes=1)
        for n in range(count)
    )
    images = m.Image.objects.bulk_create(
        m.Image(
            project=project, file=one, name="x", width=640, height=480,
            batch=batches[n * BATCHES // count],
        )
        for n, one in enumerate(files)
    )  # fmt: skip
    start = timezone.now().date() - timedelta(days=DAYS)
    made = m.Annotation.objects.bulk_create(
        [
            m.Annotation(project=project, image=image, annotator=person, status="submitted")
            for image in images
            for person in people
        ],
        batch_size=5000,
    )
    m.WorkFact.objects.bulk_create(
        [
            m.WorkFact(
                annotation=one,
                project=project,
                annotator_id=one.annotator_id,
                batch=one.image.batch,
                day=start + timedelta(days=n * DAYS // annotations),
                seconds=60,
                regions=5,
                gold=n % 20 == 0,
            )
            for n, one in enumerate(made)
        ],
        batch_size=5000,
    )
    _fill_regions(categories[0].pk)
    days = [start + timedelta(days=n * DAYS // count) for n in range(count)]
    pairs = [
        m.PairFact(
            project=project, image=image, batch=image.batch, day=days[n],
            first=people[n % PEOPLE], second=people[(n + 1) % PEOPLE],
            first_category=categories[n % CATEGORIES],
            second_category=categories[(n * k) % CATEGORIES],
            objects_found=2, object_weight=2, pixels=1000, pixel_weight=1000, ious=1.6,
        )
        for n, image in enumerate(images)
        for k in (1, 1, 7)
    ]  # fmt: skip
    m.PairFact.objects.bulk_create(pairs, batch_size=5000)
    facts.sum_up_project(project)
    return owner, project


def _fill_regions(first_category: int) -> None:
    """Five regions of each annotation, few categories frequent and many rare, by PostgreSQL."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO annotations_regionfact (
                work_id, origin, count, category_id, proposed_id, model, model_version, area,
                seconds, iou, pixels_changed, gold, truth_id, gold_iou
            )
            SELECT annotation_id, origin, 1, category, CASE WHEN hand THEN NULL ELSE category END,
                   CASE WHEN hand THEN '' ELSE 'sam' END,
                   CASE WHEN hand THEN '' WHEN extract(month FROM day)::int %% 2 = 0 THEN 'v1'
                        ELSE 'v2' END,
                   900, 12, CASE WHEN hand THEN NULL ELSE 0.9 END, 0,
                   CASE WHEN gold THEN 'right' ELSE '' END,
                   CASE WHEN gold THEN category END, CASE WHEN gold THEN 0.8 END
            FROM (
                SELECT *, origin = 'drawn' AS hand FROM (
                    SELECT w.annotation_id, w.day, w.gold,
                           %s + floor(%s * power(random(), 3))::int AS category,
                           (ARRAY['drawn', 'accepted', 'edited', 'rejected', 'unused'])
                               [1 + floor(5 * random())::int] AS origin
                    FROM annotations_workfact w, generate_series(1, 5) n
                ) picked
            ) told
            """,
            [first_category, CATEGORIES],
        )


def measure(annotations: int) -> bool:
    from django.db import connection
    from django.utils import timezone

    from annotations.models import RegionDay, WorkDay
    from annotations.selectors import quality

    began = time.perf_counter()
    owner, project = fill(annotations)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    sums = RegionDay.objects.count() + WorkDay.objects.count()
    print(f"{annotations} annotations, {sums} sums, filled in {time.perf_counter() - began:.0f} s")
    recent = quality.Filter(start=timezone.now().date() - timedelta(days=30))
    slow = []
    for name in quality.REPORTS:
        for label, wanted in (("all", quality.Filter()), ("30 days", recent)):
            times, computing = [], []
            for _ in range(ROUNDS):
                began, computed = time.perf_counter(), cpu_seconds()
                quality.report(owner, project, name, wanted)
                times.append(1000 * (time.perf_counter() - began))
                computing.append(1000 * (cpu_seconds() - computed))
            p95 = float(np.percentile(times, 95))
            print(
                f"{name:18} {label:8} median {np.median(times):6.1f} ms   p95 {p95:6.1f} ms   "
                f"computing p95 {np.percentile(computing, 95):6.1f} ms"
            )
            slow += [name] if p95 > LIMIT_MS else []
    print("Too slow: " + ", ".join(slow) if slow else f"All within {LIMIT_MS} ms")
    return not slow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--annotations", type=int, default=100_000)
    options = parser.parse_args()
    with running(Postgres) as server:
        os.environ |= {
            "DATABASE_URL": server.url_of(MIGRATED),
            "DEBUG": "0",
            "SECRET_KEY": secrets.token_hex(32),
            "READ_DOTENV": "0",
            "ALLOWED_HOSTS": "localhost",
            "DJANGO_SETTINGS_MODULE": "labeler.settings",
        }
        import django

        django.setup()
        return 0 if measure(options.annotations) else 1


if __name__ == "__main__":
    sys.exit(main())
