"""Uploads of any kind: at once, side by side, or by a worker where they take long."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import IntegrityError

from annotations.access import require
from annotations.errors import ServiceError
from annotations.imaging import pool
from annotations.imaging.sniff import HEAD_BYTES, JPEG, VIDEOS, ZIP, sniff
from annotations.models import Job, Project
from annotations.models.projects import Role
from annotations.services import files, ingest, ingest_zips, jobs
from annotations.services.frames import PER_SECOND, Sampling

GROUP = 32
GROUP_BYTES = 64 * 2**20
"""So many files, and about so many bytes, are spooled at a time and stored in a transaction."""
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
    """The name of each file and its outcome, in order; each stands alone. Managers only.

    Pictures are decoded by all decoders at once and stored several in a transaction. ServiceError
    only for what holds for all files.
    """
    require(user, project, Role.MANAGER)
    ingest.refuse_archived(project)

    def alone(source: files.Readable, name: str) -> Outcome:
        try:
            return upload_file(
                user, project, source, name, sampling=sampling, allow_partial=allow_partial
            )
        except ServiceError as error:
            return error

    settings.SPOOL_DIR.mkdir(parents=True, exist_ok=True)
    for group in _groups(uploads):
        found: dict[int, Outcome] = {}
        pictures = {n: one for n, one in enumerate(group) if _is_picture(one[0])}
        # Whoever stored or removed the same content in this moment, or a full disk, is met by
        # each file for itself.
        with contextlib.suppress(IntegrityError), contextlib.suppress(ServiceError):
            found = _store(user, project, pictures, sampling)
        for number, (source, name) in enumerate(group):
            yield name, found[number] if number in found else alone(source, name)


def _groups(uploads: Iterable[Upload]) -> Iterator[list[Upload]]:
    """At most GROUP files and about GROUP_BYTES in each."""
    group: list[Upload] = []
    size = 0
    for source, name in uploads:
        group.append((source, name))
        size += source.seek(0, os.SEEK_END)
        if len(group) == GROUP or size > GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _is_picture(source: files.Readable) -> bool:
    source.seek(0)
    kind = sniff(source.read(HEAD_BYTES))
    source.seek(0)
    return kind is not ZIP and kind not in VIDEOS


def _store(
    user, project: Project, uploads: dict[int, Upload], sampling: Sampling
) -> dict[int, Outcome]:
    """What becomes of these files; what is good is stored in one transaction."""
    outcomes: dict[int, Outcome] = {}
    spooled: dict[int, ingest.Spooled] = {}
    try:
        whole = _spool(uploads, spooled, outcomes)
        known = ingest.known(one.sha256 for one in spooled.values())
        prepared: dict[int, list[ingest.Prepared]] = {}
        late: list[int] = []
        unsure = {}
        for number, one in spooled.items():
            if one.path in whole and one.sha256 not in known:
                prepared[number] = ingest.looked_at(one, whole[one.path])
            else:
                unsure[number] = one
        for number, decoded in _decoded(unsure, sampling, known).items():
            try:
                prepared[number] = decoded()
            except ServiceError as error:
                outcomes[number] = error
            except pool.TakesLong:
                late.append(number)
        outcomes |= ingest.add_all(project, prepared)
        for number in late:
            try:
                with files.space():
                    outcomes[number] = ingest.take_later(user, project, spooled[number], sampling)
            except ServiceError as error:
                outcomes[number] = error
    finally:
        for one in spooled.values():
            one.path.unlink(missing_ok=True)
            shutil.rmtree(one.folder, ignore_errors=True)
    return outcomes


def _spool(
    uploads: dict[int, Upload], spooled: dict[int, ingest.Spooled], refused: dict[int, Outcome]
) -> dict[Path, pool.Decoded]:
    """Fills `spooled`, safe on disk, and `refused`. The pictures that need but a thumbnail.

    Files are copied, hashed and synced side by side while those before are looked at.
    """
    with pool.looking(settings.MAX_IMAGE_PIXELS) as looks:

        def take(upload: Upload) -> ingest.Spooled | ServiceError:
            try:
                with files.space():
                    return _take(upload, looks)
            except ServiceError as error:
                return error

        if len(uploads) > 1:
            with ThreadPoolExecutor(files.SYNCS_AT_ONCE) as workers:
                taken = list(workers.map(take, uploads.values()))
        else:
            taken = list(map(take, uploads.values()))
        for number, one in zip(uploads, taken, strict=True):
            if isinstance(one, ServiceError):
                refused[number] = one
            else:
                spooled[number] = one
        return looks.answers()


def _take(upload: Upload, looks: pool.Looks) -> ingest.Spooled:
    one = ingest.spool(*upload, settings.SPOOL_DIR, synced=False)
    try:
        if one.kind is JPEG:
            looks.show(one.path)
        files.sync(one.path)
    except BaseException:
        one.path.unlink()
        raise
    return one


def _decoded(
    spooled: dict[int, ingest.Spooled], sampling: Sampling, known: set[str]
) -> dict[int, Callable[[], list[ingest.Prepared]]]:
    """For each file what gives its pictures, which were decoded side by side."""

    def decode(one: ingest.Spooled) -> Callable[[], list[ingest.Prepared]]:
        return partial(ingest.decode_at_once, one, sampling, one.sha256 in known)

    if len(spooled) <= 1:
        return {number: decode(one) for number, one in spooled.items()}
    with ThreadPoolExecutor(pool.SIZE) as workers:
        ahead = {number: workers.submit(decode(one)) for number, one in spooled.items()}
    return {number: future.result for number, future in ahead.items()}


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
