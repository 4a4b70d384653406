"""Jobs that nobody works on go on: those of dead workers, and those whose message was lost.

Safe to run anywhere, at any time, by several at once; `services.upkeep` does it every few seconds.
"""

import contextlib
from datetime import timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from annotations.models import Job, Release
from annotations.services import events
from annotations.services.jobs import lease_end, stored, wake

State = Job.State
KEEP_UPLOADS_SECONDS = 7 * 24 * 3600
POISON = {
    "code": "worker_stopped",
    "detail": "The worker stopped each time it did this job, so it was given up.",
    "field": "",
    "hint": "Something in the job may crash the worker or need too much memory; see the log.",
}


def sweep() -> int:
    """Take back what dead workers held and wake workers for what waits too long.

    Returns how many jobs were touched.
    """
    now = timezone.now()
    overdue = Job.objects.filter(lease_expires_at__lte=now)
    running = overdue.filter(state=State.RUNNING)
    gone = {"lease": None, "lease_expires_at": None, "ended_at": now}
    touched = running.filter(cancel_requested=True).update(
        state=State.CANCELLED, message="Cancelled", **gone
    )
    spent = running.filter(attempts__gte=settings.JOB_MAX_ATTEMPTS)
    for job in spent:
        with transaction.atomic():
            failed = {"state": State.FAILED, "error": POISON, "message": POISON["detail"]}
            if spent.filter(pk=job.pk).update(**failed, **gone):
                events.job_ended(stored(job.pk))
                touched += 1
    touched += running.update(state=State.QUEUED, lease=None, lease_expires_at=now)
    for job in overdue.filter(state=State.QUEUED):
        due = Job.objects.filter(
            pk=job.pk, state=State.QUEUED, lease_expires_at=job.lease_expires_at
        )
        if due.update(lease_expires_at=lease_end()):
            wake(job)
            touched += 1
    return touched


def tidy() -> None:
    """Drop uploads of jobs that ended long ago (they can be retried no more), and whatever nothing
    refers to."""
    old = timezone.now() - timedelta(seconds=KEEP_UPLOADS_SECONDS)
    for job in Job.objects.filter(params__has_key="upload", ended_at__lt=old):
        default_storage.delete(job.params.pop("upload"))
        job.save(update_fields=["params"])
    uploads = Job.objects.filter(params__has_key="upload").values_list("params__upload", flat=True)
    files = Job.objects.filter(result__has_key="file").values_list("result__file", flat=True)
    releases = Release.objects.values_list("file", flat=True)
    for folder, known in (
        ("uploads", set(uploads)),
        ("exports", set(files)),
        ("releases", set(releases)),
    ):
        with contextlib.suppress(FileNotFoundError):
            for name in default_storage.listdir(folder)[1]:
                path = f"{folder}/{name}"
                if path not in known and default_storage.get_modified_time(path) < old:
                    default_storage.delete(path)
