"""Jobs: queued, leased, ended, swept. The row in `Job` is the truth; messages only wake workers.

Every change of state is one UPDATE that names the state (and the lease) it starts from, so that of
two processes one wins, on SQLite and on PostgreSQL. Of a queued job, `lease_expires_at` is the time
at which `sweep` wakes a worker again.

Several workers may do one job of many images: one leads it, has its lease and ends it; the others
`join`. Each has a `JobShare` with a lease of its own and takes a few items at a time.

A handler is a function that takes a `JobRun`, says how far it is with `run.progress()` and ends
with `run.finish()`, in the same transaction as its results where it has any.
"""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotations.access import require
from annotations.errors import ServiceError, StorageAway
from annotations.models import Job, JobItem, JobShare, Project, Release
from annotations.models.projects import Role
from annotations.records import DatasetError
from annotations.services import events

log = logging.getLogger(__name__)

State = Job.State
SUSPECTS = Job.Kind.SUSPECTS
KEEP_UPLOADS_SECONDS = 7 * 24 * 3600
PROGRESS_EVERY_SECONDS = 0.5
OTHERS_EVERY_SECONDS = 0.2
"""How often is looked whether the other workers are ready."""
ACTIVE = (State.QUEUED, State.RUNNING)
ENDED_ITEMS = (State.DONE, State.FAILED)
POISON = {
    "code": "worker_stopped",
    "detail": "The worker stopped each time it did this job, so it was given up.",
    "field": "",
    "hint": "Something in the job may crash the worker or need too much memory; see the log.",
}
BROKEN = {
    "code": "internal",
    "detail": "Something went wrong on the server.",
    "field": "",
    "hint": "The log says more. Retry the job, or report it.",
}


stopping = threading.Event()
"""Set when this process is asked to end: what it does goes back to the queue at its next step."""


class Stopping(Exception):
    """The worker is asked to end, and its job is not done."""


class LeaseLost(Exception):
    """Another worker has the job by now, or it was ended: write nothing more."""


class Cancelled(Exception):
    """A person asked to cancel the job."""


def enqueue(
    *,
    project: Project,
    kind: str,
    user,
    params: dict[str, Any] | None = None,
    key: str = "",
    image_ids: Iterable[int] = (),
    total: int = 0,
    at_once: "Handler | None" = None,
) -> Job:
    """Write a queued job, with an item per image, and wake a worker when the transaction commits.

    at_once: for a small job; this process does it then instead of a worker, and the row is as that
    leaves it. Should the process be killed meanwhile, a worker does it once the lease has ended.

    The same `key` asked again in a project answers with the job that is there. Without a key the
    job is always a new one.
    """
    key = f"{project.pk}:{kind}:{key or uuid.uuid4()}"
    with transaction.atomic():
        job, made = Job.objects.get_or_create(
            key=key[:200],
            defaults={
                "project": project,
                "kind": kind,
                "created_by": user,
                "params": params or {},
                "total": total,
                "lease_expires_at": _lease_end(),
            },
        )
        if made:
            items = [JobItem(job=job, image_id=pk) for pk in dict.fromkeys(image_ids)]
            JobItem.objects.bulk_create(items, batch_size=500)
            if items:
                Job.objects.filter(pk=job.pk).update(total=len(items))
                job.total = len(items)
            if at_once and (claimed := claim(job.pk, waited_for=True)):
                transaction.on_commit(lambda: _do(job, claimed, at_once))
            else:
                transaction.on_commit(lambda: wake(job))
    return job


def _do(job: Job, claimed: "JobRun", handler: "Handler") -> None:
    _run(claimed, handler)
    job.refresh_from_db()


def record(
    *,
    project: Project,
    kind: str,
    user,
    params: dict[str, Any],
    result: dict[str, Any],
    message: str,
    started_at: datetime,
) -> Job:
    """A job that was done while somebody waited for it, so that it is listed with the others."""
    return Job.objects.create(
        project=project,
        kind=kind,
        created_by=user,
        params=params,
        key=f"{project.pk}:{kind}:{uuid.uuid4()}",
        state=State.DONE,
        result=result,
        message=message,
        started_at=started_at,
        ended_at=timezone.now(),
    )


