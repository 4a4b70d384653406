"""Thumbnails of pictures that were taken after a look alone (`pool.Looks`).

They are made once the rows are committed, by a decoder that leaves the processor to others. Should
this process end before, whoever asks for one first waits for it.
"""

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection, transaction

from annotations.imaging import pool
from annotations.imaging.sniff import JPEG
from annotations.models import StoredFile
from annotations.services import files

log = logging.getLogger(__name__)
AT_ONCE = 32
IDLE_SECONDS = 5

_waiting: "queue.SimpleQueue[StoredFile]"
_starting = threading.Lock()
_started = False


def _forget() -> None:
    """After a fork the parent's thread is not there, and what waits is left to it."""
    global _waiting, _starting, _started
    _waiting, _starting, _started = queue.SimpleQueue(), threading.Lock(), False


_forget()
os.register_at_fork(after_in_child=_forget)


def make_later(rows: Sequence[StoredFile]) -> None:
    """Once the transaction is committed."""
    if rows:
        transaction.on_commit(lambda: _later(rows))


def _later(rows: Sequence[StoredFile]) -> None:
    global _started
    for row in rows:
        _waiting.put(row)
    with _starting:
        if not _started:
            threading.Thread(target=_work, args=(_waiting,), daemon=True).start()
            _started = True


def _work(waiting: "queue.SimpleQueue[StoredFile]") -> None:
    idle = True
    while True:
        try:
            rows = [waiting.get(timeout=None if idle else IDLE_SECONDS)]
        except queue.Empty:
            pool.rest()
            connection.close()
            idle = True
            continue
        idle = False
        with contextlib.suppress(queue.Empty):
            while len(rows) < AT_ONCE:
                rows.append(waiting.get_nowait())
        try:
            make(rows, behind=True)
        except Exception:  # they are made when somebody asks for them
            log.exception("%s thumbnails could not be made", len(rows))


def ensure(row: StoredFile) -> None:
    """Make its thumbnail if that is missing and is one of those that are made late."""
    late = row.original_type == JPEG.mime and not row.reference
    if late and not default_storage.exists(row.thumbnail):
        make([row])


def make(rows: Sequence[StoredFile], *, behind: bool = False) -> None:
    """Of JPEGs. One whose original is gone, or cannot be decoded, gets none."""
    with files.scratch() as folder:
        made = {}
        for row in rows:
            try:
                _make(row, folder, behind)
                made[row.sha256] = row.thumbnail
            except (pool.BadImage, OSError) as error:
                log.warning("The thumbnail of %s was not made: %s", row.original, error)
        there = StoredFile.objects.filter(sha256__in=made).values_list("sha256", flat=True)
        for sha256 in made.keys() - set(there):  # the image was deleted meanwhile
            default_storage.delete(made[sha256])


def _make(row: StoredFile, folder: Path, behind: bool) -> None:
    source = files.local(row.original, folder)
    limit = settings.MAX_IMAGE_PIXELS
    [decoded] = pool.frames(source, folder, JPEG.name, max_pixels=limit, behind=behind)
    assert decoded.thumbnail
    files.sync(decoded.thumbnail)
    files.Placed().put(row.thumbnail, decoded.thumbnail)
