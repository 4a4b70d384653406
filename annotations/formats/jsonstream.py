"""A JSON list in a file, or an object with a long list, that is never held whole.

The brackets, commas and quotes of the file are found in numpy, a block at a time; so it is known
where each element of the list is, and orjson parses only what is asked for. What orjson refuses the
standard library reads again: it says what is wrong, or takes what only a later check may name
(1e999, a lone surrogate).
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from annotations.formats.jsonio import MAX_BYTES, Checked, load, refuse_constant
from annotations.records import DatasetError

BLOCK = 2**20
AT_ONCE = 500
"""Elements that are parsed together, unless they take more bytes than a block."""

_STRUCTURE = bytes(byte in b'"{}[],' for byte in range(256))
_DEEPER = np.zeros(256, np.int8)
_DEEPER[list(b"{[")] = 1
_DEEPER[list(b"}]")] = -1
_MEMBER = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:', re.DOTALL)
_BLANK = b" \t\r\n"

Places = npt.NDArray[np.int64]
"""Offsets in the file, bytes."""


class Elements:
    """The elements of a list in a file; parsed when they are asked for."""

    def __init__(self, path: Path, pointer: str, starts: Places, ends: Places) -> None:
        self._path = path
        self._pointer = pointer
        self._starts = starts
        self._ends = ends

    def __len__(self) -> int:
        return len(self._starts)

    def checked(self, pointer: str, order: Places | None = None) -> Iterator[Checked]:
        """The elements in this order (indexes), which must be objects at this pointer."""
        indexes = np.arange(len(self)) if order is None else order
        values = chain.from_iterable(self.batches(indexes))
        for index, value in zip(indexes.tolist(), values, strict=True):
            yield Checked(value, f"{pointer}/{index}")

    def batches(self, order: Sequence[int] | Places | None = None) -> Iterator[list[Any]]:
        """The elements in this order (indexes), some in a list. DatasetError: not JSON."""
        indexes = np.arange(len(self)) if order is None else np.asarray(order, np.int64)
        with self._path.open("rb") as file:
            sizes = np.cumsum(self._ends[indexes] - self._starts[indexes])
            start = 0
            while start < len(indexes):
                read = sizes[start - 1] if start else 0
                fit = int(np.searchsorted(sizes, read + BLOCK, side="right"))
                end = min(max(fit, start + 1), start + AT_ONCE)
                yield self._parse(file.fileno(), indexes[start:end])
                start = end

    def _parse(self, file: int, indexes: Places) -> list[Any]:
        cuts = np.flatnonzero(np.diff(indexes) != 1) + 1
        parts = []
        for run in np.split(indexes, cuts):
            low, high = int(self._starts[run[0]]), int(self._ends[run[-1]])
            parts.append(os.pread(file, high - low, low))
        try:
            values = orjson.loads(b"[" + b",".join(parts) + b"]")
            if len(values) == len(indexes):
                return values
        except orjson.JSONDecodeError:
            pass
        return [self._parse_one(file, int(index)) for index in indexes]

    def _parse_one(self, file: int, index: int) -> Any:
        low, high = int(self._starts[index]), int(self._ends[index])
        return _parse(os.pread(file, high - low, low), low, self._pointer)


def load_streaming(
    path: Path, key: str, pointer: str = "", max_bytes: int = MAX_BYTES
) -> tuple[Any, Elements | None]:
    """The value in a file, without the list under `key`, and the elements of that list.

    What is no object, or has no list there, is all in the first, and the second is None.
    DatasetError as `jsonio.load`, some of them only when the elements are parsed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
        head = os.pread(file.fileno(), 100, start).lstrip(_BLANK)
        if size > max_bytes or not head.startswith(b"{"):
            return load(path, pointer, max_bytes), None
        outer, second = _scan(path, start, b"}", pointer, max_bytes)
        values: dict[str, Any] = {}
        found: Elements | None = None
        for low, high in pairwise(outer):
            low += 1
            name, value = _member(file.fileno(), int(low), int(high), pointer)
            if name == key and _is_list(file.fileno(), value, int(high)):
                inside = second[(second >= value) & (second < high)]
                found = _elements(path, file.fileno(), pointer, inside)
            elif name or len(outer) > 2:
                text = os.pread(file.fileno(), int(high) - value, value)
                values[name] = _parse(text, value, pointer)
    return values, found


def load_list(path: Path, pointer: str = "", max_bytes: int = MAX_BYTES) -> Elements | None:
    """The elements of a file that is one list; None: it is something else. Errors as above."""
    with path.open("rb") as file:
        start = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
        head = os.pread(file.fileno(), 100, start).lstrip(_BLANK)
        if path.stat().st_size > max_bytes or not head.startswith(b"["):
            load(path, pointer, max_bytes)  # says what is wrong
            return None
        outer, _ = _scan(path, start, b"]", pointer, max_bytes)
        return _elements(path, file.fileno(), pointer, outer)


