"""Stored files: originals, upright rasters, thumbnails, uploads that wait for a job, exports.

All of them live in Django's default storage (a folder or S3-compatible). Image files are named by
the SHA-256 of the original bytes. Whoever writes or removes the files of a content holds its
`StoredFile` row (or the place where the row would be) until COMMIT, so that nobody removes what
another one has just stored.
"""

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import QuerySet

from annotations.errors import ServiceError, StorageAway
from annotations.formats.names import portable
from annotations.imaging.pyramid import TILE
from annotations.models import Job, ReleaseImage, StoredFile

log = logging.getLogger(__name__)

CHUNK = 2**20
PUTS_AT_ONCE = 16
SYNCS_AT_ONCE = 4
FEW = 4
MAX_NAME = 1024
LEFTOVER_SECONDS = 24 * 3600
SCRATCH = "tmp-"
"""How names in the spool begin that a killed process leaves."""


class Readable(Protocol):
    """Bytes that can be read from the start: an open file, an upload, an entry of a zip."""

    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder in the spool, removed afterwards. A full disk answers 507."""
    settings.SPOOL_DIR.mkdir(parents=True, exist_ok=True)
    with space(), tempfile.TemporaryDirectory(prefix=SCRATCH, dir=settings.SPOOL_DIR) as folder:
        yield Path(folder)


@contextlib.contextmanager
def space() -> Iterator[None]:
    """Turns a full disk into a plain answer."""
    full = ServiceError(
        507,
        "no_space",
        "The server's disk is full. Nothing was stored.",
        hint="Make room on the server, then try again.",
    )
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full
        raise
    except OperationalError as error:
        if "disk is full" in str(error):
            raise full
        raise


def receive(
    source: Readable, target: Path, limit: int, name: str, *, synced: bool = True
) -> tuple[str, int]:
    """Copy a stream into the new file `target`, safe on disk. Returns its SHA-256 and size.

    Where not `synced`, the caller calls `sync` before anybody counts on the file.
    ServiceError 413 when it is longer than `limit` bytes; `name` is what it calls the file.
    """
    digest = hashlib.sha256()
    size = 0
    with target.open("xb") as out:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise ServiceError(
                    413,
                    "too_large",
                    f"“{name}” is larger than {limit // 2**20} MiB.",
                    field=name,
                    hint="The server's administrator sets the limit.",
                )
            digest.update(chunk)
            out.write(chunk)
        if synced:
            out.flush()
            os.fsync(out.fileno())
    return digest.hexdigest(), size


def sync(path: Path) -> None:
    """Returns when the file's bytes, or the names in the folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_lasting: set[Path] = set()
"""Folders whose own names are on disk, as this process knows."""


def settle(files: Iterable[Path], top: Path, synced: Container[Path] = ()) -> None:
    """Returns when the bytes and the names of files below `top` would outlive a loss of power.

    The bytes of those in `synced` are on disk.
    """
    files = list(files)
    leaves = {file.parent for file in files}
    made = {one for leaf in leaves for one in (leaf, *leaf.parents) if one.is_relative_to(top)}
    made -= _lasting
    todo = [file for file in files if file not in synced]
    todo += leaves | {folder.parent for folder in made}
    if len(todo) > FEW:  # at once: the disk writes them together
        with ThreadPoolExecutor(SYNCS_AT_ONCE) as workers:
            list(workers.map(sync, todo))
    else:
        for path in todo:
            sync(path)
    _lasting.update(made)


