"""File names: checked on the way in, portable on the way out."""

import re
import unicodedata
from pathlib import Path, PurePosixPath

from annotations.records import DatasetError

MAX_NAME = 1024
MAX_PART_BYTES = 200
FILE_SYSTEM_BYTES = 255
"""No file system here has a longer name; asking for one is an OSError."""

_RESERVED = {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10)}

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,150}\.[A-Za-z0-9]{1,10}")
"""What most names are: told without taking them apart, which is a tenth of an export."""


def safe_relative(name: str, pointer: str = "") -> str:
    """The name, when it stays inside the folder it is relative to. DatasetError: otherwise."""
    parts = name.split("/")
    if (
        not name
        or len(name) > MAX_NAME
        or "\\" in name
        or re.match(r"[A-Za-z]:", name)
        or any(part in ("", ".", "..") for part in parts)
        or not (name.isprintable() or all(map(_is_text, name)))
    ):
        raise DatasetError("The file name is not a plain relative path.", pointer)
    return name


def _is_text(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cs")


def can_be_file(name: str) -> bool:
    """Whether a file system takes the name, each part of it and all together."""
    parts = [len(part.encode("utf-8", "surrogatepass")) for part in name.split("/")]
    return max(parts) <= FILE_SYSTEM_BYTES and len(name) <= MAX_NAME


def inside(folder: Path, name: str, pointer: str = "") -> Path:
    """The file of that name below the folder. DatasetError: it is elsewhere or missing."""
    path = folder / safe_relative(name, pointer)
    if (
        not can_be_file(name)
        or not path.is_file()
        or not path.resolve().is_relative_to(folder.resolve())
    ):
        raise DatasetError(f"There is no file {name}.", pointer)
    return path


def stem(name: str) -> str:
    """The name without its ending: a/b.tar.jpg → a/b.tar."""
    if _PLAIN.fullmatch(name):
        return name.partition(".")[0]
    return PurePosixPath(name).with_suffix("").as_posix()


def image_files(folder: Path) -> dict[str, str]:
    """The files below a folder, by their names without endings; {} where there is no folder."""
    names = sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )
    return {stem(name): name for name in names}


def portable(name: str) -> str:
    """The nearest name that every file system takes; a usable name stays what it is.

    Folders stay; "..", drive letters, control and direction marks, trailing dots and names that
    Windows reserves go; parts longer than 200 bytes are cut before their ending.
    """
    if _PLAIN.fullmatch(name) and name.partition(".")[0].lower() not in _RESERVED:
        return name
    parts = [_portable_part(part) for part in name.replace("\\", "/").split("/")]
    return "/".join(part for part in parts if part) or "unnamed"


def _portable_part(part: str) -> str:
    kept = "".join(
        "_" if char in '<>:"|?*' else char
        for char in part
        if unicodedata.category(char) not in ("Cc", "Cf", "Cs")
    )
    kept = kept.strip().rstrip(". ")
    if kept.split(".")[0].lower() in _RESERVED:
        kept = "_" + kept
    ending = PurePosixPath(kept).suffix[-20:]
    base = kept[: len(kept) - len(ending)]
    while len((base + ending).encode()) > MAX_PART_BYTES:
        base = base[:-1]
    return base + ending


class Names:
    """Gives each image a portable name that no other has, whatever the case of its letters.

    by_stem: no two names may differ in their ending only, for formats that change the ending.
    """

    def __init__(self, by_stem: bool = False) -> None:
        self._by_stem = by_stem
        self._taken: set[str] = set()

    def give(self, name: str) -> str:
        wanted = portable(name)
        given, count = wanted, 1
        while self._key(given) in self._taken:
            count += 1
            ending = PurePosixPath(wanted).suffix
            given = f"{wanted[: len(wanted) - len(ending)]}_{count}{ending}"
        self._taken.add(self._key(given))
        return given

    def _key(self, name: str) -> str:
        return (stem(name) if self._by_stem else name).casefold()


def csv_cell(text: str) -> str:
    """The text for a CSV cell that a spreadsheet does not run as a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