def pick(elements: Elements, name: str, owners: Places, count: int) -> Iterator[Iterator[Checked]]:
    """For each of `count` owners the elements that are its. `owners`: that of each element.

    Each must be used up before the next is taken.
    """
    order = np.argsort(owners, kind="stable")
    found = elements.checked(f"/{name}" if name else "", order)
    for number in np.bincount(owners, minlength=count).tolist():
        yield islice(found, number)


def _member(file: int, low: int, high: int, pointer: str) -> tuple[str, int]:
    """The name of a member, and where its value begins. "" and `high` for blanks alone."""
    text = os.pread(file, min(high - low, 2**16), low)
    if not text.strip(_BLANK):
        return "", high
    match = _MEMBER.match(text)
    if match is None:
        raise _not_json("a member must be a name, a colon and a value", low, pointer)
    begin = low + match.end()
    blanks = os.pread(file, min(high - begin, 2**16), begin)
    return _parse(match[1], low, pointer), begin + len(blanks) - len(blanks.lstrip(_BLANK))


def _is_list(file: int, low: int, high: int) -> bool:
    return (
        os.pread(file, 1, low) == b"["
        and os.pread(file, min(high - low, 2**16), max(low, high - 2**16)).rstrip(_BLANK)[-1:]
        == b"]"
    )


def _elements(path: Path, file: int, pointer: str, bounds: Places) -> Elements:
    """`bounds`: the brackets of the list and the commas between its elements."""
    low, high = int(bounds[0]) + 1, int(bounds[-1])
    if len(bounds) == 2 and not os.pread(file, min(high - low, 2**16), low).strip(_BLANK):
        return Elements(path, pointer, bounds[:0], bounds[:0])
    return Elements(path, pointer, bounds[:-1] + 1, bounds[1:])


def _parse(text: bytes, at: int, pointer: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise DatasetError("The JSON is nested too deeply.", pointer, "unreadable")
    except json.JSONDecodeError as error:
        raise _not_json(error.msg, at + error.pos, pointer)
    except ValueError as error:
        raise DatasetError(f"This is not JSON: {error}.", pointer, "unreadable")


def _not_json(words: str, at: int, pointer: str) -> DatasetError:
    return DatasetError(f"This is not JSON: {words} (byte {at}).", pointer, "unreadable")


def _scan(
    path: Path, start: int, closing: bytes, pointer: str, max_bytes: int
) -> tuple[Places, Places]:
    """Where the outer brackets and the commas between them are, where those one level deeper are.

    DatasetError: brackets do not close, or something follows the last, which is `closing`.
    """
    outer: list[Places] = []
    second: list[Places] = []
    depth, inside, carried, offset = 0, 0, b"", start
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK):
            data = np.frombuffer(carried + block, np.uint8)
            places = np.flatnonzero(
                np.frombuffer(data.tobytes().translate(_STRUCTURE), dtype=np.bool_)
            )
            escaped, odd = _escaped(data)
            if escaped.size:
                places = np.setdiff1d(places, escaped, assume_unique=True)
            kinds = data[places]
            quotes = kinds == ord('"')
            outside = (((np.cumsum(quotes) + inside) & 1) == 0) & ~quotes
            inside = (inside + int(quotes.sum())) & 1
            places, kinds = places[outside], kinds[outside]
            steps = _DEEPER[kinds]
            # A bracket belongs to the deeper of its two sides.
            depths = depth + np.cumsum(steps, dtype=np.int64)
            levels = depths + (steps < 0)
            if depths.size:
                depth = int(depths[-1])
            places = places + (offset - len(carried))
            outer.append(places[levels == 1])
            second.append(places[levels == 2])
            offset += len(block)
            carried = b"\\" if odd else b""
        ends = np.concatenate(outer)
        second_ends = np.concatenate(second)
        rest = os.pread(file.fileno(), 2**16, int(ends[-1]) + 1) if ends.size else b""
        closes = ends.size > 1 and os.pread(file.fileno(), 1, int(ends[-1])) == closing
        nothing_follows = len(rest) < 2**16 and not rest.strip(_BLANK)
    if closes and depth == 0 and not inside and nothing_follows:
        return ends, second_ends
    load(path, pointer, max_bytes)  # says what is wrong
    raise _not_json("it does not end where it should", path.stat().st_size, pointer)


def _escaped(data: npt.NDArray[np.uint8]) -> tuple[Places, bool]:
    """Places after an odd number of backslashes, and whether the next block's first is one."""
    slashes = np.flatnonzero(data == ord("\\"))
    if not slashes.size:
        return slashes, False
    first = np.concatenate(([True], np.diff(slashes) != 1))
    starts = slashes[first]
    ends = slashes[np.concatenate((first[1:], [True]))] + 1
    after = ends[(ends - starts) % 2 == 1]
    odd = bool(after.size and after[-1] == data.size)
    return after[: after.size - odd], odd
