"""Jobs: queued, leased, ended, swept. The row in `Job` is the truth; messages only wake workers.

Every change of state is one UPDATE that names the state (and the lease) it starts from, so that of
two processes one wins, on SQLite and on PostgreSQL. Of a queued job, `lease_expires_at` is the time
at which `services.sweeping` wakes a worker again.

Several workers may do one job of many images: one leads it, has its lease and ends it; the others
`join`. Each has a `JobShare` with a lease of its own and takes a few items at a time.

A handler is a function that takes a `JobRun`, says how far it is with `run.progress()` and ends
with `run.finish()`, in the same transaction as its results where it has any.
"""

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
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotations.access import require
from annotations.errors import Conflict, ServiceError, StorageAway
from annotations.models import Job, JobItem, JobShare, Project
from annotations.models.projects import Role
from annotations.prepared import A_UUID, Insert, Prepared, Update
from annotations.records import DatasetError
from annotations.services import events

log = logging.getLogger(__name__)

State = Job.State
SUSPECTS = Job.Kind.SUSPECTS
CHANGES = (
    Job.Kind.INGEST, Job.Kind.IMPORT, Job.Kind.PRELABEL, Job.Kind.CONSENSUS, Job.Kind.TRAIN,
)  # fmt: skip
"""What they make goes into the project; others only read it."""
PROGRESS_EVERY_SECONDS = 0.5
OTHERS_EVERY_SECONDS = 0.2
"""How often is looked whether the other workers are ready."""
ACTIVE = (State.QUEUED, State.RUNNING)
ENDED_ITEMS = (State.DONE, State.FAILED)
BROKEN = {
    "code": "internal",
    "detail": "Something went wrong on the server.",
    "field": "",
    "hint": "The log says more. Retry the job, or report it.",
}


stopping = threading.Event()
"""Set when this process is asked to end: what it does goes back to the queue at its next step."""


_add = Insert(Job, ignore=True)
_JOB = Prepared(
    lambda pk: Job.objects.filter(pk=pk).select_related("project", "created_by").order_by()
)
_HOLD = Prepared(
    lambda job, lease=A_UUID: Job.objects.filter(pk=job, lease=lease, state=State.RUNNING),
    lambda lease=A_UUID: {"lease": lease},
    ["id"],
)
_SHARED = Prepared(lambda job: JobShare.objects.filter(job=job).order_by().values_list("job")[:1])
_save_end = Update(
    Job, "state", "lease", "lease_expires_at", "ended_at", "message", "error", "result", "done",
    "total",
)  # fmt: skip


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
    key = f"{project.pk}:{kind}:{key or uuid.uuid4()}"[:200]
    images = list(dict.fromkeys(image_ids))
    job = Job(
        project=project, kind=kind, created_by=user, params=params or {}, key=key,
        total=len(images) or total, lease_expires_at=lease_end(),
    )  # fmt: skip
    if at_once:
        job.state, job.lease, job.attempts = State.RUNNING, uuid.uuid4(), 1
        job.started_at = timezone.now()
    with transaction.atomic(savepoint=False):
        if not _add(job):
            return Job.objects.select_related("project", "created_by").get(key=key)
        items = [JobItem(job=job, image_id=pk) for pk in images]
        JobItem.objects.bulk_create(items, batch_size=500)
        if at_once:
            transaction.on_commit(lambda: _do(job, at_once))
        else:
            transaction.on_commit(lambda: wake(job))
    return job


def _do(job: Job, handler: "Handler") -> None:
    """What this process has claimed by making it; nobody looks how far it is."""
    assert job.lease
    _run(JobRun(stored(job.pk), job.lease, tells=False), handler)
    now = stored(job.pk)
    for field in Job._meta.concrete_fields:
        setattr(job, field.attname, getattr(now, field.attname))


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


def claim(job_id: int) -> "JobRun | None":
    """Take a queued job: a lease and one attempt more. None when it is not there to be taken."""
    lease = uuid.uuid4()
    now = timezone.now()
    taken = Job.objects.filter(pk=job_id, state=State.QUEUED).update(
        state=State.RUNNING,
        lease=lease,
        lease_expires_at=lease_end(),
        attempts=F("attempts") + 1,
        started_at=Coalesce(F("started_at"), now),
    )
    return JobRun(stored(job_id), lease) if taken else None


def join(job_id: int) -> "JobRun | None":
    """Help the worker that leads a job. None when nobody does, or no item is left to be taken."""
    rows = Job.objects.select_related("project", "created_by")
    job = rows.filter(pk=job_id, state=State.RUNNING, cancel_requested=False).first()
    if job is None or not job.items.filter(state=State.QUEUED).exists():
        return None
    return JobRun(job, uuid.uuid4(), leads=False)


def run(job_id: int, handler: "Handler", *, shared: bool = False) -> Job | None:
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


def _run(claimed: "JobRun", handler: "Handler") -> None:
    with claimed:
        try:
            (_attempt if claimed.leads else _help)(claimed, handler)
        except LeaseLost:
            log.warning("Job %s was taken over while this worker did it", claimed.job.pk)


def _attempt(claimed: "JobRun", handler: "Handler") -> None:
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


def _help(joined: "JobRun", handler: "Handler") -> None:
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
        until = {"lease_expires_at": lease_end()}
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
        if not (self._held() if self.leads else self._share_held()):
            raise LeaseLost

    def _held(self) -> bool:
        """Whether it leads the job still, whose row then stays locked until the transaction ends.

        Who only helps has another lease than the job.
        """
        return bool(_HOLD(self.job.pk, self.lease, self.lease))

    def _share_held(self) -> bool:
        return bool(self._share.update(lease_expires_at=lease_end()))

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
            lease_expires_at=lease_end(),
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
        total = self.job.total
        done = total or self.job.done
        self._end(State.DONE, message, result=result or {}, error=None, done=done, total=total)

    def fail(self, error: dict[str, Any], result: dict[str, Any] | None = None) -> None:
        """It cannot be done; `error` is `{code, detail, field, hint}`. Raises `LeaseLost`."""
        self._end(State.FAILED, error["detail"], error=error, result=result or {})

    def cancelled(self) -> None:
        """It was stopped because a person asked for that. Raises `LeaseLost`."""
        self._end(State.CANCELLED, "Cancelled")

    def _end(self, state: str, message: str, **values: Any) -> None:
        with transaction.atomic(savepoint=False):  # in that of the results, or one of its own
            if not self._held():
                raise LeaseLost
            job = stored(self.job.pk)
            job.state, job.message, job.ended_at = state, message, timezone.now()
            job.lease = job.lease_expires_at = None
            for name, value in values.items():
                setattr(job, name, value)
            _save_end(job)
            if _SHARED(job.pk):
                _free(job.shares.all())  # who still helps writes nothing more
            if state != State.CANCELLED:
                events.job_ended(job)

    def hand_back(self) -> None:
        """To the queue, as if this worker had not tried: another goes on. Raises `LeaseLost`."""
        with transaction.atomic():
            if self.leads and not self._mine.update(
                state=State.QUEUED,
                lease=None,
                lease_expires_at=lease_end(),
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
    if job.kind in CHANGES and job.project.archived:
        raise Conflict("archived", "The project is archived, so nothing in it changes.")
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
            lease_expires_at=lease_end(),
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


def stored(pk: int) -> Job:
    """A job as it is now, with its project and who asked for it."""
    job: Job | None = _JOB.instance(pk)
    if job is None:
        raise Job.DoesNotExist
    return job


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


def lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)