def wake(job: Job) -> None:
    """Tell a worker of the job's queue to look. A lost message is harmless: `sweep` repeats it."""
    task, queue = settings.JOB_TASKS[job.kind]
    try:
        current_app.send_task(task, args=[job.pk], queue=queue, retry=False, ignore_result=True)
    except Exception:  # any broker's own errors
        log.warning(
            "No worker could be woken for job %s; trying again later", job.pk, exc_info=True
        )


def claim(job_id: int, *, waited_for: bool = False) -> "JobRun | None":
    """Take a queued job: a lease and one attempt more. None when it is not there to be taken.

    waited_for: by whoever asked for it, so that nobody looks how far it is.
    """
    lease = uuid.uuid4()
    now = timezone.now()
    taken = Job.objects.filter(pk=job_id, state=State.QUEUED).update(
        state=State.RUNNING,
        lease=lease,
        lease_expires_at=_lease_end(),
        attempts=F("attempts") + 1,
        started_at=Coalesce(F("started_at"), now),
    )
    if not taken:
        return None
    job = Job.objects.select_related("project", "created_by").get(pk=job_id)
    return JobRun(job, lease, tells=not waited_for)


def join(job_id: int) -> "JobRun | None":
    """Help the worker that leads a job. None when nobody does, or no item is left to be taken."""
    rows = Job.objects.select_related("project", "created_by")
    job = rows.filter(pk=job_id, state=State.RUNNING, cancel_requested=False).first()
    if job is None or not job.items.filter(state=State.QUEUED).exists():
        return None
    return JobRun(job, uuid.uuid4(), leads=False)


def run(job_id: int, handler: Callable[["JobRun"], None], *, shared: bool = False) -> Job | None:
    """Claim the job, let `handler` do it, and see that it ends or is tried again.

    shared: where another worker does it already, help it.

    What a person can put right (a `ServiceError` or `DatasetError`) fails the job at once; anything
    else is logged and tried again, up to JOB_MAX_ATTEMPTS times. Returns the job as it stands then,
    None when there was nothing to claim.
    """
    claimed = claim(job_id) or (join(job_id) if shared else None)
    if claimed is None:
        return None
    _run(claimed, handler)
    return Job.objects.get(pk=job_id)


def _run(claimed: "JobRun", handler: Callable[["JobRun"], None]) -> None:
    with claimed:
        try:
            (_attempt if claimed.leads else _help)(claimed, handler)
        except LeaseLost:
            log.warning("Job %s was taken over while this worker did it", claimed.job.pk)


def _attempt(claimed: "JobRun", handler: Callable[["JobRun"], None]) -> None:
    try:
        handler(claimed)
    except LeaseLost:
        raise
    except Cancelled:
        claimed.cancelled()
    except Stopping:
        claimed.hand_back()
    except StorageAway as error:
        log.warning("The storage does not answer, which job %s needs", claimed.job.pk)
        claimed.try_again(error.body)
    except ServiceError as error:
        claimed.fail(error.body)
    except DatasetError as error:
        claimed.fail(
            {"code": error.code, "detail": error.detail, "field": error.pointer, "hint": ""}
        )
    except Exception:
        log.exception("Job %s failed", claimed.job.pk)
        claimed.try_again()


def _help(joined: "JobRun", handler: Callable[["JobRun"], None]) -> None:
    """Whatever ends it, its items are free again and the leader sees to the rest."""
    try:
        handler(joined)
    except (LeaseLost, Cancelled):
        pass
    except Stopping:
        joined.hand_back()
    except ServiceError as error:
        log.warning("This worker cannot help with job %s: %s", joined.job.pk, error.detail)
    except Exception:
        log.exception("A worker that helped with job %s failed", joined.job.pk)


