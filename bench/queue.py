"""How long the queue takes to give an image: `script/bench queue [--images 1000000] [--pulls 300]`.

Fills a database of its own with images in three batches, half of them done, then pulls, submits and
skips as one person does. `--postgres` takes a throw-away PostgreSQL instead of SQLite. "Computing"
is the processor time of this process and of its database connection, which other work on the
machine changes less than the time by the clock.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import django

from tests import templates
from tests.servers import MIGRATED, Postgres, running

FILL = [
    """INSERT INTO annotations_storedfile (id, sha256, original, number, reference, original_type,
        upright, upright_type, thumbnail, "values", levels, width, height, bytes, created_at)
    WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {number})
    SELECT n, {sha256}, '', 0, '', '', '', '', '', '', 0, 8, 8, 1, CURRENT_TIMESTAMP
    FROM s""",
    """INSERT INTO annotations_image (id, uuid, project_id, file_id, name, width, height, status,
        priority, reason, batch_id, has_place, created_at)
    WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {number})
    SELECT n, {uuid}, {project}, n, 'i', 8, 8, 'new', n % 7, '', {first} + n % 3,
        n % 2 = 0, CURRENT_TIMESTAMP FROM s""",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--pulls", type=int, default=300)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument(
        "--ahead", type=int, default=0,
        help="each image is for three, and this person has so many that the others have not",
    )  # fmt: skip
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        os.environ |= {"LABELER_DATA": folder, "DEBUG": "1", "READ_DOTENV": "0"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "labeler.settings"
        if args.postgres:
            server = servers.enter_context(running(Postgres))
            os.environ["DATABASE_URL"] = server.url_of(MIGRATED)
        else:
            shutil.copy(templates.sqlite(), Path(folder) / "labeler.sqlite3")
        django.setup()
        measure(args.images, args.pulls, args.ahead)


def measure(number: int, pulls: int, ahead: int) -> None:
    from django.db import connection

    from annotations.models import Annotation, Batch, Project, User
    from annotations.selectors import work as queue
    from annotations.services import projects, reviews, work

    owner = User.objects.create(username="owner")
    project = projects.create_project(owner, name="Large", kind="instance")
    batches = [Batch.objects.create(project=project, name=str(n), order=n) for n in range(3)]
    postgres = connection.vendor == "postgresql"
    words = {
        "project": project.pk,
        "number": number,
        "first": batches[0].pk,
        "sha256": "lpad(n::text, 64, '0')" if postgres else "printf('%064d', n)",
        "uuid": "gen_random_uuid()" if postgres else "lower(hex(randomblob(16)))",
    }
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement.format(**words))
        cursor.execute("ANALYZE")
    if ahead:
        Project.objects.filter(pk=project.pk).update(annotators=3)
        project.refresh_from_db()
        rows = queue.queue_of(owner, project, batches[0].pk)[:ahead]
        Annotation.objects.bulk_create(
            Annotation(project=project, image=image, annotator=owner, status="submitted")
            for image in rows
        )
    seconds, computing = [], []
    for turn in range(pulls):
        begun, computed = time.perf_counter(), cpu_seconds()
        lease = work.pull(owner, project)
        seconds.append(time.perf_counter() - begun)
        computing.append(cpu_seconds() - computed)
        assert lease is not None
        if turn % 3:
            annotation, _ = reviews.start_annotation(owner, lease.image)
            reviews.submit(owner, annotation, 0)
        else:
            work.skip(owner, lease, "too_hard")
    print(f"{connection.vendor}, {number:,} images, {pulls} pulls, ms: median / p95 / most")
    for what, found in (("passed", seconds), ("computing", computing)):
        shares = statistics.quantiles(found, n=100)
        print(f"{what:10} " + " / ".join(f"{1000 * s:.1f}" for s in (*shares[49::45], max(found))))


def cpu_seconds() -> float:
    """Processor time of this process and of its connection to PostgreSQL so far."""
    from django.db import connection

    own = time.process_time()
    if connection.vendor != "postgresql":
        return own
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    return own + int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
