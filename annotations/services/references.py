"""Originals that were not copied: files of a folder or objects of a bucket, read where they lie.

A reference is an absolute path or `s3://bucket/key`. Only commands make them: whoever may name a
path on the server could read any file of it. What is read is checked against the SHA-256 that was
taken first, once for each state of the file (size and time, or ETag).
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import default_storage

from annotations.errors import ServiceError
from annotations.models import StoredFile

S3 = "s3://"
CHUNK = 2**20


def open_original(file: StoredFile) -> IO[bytes]:
    """The bytes as they came. FileNotFoundError; ServiceError 410 for a reference."""
    return _checked(file) if file.reference else default_storage.open(file.original)


def open_upright(file: StoredFile) -> IO[bytes]:
    """The upright raster, which may be the original itself. Errors as in `open_original`."""
    if file.reference and file.upright == file.original:
        return _checked(file)
    return default_storage.open(file.upright)


def found(place: str, endings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(reference, name) of a file, or of all files below a folder or prefix with these endings."""
    if place.startswith(S3):
        bucket, prefix = _split(place)
        for entry in _bucket(bucket).bucket.objects.filter(Prefix=prefix):
            name = entry.key.removeprefix(prefix).lstrip("/") or entry.key.rpartition("/")[2]
            if name.lower().endswith(endings):
                yield f"{S3}{bucket}/{entry.key}", name
        return
    root = Path(place).resolve()
    if root.is_file():
        yield str(root), root.name
        return
    for path in sorted(root.rglob("*")):
        if path.name.lower().endswith(endings) and path.is_file():
            yield str(path), path.relative_to(root).as_posix()


def opened(reference: str) -> IO[bytes]:
    """Its bytes, unchecked. ServiceError 410: it is not there."""
    try:
        if reference.startswith(S3):
            bucket, key = _split(reference)
            file = _bucket(bucket).open(key)
            file.file  # noqa: B018 (fetches it)
            return cast(IO[bytes], file)
        return open(reference, "rb")
    except (OSError, BotoCoreError, ClientError):
        raise _gone(reference)


def _checked(file: StoredFile) -> IO[bytes]:
    sha256 = file.original.rpartition("/")[2].partition(".")[0]
    if _digest(file.reference, _state(file.reference)) != sha256:
        raise ServiceError(
            410,
            "reference_changed",
            f"“{_name(file.reference)}” is another file by now than the one that was added.",
            field=_name(file.reference),
            hint="Put the old file back where it was, or add the new one as another image.",
        )
    return opened(file.reference)


def _state(reference: str) -> tuple[Any, ...]:
    try:
        if reference.startswith(S3):
            bucket, key = _split(reference)
            entry = _bucket(bucket).bucket.Object(key)
            return entry.e_tag, entry.content_length
        told = Path(reference).stat()
    except (OSError, BotoCoreError, ClientError):
        raise _gone(reference)
    return told.st_mtime_ns, told.st_size, told.st_ino


@lru_cache(maxsize=10_000)
def _digest(reference: str, state: tuple[Any, ...]) -> str:
    digest = hashlib.sha256()
    with opened(reference) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _gone(reference: str) -> ServiceError:
    return ServiceError(
        410,
        "reference_missing",
        f"“{_name(reference)}” is no longer where it was when it was added.",
        field=_name(reference),
        hint="The image was added without copying it. Put the file back where it was.",
    )


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _split(reference: str) -> tuple[str, str]:
    parts = urlsplit(reference)
    return parts.netloc, parts.path.lstrip("/")


@lru_cache(maxsize=100)
def _bucket(name: str) -> Any:
    """A bucket, with the keys of STORAGE_URL where that is S3, else those of the environment."""
    from storages.backends.s3 import S3Storage

    options = settings.STORAGES["default"].get("OPTIONS", {})
    if "bucket_name" not in options:
        options = {}
    return S3Storage(**(options | {"bucket_name": name, "default_acl": None}))