class JobRun:
    """One attempt at a job, held under a lease. Use as a context manager: a thread keeps the lease.

    `job` is the row as it was when claimed. Who does not lead it only takes items and ends them.
    """

    def __init__(
        self, job: Job, lease: uuid.UUID, *, leads: bool = True, tells: bool = True
    ) -> None:
        self.job = job
        self.lease = lease
        self.leads = leads
        self._tells = tells
        self._mine = Job.objects.filter(pk=job.pk, lease=lease, state=State.RUNNING)
        self._share = JobShare.objects.filter(pk=lease)
        self._shares = False
        self._about: dict[str, Any] = {"done": 0}
        self._cancel = False
        self._lost = False
        self._written = 0.0
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"job-{job.pk}", daemon=True)

    def __enter__(self) -> "JobRun":
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._keeper.join()
        if self._shares:
            _free(self._share)

    def _keep(self) -> None:
        """Extends the lease while a handler is busy in one long step."""
        try:
            while not self._ended.wait(settings.JOB_LEASE_SECONDS / 4):
                try:
                    self._extend()
                except DatabaseError:  # SQLite may be locked by a long import; the next time, then
                    log.warning("The lease of job %s could not be extended", self.job.pk)
        finally:
            connection.close()

    def _extend(self, **values: Any) -> None:
        until = {"lease_expires_at": _lease_end()}
        if self.leads:
            held = self._mine.update(**until, **values)
        else:
            held = True
            if values:
                Job.objects.filter(pk=self.job.pk, state=State.RUNNING).update(**values)
        if self._shares:
            held = self._share.update(**until, **self._about) and held
        stopped = Q(cancel_requested=True) | ~Q(state__in=ACTIVE)
        if not held:
            self._lost = True
        elif Job.objects.filter(stopped, pk=self.job.pk).exists():
            self._cancel = True

    def progress(self, done: int, total: int | None = None, message: str | None = None) -> None:
        """Say how far it is. Cheap: written at most twice a second, never inside a transaction.

        Raises `Cancelled`, `LeaseLost` or `Stopping`.
        """
        self.job.done = done
        self.job.total = self.job.total if total is None else total
        self.job.message = self.job.message if message is None else message
        last = time.monotonic() - self._written < PROGRESS_EVERY_SECONDS and done < self.job.total
        if self._tells and not last and not connection.in_atomic_block:
            self._extend(done=self.job.done, total=self.job.total, message=self.job.message)
            self._written = time.monotonic()
        self.check()

    def check(self) -> None:
        """Raises `LeaseLost`, `Cancelled` or `Stopping` where known by now; asks no database."""
        if self._lost:
            raise LeaseLost
        if self._cancel:
            raise Cancelled
        if stopping.is_set():
            raise Stopping

    def hold(self) -> None:
        """Inside a transaction: lock the job (who helps: the own share), so that results are
        written under the lease.

        Raises `LeaseLost` when it is somebody else's by now.
        """
        held = self._mine.update(lease=self.lease) if self.leads else self._share_held()
        if not held:
            raise LeaseLost

    def _share_held(self) -> bool:
        return bool(self._share.update(lease_expires_at=_lease_end()))

    def pending(self) -> Iterator[JobItem]:
        """The items still to be done, one after the other: see `take`."""
        while taken := self.take(1):
            yield from taken

    def take(self, most: int) -> list[JobItem]:
        """At most `most` items that nobody else has, each with its image and file, as started.

        One at which a worker stopped is taken alone; where two stopped it is failed, so that the
        others get done. Empty: none is left; whoever leads waits for what other workers have.
        """
        self._begin_share()
        while True:
            dead = self.job.shares.filter(lease_expires_at__lte=timezone.now())
            if dead.exists():
                _free(dead)
            if taken := self._take(most):
                return taken
            others = self.job.items.filter(state=State.RUNNING).exclude(share=self.lease)
            if not self.leads or not others.exists():
                return []
            self._ended.wait(OTHERS_EVERY_SECONDS)
            self._extend()
            self.check()

    def _begin_share(self) -> None:
        if self._shares:
            return
        JobShare.objects.create(
            lease=self.lease,
            job=self.job,
            lease_expires_at=_lease_end(),
            worker=f"{socket.gethostname()}:{os.getpid()}"[-120:],
            **self._about,
        )
        self._shares = True

    def _take(self, most: int) -> list[JobItem]:
        """Of workers that look at once each gets others: rows locked by one are skipped, and where
        rows cannot be locked (SQLite) one writes at a time."""
        items = self.job.items.select_for_update(skip_locked=True)
        with transaction.atomic():
            again = items.filter(state=State.RUNNING, share=None).first()
            while again and again.attempts >= settings.JOB_MAX_ATTEMPTS - 1:
                _end_item(again, "The worker stopped each time it came to this image.")
                again = items.filter(state=State.RUNNING, share=None).first()
            found = [again] if again else list(items.filter(state=State.QUEUED)[:most])
            pks = [item.pk for item in found]
            self.job.items.filter(pk__in=pks).update(
                state=State.RUNNING, share=self.lease, attempts=F("attempts") + 1
            )
        return list(self.job.items.filter(pk__in=pks).select_related("image__file"))

    def invite(self) -> None:
        """Wake one more worker where there are items for it; it does the same."""
        if self.job.items.filter(state=State.QUEUED).exists():
            wake(self.job)

    def gives_way(self) -> bool:
        """Whether a job of the same queue waits for a worker while this one only helps."""
        queue = settings.JOB_TASKS[self.job.kind][1]
        kinds = [kind for kind, (_, name) in settings.JOB_TASKS.items() if name == queue]
        waiting = Job.objects.filter(state=State.QUEUED, kind__in=kinds).exclude(pk=self.job.pk)
        return not self.leads and waiting.exists()

    def works_on(self, device: str, memory: tuple[int, int] | None) -> None:
        """What this worker's share says: its device and the bytes of GPU memory used and there."""
        used, total = memory or (None, None)
        self._about |= {"device": device[:80], "memory_used": used, "memory_total": total}

    def ended_items(self) -> int:
        """How many items all workers together ended."""
        return self.job.items.filter(state__in=ENDED_ITEMS).count()

    def end_item(self, item: JobItem, *, error: str = "", seconds: float = 0) -> None:
        """Mark an item done, or failed with a reason. Call in the transaction of its results.

        Raises `LeaseLost` when another worker has it by now.
        """
        if not _end_item(item, error, seconds, share=self.lease):
            raise LeaseLost
        self._about["done"] += 1

    def finish(self, result: dict[str, Any] | None = None, message: str = "") -> None:
        """The job is done. Raises `LeaseLost` when it is somebody else's by now."""
        self._end(
            State.DONE,
            result=result or {},
            message=message,
            error=None,
            done=self.job.total or self.job.done,
            total=self.job.total,
        )

    def fail(self, error: dict[str, Any], result: dict[str, Any] | None = None) -> None:
        """It cannot be done; `error` is `{code, detail, field, hint}`. Raises `LeaseLost`."""
        self._end(State.FAILED, error=error, message=error["detail"], result=result or {})

    def cancelled(self) -> None:
        """It was stopped because a person asked for that. Raises `LeaseLost`."""
        self._end(State.CANCELLED, message="Cancelled")

    def _end(self, state: str, **values: Any) -> None:
        with transaction.atomic():
            ended = self._mine.update(
                state=state, lease=None, lease_expires_at=None, ended_at=timezone.now(), **values
            )
            if not ended:
                raise LeaseLost
            _free(self.job.shares.all())  # who still helps writes nothing more
            if state != State.CANCELLED:
                events.job_ended(_as_it_is(self.job))

    def hand_back(self) -> None:
        """To the queue, as if this worker had not tried: another goes on. Raises `LeaseLost`."""
        with transaction.atomic():
            if self.leads and not self._mine.update(
                state=State.QUEUED,
                lease=None,
                lease_expires_at=_lease_end(),
                attempts=F("attempts") - 1,
            ):
                raise LeaseLost
            self.job.items.filter(state=State.RUNNING, share=self.lease).update(
                state=State.QUEUED, share=None, attempts=F("attempts") - 1
            )
            transaction.on_commit(lambda: wake(self.job))

    def try_again(self, error: dict[str, Any] = BROKEN) -> None:
        """Queue it again after what may pass, or fail it with `error` after the last attempt."""
        if self.job.attempts >= settings.JOB_MAX_ATTEMPTS:
            self.fail(error)
            return
        self._mine.update(
            state=State.QUEUED,
            lease=None,
            lease_expires_at=timezone.now() + timedelta(seconds=2**self.job.attempts),
        )


