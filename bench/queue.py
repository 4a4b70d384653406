"""How long the queue takes to give an image: `script/bench queue [--images 1000000] [--pulls 300]`.

Fills a database of its own with images in three batches, half of them done, then pulls, submits and
skips as one person does. Run it under `python -m tests.servers run --postgres --` for PostgreSQL.
"""

import argparse
import os
import statistics
import tempfile
import time

import django


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--pulls", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"LABELER_DATA": folder, "DEBUG": "1", "READ_DOTENV": "0"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "labeler.settings"
        django.setup()
        measure(args.images, args.pulls)


def measure(number: int, pulls: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    from annotations.models import Batch, Image, StoredFile, User
    from annotations.services import projects, reviews, work

    call_command("migrate", verbosity=0)
    owner = User.objects.create(username="owner")
    project = projects.create_project(owner, name="Large", kind="instance")
    batches = [Batch.objects.create(project=project, name=str(n), order=n) for n in range(3)]
    step = 20_000
    for first in range(0, number, step):
        files = StoredFile.objects.bulk_create(
            StoredFile(sha256=f"{n:064}", width=8, height=8, bytes=1)
            for n in range(first, first + step)
        )
        Image.objects.bulk_create(
            Image(
                project=project, file=file, name="i", width=8, height=8, priority=n % 7,
                batch=batches[n % 3], has_place=n % 2 == 0,
            )
            for n, file in enumerate(files, first)
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    seconds = []
    for turn in range(pulls):
        begun = time.perf_counter()
        lease = work.pull(owner, project)
        seconds.append(time.perf_counter() - begun)
        assert lease is not None
        if turn % 3:
            annotation, _ = reviews.start_annotation(owner, lease.image)
            reviews.submit(owner, annotation, 0)
        else:
            work.skip(owner, lease, "too_hard")
    shares = statistics.quantiles(seconds, n=100)
    print(
        f"{connection.vendor}, {number:,} images: a pull takes {shares[49] * 1000:.1f} ms (median),"
        f" "
        f"{shares[94] * 1000:.1f} ms (p95), {max(seconds) * 1000:.1f} ms (worst of {pulls})"
    )


if __name__ == "__main__":
    main()
