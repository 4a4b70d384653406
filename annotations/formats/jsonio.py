"""JSON, strictly read and written as a stream."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn, TextIO

import orjson

from annotations.records import DatasetError

MAX_BYTES = 512 * 2**20
MAX_ID = 2**53 - 1
MAX_TEXT = 200
MAX_NUMBER = sys.float_info.max


def load(path: Path, pointer: str = "", max_bytes: int = MAX_BYTES) -> Any:
    """The value in a JSON file. DatasetError: too large, no JSON, NaN or Infinity, too deep."""
    if path.stat().st_size > max_bytes:
        raise DatasetError(
            f"The file is larger than {max_bytes // 2**20} MiB.", pointer, "too_large"
        )
    try:
        return json.loads(path.read_bytes(), parse_constant=refuse_constant)
    except RecursionError:
        raise DatasetError("The JSON is nested too deeply.", pointer, "unreadable")
    except ValueError as error:
        raise DatasetError(f"This is not JSON: {error}.", pointer, "unreadable")


def refuse_constant(name: str) -> NoReturn:
    """For `json.loads`: NaN and Infinity are no JSON."""
    raise ValueError(f"{name} is not a JSON number")


def dumps(value: Any) -> str:
    """Compact JSON. Numbers are finite: whatever comes in is checked."""
    return encoded(value).decode()


def encoded(value: Any) -> bytes:
    """`dumps` in UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:  # whole numbers beyond 64 bits, keys that are no text
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()


class Checked:
    """A JSON object whose members are taken out by type; errors carry the JSON pointer."""

    def __init__(self, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            raise DatasetError("An object is expected here.", pointer)
        self.value: dict[str, Any] = value
        self.pointer = pointer

    def at(self, key: str) -> str:
        escaped = key.replace("~", "~0").replace("/", "~1")
        return f"{self.pointer}/{escaped}"

    def has(self, key: str) -> bool:
        return self.value.get(key) is not None

    def get(self, key: str) -> Any:
        if key not in self.value:
            raise DatasetError(f'"{key}" is missing.', self.at(key))
        return self.value[key]

    def child(self, key: str) -> "Checked":
        return Checked(self.get(key), self.at(key))

    def array(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise DatasetError(f'"{key}" must be a list.', self.at(key))
        return value

    def children(self, key: str) -> Iterator["Checked"]:
        for index, value in enumerate(self.array(key)):
            yield Checked(value, f"{self.at(key)}/{index}")

    def integer(self, key: str, low: int = 0, high: int = MAX_ID) -> int:
        value = self.get(key)
        if type(value) is not int or not low <= value <= high:
            raise DatasetError(
                f'"{key}" must be a whole number from {low} to {high}.', self.at(key)
            )
        return value

    def number(self, key: str) -> float:
        value = self.get(key)
        if type(value) not in (int, float) or not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise DatasetError(f'"{key}" must be a finite number.', self.at(key))
        return value

    def text(self, key: str, default: str | None = None, max_length: int = MAX_TEXT) -> str:
        if default is not None and not self.has(key):
            return default
        value = self.get(key)
        if not isinstance(value, str):
            raise DatasetError(f'"{key}" must be text.', self.at(key))
        if len(value) > max_length or not is_storable(value):
            raise DatasetError(
                f'"{key}" is too long or holds characters that no text has.', self.at(key)
            )
        return value

    def name(self, key: str) -> str:
        """Text that is not blank."""
        value = self.text(key)
        if not value.strip():
            raise DatasetError(f'"{key}" is empty.', self.at(key))
        return value

    def flag(self, key: str) -> bool:
        """0, 1, false or true; false when missing."""
        value = self.value.get(key, 0)
        if not isinstance(value, int) or value not in (0, 1):
            raise DatasetError(f'"{key}" must be 0 or 1.', self.at(key))
        return bool(value)

    def score(self, key: str = "score") -> float | None:
        """A score from 0 to 1, or None when missing."""
        if not self.has(key):
            return None
        value = self.number(key)
        if not 0 <= value <= 1:
            raise DatasetError(f'"{key}" must be from 0 to 1.', self.at(key))
        return value

    def attributes(self, key: str = "attributes") -> dict[str, Any]:
        """A free object that a database can hold; {} when missing."""
        if not self.has(key):
            return {}
        value = self.child(key).value
        if not is_storable(json.dumps(value, ensure_ascii=False)) or "\\u0000" in json.dumps(value):
            raise DatasetError("The attributes hold characters that no text has.", self.at(key))
        return value


def is_storable(text: str) -> bool:
    """Whether databases take the text: no NUL, no lone surrogate."""
    return not re.search("[\x00\ud800-\udfff]", text)


class Spool:
    """JSON values waiting in a nameless file until the document around them is written."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = TemporaryFile(dir=folder)  # noqa: SIM115 - pour() closes it
        self._empty = True

    def add(self, *values: Any) -> None:
        if values:
            start = b"\n" if self._empty else b",\n"
            self._file.write(start + b",\n".join(map(encoded, values)))
            self._empty = False

    def pour(self, target: TextIO) -> None:
        """Write what was added as a JSON list, and let go of the file."""
        self._file.seek(0)
        target.write("[")
        target.flush()
        shutil.copyfileobj(self._file, target.buffer, 2**20)
        target.write("]" if self._empty else "\n]")
        self._file.close()


@contextmanager
def document(path: Path) -> Iterator[TextIO]:
    """A text file to write, its folder made; always UTF-8 and line feeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def write_document(path: Path, members: dict[str, Any]) -> None:
    """An object whose members are values or spools, one member a line."""
    with document(path) as file:
        file.write("{")
        for index, (key, value) in enumerate(members.items()):
            file.write(("\n" if index == 0 else ",\n") + dumps(key) + ": ")
            if isinstance(value, Spool):
                value.pour(file)
            else:
                file.write(dumps(value))
        file.write("\n}\n")
