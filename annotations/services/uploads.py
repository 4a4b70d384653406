"""The files of one request: decoded side by side, stored one after another, in their order."""

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from django.db import IntegrityError

from annotations.access import require
from annotations.errors import ServiceError
from annotations.imaging import pool
from annotations.imaging.sniff import HEAD_BYTES, ZIP, sniff
from annotations.models import Job, Project, StoredFile
from annotations.models.projects import Role
from annotations.services import files, ingest

Upload = tuple[files.Readable, str]
Outcome = ingest.FilesResult | Job | ServiceError
"""What became of a file, as `ingest.upload_file` says it, or why it was refused."""


def upload_files(
    user,
    project: Project,
    uploads: Iterable[Upload],
    *,
    sampling: ingest.Sampling = ingest.PER_SECOND,
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
            lambda: ingest.upload_file(
                user, project, source, name, sampling=sampling, allow_partial=allow_partial
            )
        )

    def begin(source: files.Readable, name: str) -> Callable[[], Outcome]:
        source.seek(0)
        kind = sniff(source.read(HEAD_BYTES))
        source.seek(0)
        if kind is ZIP or kind in ingest.VIDEOS:
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
