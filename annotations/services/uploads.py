"""Uploads of any kind: at once, side by side, or by a worker where they take long."""

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from django.core.files.storage import default_storage
from django.db import IntegrityError

from annotations.access import require
from annotations.errors import ServiceError
from annotations.imaging import pool
from annotations.imaging.sniff import HEAD_BYTES, VIDEOS, ZIP, sniff
from annotations.models import Job, Project, StoredFile
from annotations.models.projects import Role
from annotations.services import files, ingest, ingest_zips, jobs
from annotations.services.frames import PER_SECOND, Sampling

Upload = tuple[files.Readable, str]
Outcome = ingest.FilesResult | Job | ServiceError
"""What became of a file, as `upload_file` says it, or why it was refused."""


def upload_file(
    user,
    project: Project,
    source: files.Readable,
    name: str,
    *,
    sampling: Sampling = PER_SECOND,
    allow_partial: bool = False,
) -> ingest.FilesResult | Job:
    """Take a picture, a file of several, a video or a zip: at once, or as a job when it takes long.

    Managers only. ServiceError as in `ingest.add_files` and `ingest_zips.add_zip`.
    """
    source.seek(0)
    kind = sniff(source.read(HEAD_BYTES))
    source.seek(0)
    if kind is ZIP:
        return ingest_zips.upload_zip(user, project, source, name, allow_partial=allow_partial)
    require(user, project, Role.MANAGER)
    ingest.refuse_archived(project)

    def attempt() -> ingest.FilesResult | Job:
        source.seek(0)
        with files.scratch() as folder:
            return ingest.store(user, project, ingest.spool(source, name, folder), sampling)

    return ingest.twice(attempt)


def upload_files(
    user,
    project: Project,
    uploads: Iterable[Upload],
    *,
    sampling: Sampling = PER_SECOND,
    allow_partial: bool = False,
) -> Iterator[tuple[str, Outcome]]:
    """The name of each file and its outcome; each stands alone. Managers only.

    As many pictures as there are decoders are decoded while others are stored. ServiceError only
    for what holds for all files.
    """
    require(user, project, Role.MANAGER)
    ingest.refuse_archived(project)
    waiting: deque[tuple[str, Callable[[], Outcome]]] = deque()

    def alone(source: files.Readable, name: str) -> Outcome:
        return _or_error(
            lambda: upload_file(
                user, project, source, name, sampling=sampling, allow_partial=allow_partial
            )
        )

    def begin(source: files.Readable, name: str) -> Callable[[], Outcome]:
        source.seek(0)
        kind = sniff(source.read(HEAD_BYTES))
        source.seek(0)
        if kind is ZIP or kind in VIDEOS:
            return lambda: alone(source, name)
        try:
            with files.space():
                spooled = ingest.spool(source, name, folder)
        except ServiceError as error:
            refused: Outcome = error
            return lambda: refused
        known = StoredFile.objects.filter(sha256=spooled.sha256).exists()
        ahead = None if known else workers.submit(ingest.decode_at_once, spooled, sampling)

        def finish() -> Outcome:
            try:
                with files.space():
                    decoded = ahead.result if ahead else None
                    return ingest.store(user, project, spooled, sampling, decoded)
            except IntegrityError:  # somebody stored or removed the same content in this moment
                return alone(source, name)
            finally:
                shutil.rmtree(spooled.folder, ignore_errors=True)

        return lambda: _or_error(finish)

    with files.scratch() as folder, ThreadPoolExecutor(pool.SIZE) as workers:
        for source, name in uploads:
            waiting.append((name, begin(source, name)))
            if len(waiting) > pool.SIZE:
                first, end = waiting.popleft()
                yield first, end()
        for name, end in waiting:
            yield name, end()


def _or_error(attempt: Callable[[], Outcome]) -> Outcome:
    try:
        return attempt()
    except ServiceError as error:
        return error


def run_ingest(run: jobs.JobRun) -> None:
    """The handler of an `ingest` job."""
    params, project = run.job.params, run.job.project

    def progress(done: int, total: int) -> None:
        run.progress(done, total, "Reading the images")

    def ended(result: ingest.FilesResult) -> None:
        run.finish(result.as_dict(), f"{len(result.added)} images added")

    with files.scratch() as folder:
        upload = files.job_upload(run.job, folder)
        if "allow_partial" in params:
            partial = params["allow_partial"]
            ingest_zips.add_zip(
                project, upload, allow_partial=partial, progress=progress, ended=ended
            )
        else:
            sampling = Sampling(params["every"], params["seconds"])
            with upload.open("rb") as source:
                ingest.add_files(
                    project, source, params["name"],
                    sampling=sampling, progress=progress, ended=ended,
                )  # fmt: skip
    default_storage.delete(params["upload"])
