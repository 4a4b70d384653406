"""An import and an export of many regions whose worker is killed twice with SIGKILL.

    script/bench killed [--images 1000] [--regions 20]

The first attempt is killed when a third of the images is done, the second at two thirds, the third
goes to its end. In between nothing of an import may be there, and nothing of an export may be
downloaded; at the end there is every region once, and the file is the same, byte for byte, as that
of an export that nobody killed. Exit status 1 where that is not so.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.datasets import ROOT, generate, make_project, setup_django

WORK = """
import os; os.environ["DJANGO_SETTINGS_MODULE"] = "labeler.settings"
import django; django.setup()
from annotations.models import Job
from annotations.services import exports, imports, jobs
job = Job.objects.get(pk={job})
handler = {{"import": imports.run_import, "export": exports.run_export}}[job.kind]
jobs.run(job.pk, handler)
"""


def work(job: Any, until: float = 0) -> None:
    """A worker's process for one attempt; killed when this part of the images is done."""
    process = subprocess.Popen([sys.executable, "-c", WORK.format(job=job.pk)], cwd=ROOT)
    while until and process.poll() is None:
        job.refresh_from_db()
        if job.done >= until:
            process.kill()
        time.sleep(0.01)
    process.wait()
    job.refresh_from_db()
    if until and job.state != "running":
        raise SystemExit(f"The {job.kind} was not killed: it is {job.state}.")
    if not until and job.state != "done":
        raise SystemExit(f"The {job.kind} is {job.state}: {job.error}")


def attempts(job: Any, images: int, nothing_is_there: Any) -> None:
    """Two that are killed, and one that goes to its end."""
    from django.utils import timezone

    from annotations.models import Job
    from annotations.services import sweeping

    for part in (1 / 3, 2 / 3):
        work(job, images * part)
        print(f"{job.kind}: attempt {job.attempts} killed at {job.done} of {images} images")
        nothing_is_there()
        Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now(), done=0)
        sweeping.sweep()
    work(job)
    print(f"{job.kind}: attempt {job.attempts} is done: {job.message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--regions", type=int, default=20, help="Of each image.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        os.environ.update(LABELER_DATA=name, DEBUG="1", READ_DOTENV="0")
        os.environ.pop("DATABASE_URL", None)
        source = Path(name, "set", "annotations", "instances.json")
        generate(source, asked.images, asked.regions)
        check(source, asked.images, asked.images * asked.regions)


def check(source: Path, images: int, regions: int) -> None:
    setup_django()
    from django.core.files.storage import default_storage

    from annotations.errors import Conflict
    from annotations.models import Annotation, Region, RegionRevision
    from annotations.services import exports, imports

    user, project = make_project(source)
    imports.SMALL_BYTES = -1
    with source.open("rb") as file:
        job = imports.start_import(
            user, project, format="coco", kind="ground_truth", file=file, name="instances.json"
        )

    def no_rows() -> None:
        for model in (Annotation, Region, RegionRevision):
            if model.objects.exists():
                raise SystemExit(f"A killed import left rows of {model.__name__}.")

    attempts(job, images, no_rows)
    for model in (Region, RegionRevision):
        if (found := model.objects.count()) != regions:
            raise SystemExit(f"{found} rows of {model.__name__} instead of {regions}.")

    whole = exports.start_export(user, project, format="coco")
    work(whole)
    job = exports.start_export(user, project, format="coco")

    def no_file() -> None:
        try:
            exports.finished_file(user, job)
            raise SystemExit("A killed export can be downloaded.")
        except Conflict:
            pass
        if default_storage.exists(f"exports/{job.uuid}.zip"):
            raise SystemExit("A killed export left a file.")

    attempts(job, images, no_file)
    if job.result["sha256"] != whole.result["sha256"]:
        raise SystemExit("The file differs from that of an export that nobody killed.")
    print(f"{regions} regions once; the export has the bytes of one that nobody killed.")


if __name__ == "__main__":
    main()
