"""What whoever runs an installation wants to know: queues, waiting times, models, reachability."""

import errno
import functools
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Min, Q, Sum
from django.utils import timezone

from annotations.models import Job, JobShare, Prediction

RECENT = timedelta(minutes=5)
NEWEST = 5000
BROKER_SECONDS = 2
LEAST_FREE_BYTES = 64 * 2**20
_OURS = ("annotations", "inference")


def queues() -> dict[str, dict[str, float]]:
    """By kind of job: how many are `queued` and `running`, and the `age` of the oldest of those.

    Ages are seconds since the job was asked for, 0 where there is none.
    """
    now = timezone.now()
    empty = {"queued": 0.0, "running": 0.0, "age": 0.0}
    found = {str(kind): dict(empty) for kind in Job.Kind.values}
    rows = (
        Job.objects.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING])
        .order_by()
        .values("kind")
        .annotate(
            queued=Count("pk", filter=Q(state=Job.State.QUEUED)),
            running=Count("pk", filter=Q(state=Job.State.RUNNING)),
            oldest=Min("created_at"),
        )
    )
    for row in rows:
        age = max(0.0, (now - row["oldest"]).total_seconds())
        found[row["kind"]] = {"queued": row["queued"], "running": row["running"], "age": age}
    return found


def model_throughput() -> list[dict[str, Any]]:
    """By model: `images` predicted in the last RECENT, and the engine's `seconds` for them.

    Looks at the NEWEST predictions only, so that it costs the same in a large installation.
    """
    newest = Prediction.objects.order_by("-pk").values("pk")[:NEWEST]
    rows = Prediction.objects.filter(
        pk__in=list(newest.values_list("pk", flat=True)),
        job__isnull=False,
        created_at__gte=timezone.now() - RECENT,
    )
    totals = rows.order_by().values("model").annotate(images=Count("pk"), engine=Sum("seconds"))
    return [
        {"model": row["model"], "images": row["images"], "seconds": row["engine"]} for row in totals
    ]


def workers() -> list[JobShare]:
    """Who works on jobs of many images now, with its device and the memory of its GPU."""
    rows = JobShare.objects.filter(lease_expires_at__gt=timezone.now())
    return list(rows.select_related("job"))


def check_database() -> None:
    """Raises where the database does not answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_migrations() -> None:
    """Raises where the tables are older than this code; once they are not, they stay so."""
    if not _missing():
        return
    applied = MigrationRecorder.Migration.objects.filter(app__in=_OURS).values_list("app", "name")
    _missing().difference_update(applied)
    if _missing():
        raise RuntimeError(f"Not migrated: {sorted(_missing())}")


@functools.cache
def _missing() -> set[tuple[str, str]]:
    """The migrations of this code of which nobody has seen yet that they were applied."""
    folders = {label: apps.get_app_config(label).path for label in _OURS}
    return {
        (label, path.stem)
        for label, folder in folders.items()
        for path in Path(folder, "migrations").glob("[0-9]*.py")
    }


def check_space() -> None:
    """Raises where the disk of the data folder is all but full: nothing is taken then."""
    if shutil.disk_usage(settings.DATA_DIR).free < LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, "The disk of the data folder is full.")


def check_storage() -> None:
    """Raises where files cannot be reached or, in a folder, not be written."""
    try:
        folder = Path(default_storage.path(""))
    except NotImplementedError:  # an object store
        default_storage.exists("readiness")
        return
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError("The media folder cannot be written.")


def check_broker() -> None:
    """Raises where the broker does not answer."""
    with current_app.connection_for_write(connect_timeout=BROKER_SECONDS) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)


CHECKS = {
    "database": check_database,
    "migrations": check_migrations,
    "storage": check_storage,
    "space": check_space,
    "broker": check_broker,
}
