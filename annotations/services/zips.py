"""Zip files from strangers: judged by directory and first bytes before anything is unpacked."""

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from django.conf import settings

from annotations.errors import ServiceError
from annotations.imaging.sniff import HEAD_BYTES, ZIP, sniff

MAX_ENTRIES = 50_000
MAX_DIRECTORY_BYTES = 32 * 2**20
MAX_RATIO = 200
"""Unpacked to packed, of a zip that unpacks to more than RATIO_FROM bytes."""
RATIO_FROM = 64 * 2**20
IMAGE_ENDINGS = {
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".dcm", ".nii",
}  # fmt: skip
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, ValueError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a zip; `is_image` by its first bytes, `claims_image` by its name."""

    name: str
    size: int
    is_image: bool
    claims_image: bool


def refuse(detail: str, field: str = "") -> ServiceError:
    return ServiceError(
        422, "invalid_zip", detail, field=field, hint="Nothing was stored. Make the zip anew."
    )


def check(path: Path) -> list[Entry]:
    """The files of a zip, in its order, without folders and what systems add by themselves.

    ServiceError 422 for a zip that is damaged, encrypted, too large unpacked, or holds an entry
    that could get out of a folder, hide, or stand for another; the entry is named.
    """
    with opened(path) as archive:
        infos = archive.infolist()
        if len(infos) > MAX_ENTRIES:
            raise refuse(
                f"The zip holds {len(infos):,} entries; at most {MAX_ENTRIES:,} are taken."
            )
        seen: dict[str, str] = {}
        for info in infos:
            _check_entry(info)
            same = unicodedata.normalize("NFC", info.filename.rstrip("/")).casefold()
            if same in seen:
                raise refuse(
                    f"“{info.filename}” and “{seen[same]}” have the same name.", info.filename
                )
            seen[same] = info.filename
        _check_sizes(infos, path.stat().st_size)
        _check_overlap(archive, infos)
        files = [info for info in infos if not info.is_dir() and not _added_by_systems(info)]
        return [_entry(archive, info) for info in files]


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip, open for reading. One that zipfile cannot read answers 422."""
    _check_directory(path)
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGED:
        raise refuse("The zip is damaged: its directory cannot be read.")
    with archive:
        yield archive


@contextmanager
def reading(archive: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    """One entry's bytes. An entry whose size or checksum is not what it says answers 422."""
    try:
        with archive.open(name) as file:
            yield file  # type: ignore[misc]
    except (*_DAMAGED, RuntimeError):
        raise damaged(name)


def damaged(name: str) -> ServiceError:
    return refuse(f"“{name}” is damaged inside the zip.", name)


def _check_entry(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    if not info.filename:
        raise refuse("The zip has an entry without a name.")
    if any(unicodedata.category(c) == "Cc" for c in name):
        shown = "".join("\ufffd" if unicodedata.category(c) == "Cc" else c for c in name)
        raise refuse(f"The name “{shown}” holds control characters.", shown)
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts:
        raise refuse(f"“{name}” leads out of the zip.", name)
    if "\\" in name or name[1:2] == ":":
        raise refuse(f"“{name}” holds a backslash or a drive.", name)
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise refuse(f"“{name}” is a link or a device, not a file.", name)
    if info.flag_bits & 0x41:
        raise refuse(f"“{name}” is encrypted.", name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refuse(f"“{name}” is packed in a way that is not taken.", name)


def _check_sizes(infos: list[zipfile.ZipInfo], packed: int) -> None:
    unpacked = sum(info.file_size for info in infos)
    if unpacked > 2 * settings.MAX_UPLOAD_BYTES or (
        unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed
    ):
        raise refuse(f"The zip would unpack to {unpacked // 2**20:,} MiB, which is too much.")


def _check_overlap(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> None:
    """Entries that share bytes are how a small zip unpacks to any size."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise refuse(f"“{info.filename}” shares its bytes with another entry.", info.filename)
        assert archive.fp
        archive.fp.seek(info.header_offset)
        header = archive.fp.read(30)
        if len(header) < 30:
            raise damaged(info.filename)
        name, extra = struct.unpack("<HH", header[26:30])
        end = info.header_offset + 30 + name + extra + info.compress_size
    if end > archive.start_dir:
        raise refuse("The zip's last entry runs into its directory.")


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    with reading(archive, info.filename) as file:
        kind = sniff(file.read(HEAD_BYTES))
    if kind is ZIP:
        raise refuse(f"“{info.filename}” is a zip inside the zip.", info.filename)
    ending = PurePosixPath(info.filename).suffix.lower()
    return Entry(info.filename, info.file_size, kind is not None, ending in IMAGE_ENDINGS)


def _added_by_systems(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename)
    return "__MACOSX" in path.parts or path.name in (".DS_Store", "Thumbs.db", "desktop.ini")


def _check_directory(path: Path) -> None:
    """Refuse a directory that would fill the memory before zipfile reads it.

    Record layouts: PKWARE APPNOTE 6.3.10, 4.3.14 to 4.3.16.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - 2**16 - 22))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < 22:
            raise refuse("The zip is damaged: its directory is missing or cut off.")
        (size,) = struct.unpack("<I", tail[at + 12 : at + 16])
        locator = tail[at - 20 : at] if at >= 20 else b""
        if size == 0xFFFFFFFF and locator[:4] == b"PK\x06\x07":
            file.seek(min(struct.unpack("<Q", locator[8:16])[0], length))
            record = file.read(56)
            size = struct.unpack("<Q", record[40:48])[0] if len(record) == 56 else size
    if size > MAX_DIRECTORY_BYTES:
        raise refuse(f"The zip holds more entries than are taken (at most {MAX_ENTRIES:,}).")