Handler = Callable[[JobRun], None]
"""Does a job and ends it."""


def cancel(job: Job) -> Job:
    """Cancel a queued job at once; ask the worker of a running one to stop at its next step."""
    _change(
        Job.objects.filter(pk=job.pk, state=State.QUEUED),
        state=State.CANCELLED,
        cancel_requested=True,
        ended_at=timezone.now(),
        lease_expires_at=None,
        message="Cancelled",
    ) or _change(Job.objects.filter(pk=job.pk, state=State.RUNNING), cancel_requested=True)
    job.refresh_from_db()
    return job


def retry(user, job: Job) -> Job:
    """Queue an ended job again, keeping the items that were done.

    Whoever may ask for such a job may, not whoever once might. A job that is done may be retried
    for its failed items. Raises ServiceError 409 for any other.
    """
    require(user, job.project_id, Role.REVIEWER if job.kind == SUSPECTS else Role.MANAGER)
    again = Q(state__in=[State.FAILED, State.CANCELLED]) | Q(
        state=State.DONE, items__state=State.FAILED
    )
    with transaction.atomic():
        ready = Job.objects.filter(pk__in=Job.objects.filter(again, pk=job.pk).values("pk"))
        if not _change(
            ready,
            state=State.QUEUED,
            attempts=0,
            cancel_requested=False,
            error=None,
            message="",
            ended_at=None,
            lease_expires_at=_lease_end(),
        ):
            raise ServiceError(
                409, "not_retryable", "Only a job that failed or was cancelled can be retried."
            )
        job.items.exclude(state=State.DONE).update(
            state=State.QUEUED, attempts=0, error="", share=None
        )
        job.refresh_from_db()
        transaction.on_commit(lambda: wake(job))
    return job