class Placed:
    """The storage names that were written in a transaction."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._files: list[Path] = []
        self._synced: set[Path] = set()

    def put(self, name: str, source: Path, *, synced: bool = False) -> None:
        """Move the file `source` into the storage, whole or not at all.

        It outlives a loss of power from `settle` on. `synced`: its bytes are on disk already.
        """
        self.names.append(name)
        try:
            target = Path(default_storage.path(name))
        except NotImplementedError:  # an object store, which is atomic by itself
            with source.open("rb") as file:
                default_storage.save(name, File(file))
            return
        try:
            try:
                source.replace(target)
            except FileNotFoundError:
                new = [one for one in target.parents if not one.exists()]
                _lasting.difference_update(new)
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            aside = target.with_name(f".{target.name}.part")
            shutil.copyfile(source, aside)
            aside.replace(target)
            synced = False
        self._files.append(target)
        if synced:
            self._synced.add(target)

    def put_all(self, name: str, folder: Path) -> None:
        """Move all files below `folder` into the storage's folder `name`, several at a time."""
        found = [path for path in folder.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(PUTS_AT_ONCE) as workers:
            list(
                workers.map(
                    lambda path: self.put(f"{name}/{path.relative_to(folder)}", path), found
                )
            )

    def settle(self) -> None:
        """What was put is on disk from here on, with its names and those of its folders."""
        if self._files:
            settle(self._files, Path(default_storage.path("")), self._synced)

    def remove(self) -> None:
        """Remove again what was put."""
        while self.names:
            default_storage.delete(self.names.pop())


@contextlib.contextmanager
def placing() -> Iterator[Placed]:
    """A transaction with files, which are on disk before its rows can be.

    When it fails, what was put is removed, then the rows roll back.
    """
    placed = Placed()
    try:
        with space(), transaction.atomic():
            try:
                yield placed
                placed.settle()
            except BaseException:
                placed.remove()
                raise
    except BaseException:
        placed.remove()  # what is left of it when COMMIT itself failed
        raise


def store(name: str, content: bytes) -> None:
    """Store bytes, whole or not at all, in place of those that are there."""
    with scratch() as folder, placing() as placed:
        path = folder / "content"
        path.write_bytes(content)
        placed.put(name, path)


def image_name(folder: str, sha256: str, extension: str) -> str:
    """The storage name of a file of a content in one of the storage's folders."""
    return f"{folder}/{sha256[:2]}/{sha256}.{extension}"


def tile_folder(sha256: str) -> str:
    """Where the storage has a content's pyramid: `<level>/<x>_<y>.jpg` below it."""
    return f"tiles/{sha256[:2]}/{sha256}"


def tile_grid(file: StoredFile, level: int) -> tuple[int, int]:
    """Columns and rows of tiles of one level of a pyramid."""
    step = TILE << (file.levels - 1 - level)
    return -(-file.width // step), -(-file.height // step)


def tile_names(file: StoredFile) -> Iterator[str]:
    """The storage names of all tiles."""
    for level in range(file.levels):
        columns, rows = tile_grid(file, level)
        for x, y in itertools.product(range(columns), range(rows)):
            yield f"{tile_folder(file.sha256)}/{level}/{x}_{y}.jpg"


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def picture_digest(sha256: str, number: int) -> str:
    """What stands for one picture of a file with several: the file's own SHA-256 for the first."""
    return hashlib.sha256(f"{sha256}#{number}".encode()).hexdigest() if number else sha256


def local(name: str, folder: Path) -> Path:
    """A stored file as a local one; it is copied to `folder` where the storage is elsewhere."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        target = folder / Path(name).name
        with default_storage.open(name) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, CHUNK)
        return target


def job_upload(job: Job, folder: Path) -> Path:
    """The file that a job works on, as in `local`. ServiceError 410 when it was dropped by now."""
    name = job.params.get("upload")
    if not name or not default_storage.exists(name):
        raise ServiceError(
            410, "upload_gone", "The uploaded file is no longer there.", hint="Upload it again."
        )
    return local(name, folder)


def collect(contents: QuerySet[StoredFile] | None = None) -> int:
    """Remove content (of `contents`, or any) that no image and no release uses.

    Returns how many were removed. Where the storage does not answer they stay for `tidy`.
    """
    removed = 0
    contents = StoredFile.objects.all() if contents is None else contents
    for file in contents.filter(images=None, releases=None).iterator():
        try:
            default_storage.exists(file.thumbnail)
        except StorageAway:
            log.warning("The storage does not answer: unused files are removed later")
            break
        with transaction.atomic():
            unused = StoredFile.objects.select_for_update(of=("self",)).filter(pk=file.pk)
            if not unused.exists() or file.images.exists():
                continue
            if ReleaseImage.objects.filter(file=file).exists():
                continue
            unused.delete()
        removed += _remove_files(file)
    return removed


def _remove_files(file: StoredFile) -> int:
    """Remove the files of a row that is gone, while nobody can store the same content again."""
    names = {file.upright, file.thumbnail, file.values, *tile_names(file)} - {file.original, ""}
    file.pk = None
    with contextlib.suppress(IntegrityError), transaction.atomic():
        file.save(force_insert=True)  # holds the place; another one's row is there: IntegrityError
        if not file.reference and _original_is_unused(file):
            names.add(file.original)
        for name in names:
            default_storage.delete(name)
        transaction.set_rollback(True)
        return 1
    return 0


def _original_is_unused(file: StoredFile) -> bool:
    """Whether no other picture of the same file is stored, nor can be until the rollback.

    Whoever stores pictures of a file holds the place of its first one, so it is held here too.
    """
    held = [file.pk]
    if file.number:
        file.pk = None
        file.sha256 = Path(file.original).name.partition(".")[0]
        try:
            with transaction.atomic():
                file.save(force_insert=True)
        except IntegrityError:
            return False
        held.append(file.pk)
    return not StoredFile.objects.filter(original=file.original).exclude(pk__in=held).exists()


def tidy() -> None:
    """Remove unused content, and what a killed process left in the spool a day ago."""
    collect()
    if not settings.SPOOL_DIR.is_dir():
        return
    for left in settings.SPOOL_DIR.glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def clean_name(name: str) -> str:
    """A person's file name as text that every database stores: no control characters, not too long.

    It is data and never becomes a path.
    """
    kept = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in name)
    return kept[-MAX_NAME:] or "unnamed"


def plain_name(name: str) -> str:
    """A file name without folders that every system takes, for downloads."""
    return portable(name.replace("/", "_"))
