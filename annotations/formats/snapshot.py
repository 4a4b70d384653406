"""The file of a release: JSON lines, packed, in one canonical form.

The first line holds the kind of the project and its categories; then comes one line per image, in
the order of ids, with its SHA-256 and all of its regions. The hash of a release is the SHA-256 of
these lines. They are packed as gzip members of MEMBER images each, so that one image is found
without reading all. Packing does not change the hash.
"""

import gzip
import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import orjson

from annotations.formats.jsonio import dumps
from annotations.records import CategoryRecord, Geometry, ImageRecord, RegionRecord

MEMBER = 64
"""Images in one gzip member."""

Index = list[tuple[int, int]]
"""(id of the first image, offset in the file) of each member."""


Members = dict[str, Any]
"""Of an object in the file, in the order in which they are written."""


@dataclass(slots=True)
class Count:
    """What a category has. `area`: pixels."""

    images: int = 0
    regions: int = 0
    area: int = 0


@dataclass(slots=True)
class Totals:
    """What a snapshot holds."""

    sha256: str = ""
    index: Index = field(default_factory=list)
    images: int = 0
    regions: int = 0
    counts: dict[int, Count] = field(default_factory=dict)


def write(
    path: Path,
    kind: str,
    categories: Iterable[CategoryRecord],
    images: Iterable[Members],
) -> Totals:
    """Write images as `image_members` has them, whose ids ascend, to a new file."""
    categories = tuple(categories)
    totals = Totals(counts={category.id: Count() for category in categories})
    digest = hashlib.sha256()
    with path.open("xb") as file:

        def flush(lines: list[str]) -> None:
            data = "".join(lines).encode()
            digest.update(data)
            file.write(gzip.compress(data, compresslevel=1, mtime=0))
            lines.clear()

        lines = [dumps({"kind": kind, "categories": [_category(one) for one in categories]}) + "\n"]
        flush(lines)
        for image in images:
            if not lines:
                totals.index.append((image["id"], file.tell()))
            lines.append(dumps(image) + "\n")
            _count(totals, image)
            if len(lines) == MEMBER:
                flush(lines)
        if lines:
            flush(lines)
    totals.sha256 = digest.hexdigest()
    return totals


def _count(totals: Totals, image: Members) -> None:
    totals.images += 1
    totals.regions += len(image["regions"])
    for region in image["regions"]:
        count = totals.counts[region["category"]]
        count.regions += 1
        count.area += region["area"]
    for category in {region["category"] for region in image["regions"]}:
        totals.counts[category].images += 1


def _category(category: CategoryRecord) -> dict[str, Any]:
    members = asdict(category)
    if not category.attributes:
        del members["attributes"]
    return members


def image_members(
    sha256: str, id: int, name: str, width: int, height: int, regions: list[Members]
) -> Members:
    """An image's line. `regions`: as `region_members` has them, in drawing order."""
    return {
        "id": id,
        "sha256": sha256,
        "name": name,
        "width": width,
        "height": height,
        "regions": regions,
    }


def region_members(
    id: int,
    category: int,
    area: float,
    bbox: Any,
    order: int,
    polygons: Any,
    counts: str | None,
    crowd: bool,
    attributes: dict[str, Any],
) -> Members:
    """A region's part of the line; what has its default is left out.

    `polygons` (None for a mask) and `bbox` may be `orjson.Fragment`s of what `dumps` writes.
    """
    members: Members = {
        "id": id,
        "category": category,
        "area": int(area),
        "bbox": bbox,
        "order": order,
    }
    if polygons is not None:
        members["polygons"] = polygons
    else:
        members["counts"] = counts
    if crowd:
        members["crowd"] = True
    if attributes:  # a database may give the keys in any order
        members["attributes"] = json.loads(json.dumps(attributes, sort_keys=True))
    return members


class Snapshot:
    """A snapshot to read. `open` opens its file; `index` is as its writer gave it."""

    def __init__(self, open: Callable[[], IO[bytes]], index: Iterable[Iterable[int]] = ()) -> None:
        self._open = open
        self._index = cast(Index, [tuple(pair) for pair in index])
        with self._lines() as lines:
            head = json.loads(next(lines))
        self.kind: str = head["kind"]
        self.categories = tuple(
            CategoryRecord(**category | {"attributes": tuple(category.get("attributes", ()))})
            for category in head["categories"]
        )

    @contextmanager
    def _lines(self, offset: int = 0) -> Iterator[Iterator[str]]:
        with self._open() as raw:
            raw.seek(offset)
            with gzip.open(raw, "rt", encoding="utf-8", newline="\n") as file:
                yield cast(Iterator[str], file)

    def lines(self) -> Iterator[str]:
        """The lines of all images."""
        with self._lines() as lines:
            next(lines)
            yield from lines

    def images(self) -> Iterator[tuple[str, ImageRecord]]:
        """(SHA-256, record) of each image, in the order of ids."""
        return map(parse, self.lines())

    def contents(self) -> Iterator[str]:
        """The SHA-256 of each image, without reading its regions."""
        for line in self.lines():
            match = re.match(r'\{"id":\d+,"sha256":"(\w+)"', line)
            assert match
            yield match[1]

    def image(self, id: int) -> tuple[str, ImageRecord] | None:
        """The image of that id, or None. Reads its part of the file only."""
        place = bisect_right(self._index, id, key=lambda pair: pair[0]) - 1
        if place < 0:
            return None
        with self._lines(self._index[place][1]) as lines:
            for line in lines:
                if (found := line_id(line)) >= id:
                    return parse(line) if found == id else None
        return None


def line_id(line: str) -> int:
    """The image id with which a line starts."""
    match = re.match(r'\{"id":(\d+)', line)
    assert match
    return int(match[1])


def parse(line: str) -> tuple[str, ImageRecord]:
    # orjson rounds whole numbers beyond 64 bits, which attributes may hold.
    value = (json if '"attributes":' in line else orjson).loads(line)
    size = (value["height"], value["width"])
    regions = tuple(
        RegionRecord(
            region["category"],
            Geometry(size, region.get("polygons"), region.get("counts")),
            region["id"],
            region.get("crowd", False),
            None,
            region["area"],
            region["order"],
            region.get("attributes", {}),
            tuple(region["bbox"]),
        )
        for region in value["regions"]
    )
    record = ImageRecord(value["name"], size[1], size[0], regions, value["id"])
    return value["sha256"], record