def sweep() -> int:
    """Take back what dead workers held and wake workers for what waits too long.

    Safe to run anywhere, at any time, by several at once. Returns how many jobs were touched.
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
            if _change(spent.filter(pk=job.pk), **failed, **gone):
                events.job_ended(_as_it_is(job))
                touched += 1
    touched += running.update(state=State.QUEUED, lease=None, lease_expires_at=now)
    for job in overdue.filter(state=State.QUEUED):
        due = Job.objects.filter(
            pk=job.pk, state=State.QUEUED, lease_expires_at=job.lease_expires_at
        )
        if _change(due, lease_expires_at=_lease_end()):
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


def _as_it_is(job: Job) -> Job:
    return Job.objects.select_related("project", "created_by").get(pk=job.pk)


def _end_item(item: JobItem, error: str, seconds: float = 0, **held: Any) -> bool:
    item.state = State.FAILED if error else State.DONE
    item.error, item.seconds = error, seconds
    mine = JobItem.objects.filter(pk=item.pk, state=State.RUNNING, **held)
    return bool(mine.update(state=item.state, error=error, seconds=seconds, share=None))


def _free(shares: QuerySet[JobShare]) -> None:
    """End shares: what they have not done is anybody's. First locked, as by whoever writes."""
    with transaction.atomic():
        pks = [share.pk for share in shares.select_for_update()]
        JobItem.objects.filter(share__in=pks).update(share=None)
        JobShare.objects.filter(pk__in=pks).delete()


def _change(jobs: Any, **values: Any) -> int:
    return int(jobs.update(**values))


def _lease_end() -> Any:
    return timezone.now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)
