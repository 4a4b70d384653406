"""What every format module offers.

    read(path, options) -> Dataset
    write(dataset, out, options, report, open_image=None, progress=None) -> None

`read` takes a file or a folder (an unpacked archive) and gives a stream of images; it raises
DatasetError for whatever it cannot take, at once or while the images are read. The geometry it
gives has passed `masks.validation`. A format whose masks do not say which image they belong to
names the image after the mask; whoever imports matches it by the name without its ending. Two
options that some readers know: `max_bytes` of a file, and `image_size`, a callable that gives the
(height, width) of an image by its name without ending, or None.

`write` takes the images one by one, never holds all of them, and writes into the empty folder
`out`; the caller packs it. The same data set makes the same bytes. What the format cannot say goes
to the report, item by item. Region ids are either all given or all missing; missing ones are
counted from 1, and so are those of images. The name of an image must end as its raster does.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from annotations.formats.names import Names, stem
from annotations.records import Dataset, DatasetError, ImageRecord, RegionRecord, Report

Options = Mapping[str, Any]

OpenImage = Callable[[ImageRecord], BinaryIO | None]
"""Opens the raster of an image, whose bytes are then copied beside the annotations.

None: there is no raster any more. The annotations are written all the same, and the report says so.
"""

Progress = Callable[[int], None]
"""Called with the number of images done so far."""

MAX_SIDE = 100_000
"""Of an image, pixels."""


class Format(Protocol):
    """A format module."""

    @staticmethod
    def read(path: Path, options: Options) -> Dataset: ...

    @staticmethod
    def write(
        dataset: Dataset,
        out: Path,
        options: Options,
        report: Report,
        open_image: OpenImage | None = None,
        progress: Progress | None = None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One image on its way out. `regions`: (id, region) in drawing order."""

    record: ImageRecord
    id: int
    name: str
    regions: list[tuple[int, RegionRecord]]

    @property
    def stem(self) -> str:
        return stem(self.name)

    @property
    def size(self) -> tuple[int, int]:
        return (self.record.height, self.record.width)


class Ids:
    """Keeps the ids that are given, or counts from 1 where all are missing."""

    def __init__(self) -> None:
        self._count = 0
        self._given: bool | None = None

    def give(self, known: int | None) -> int:
        if self._given is None:
            self._given = known is not None
        if self._given != (known is not None):
            raise ValueError("ids must be all given or all missing")
        self._count += 1
        return self._count if known is None else known


def walk(
    dataset: Dataset,
    out: Path,
    report: Report,
    open_image: OpenImage | None,
    progress: Progress | None,
    *,
    by_stem: bool = False,
    image_path: Callable[[ImageRecord, str], str] = lambda record, name: f"images/{name}",
) -> Iterator[Item]:
    """The images with portable names and ids; copies their rasters, counts, reports progress."""
    names, image_ids, region_ids = Names(by_stem), Ids(), Ids()
    for record in dataset.images:
        if not re.fullmatch("[A-Za-z0-9_-]{0,50}", record.split):
            raise DatasetError("The name of a split must be letters, digits, - and _.")
        name = names.give(record.file_name)
        if name != record.file_name:
            report.note(f"{record.file_name!r} is named {name!r}.")
        regions = [(region_ids.give(region.id), region) for region in record.regions]
        if open_image is not None:
            target = out / image_path(record, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if raster := open_image(record):
                with raster as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 2**20)
            else:
                report.note(f"The picture of {name!r} was removed; only its regions are here.")
        yield Item(record, image_ids.give(record.id), name, regions)
        report.images += 1
        report.regions += len(regions)
        if progress is not None:
            progress(report.images)


def note_lost(report: Report, item: Item, *, keeps: tuple[str, ...] = ()) -> None:
    """Notes of what the format leaves out of each region. keeps: crowd, attributes, score."""
    for id, region in item.regions:
        lost = [
            words
            for what, words, present in (
                ("crowd", "the crowd flag", region.is_crowd),
                ("attributes", "the attributes", bool(region.attributes)),
                ("score", "the score", region.score is not None),
            )
            if present and what not in keeps
        ]
        if lost:
            note_region(report, item, id, f"{' and '.join(lost)} cannot be said in this format.")


EMPTY = "it covers no pixel and is left out."
"""Of a region whose mask a reader would refuse."""


def note_region(report: Report, item: Item, id: int, words: str) -> None:
    report.note(f"Region {id} of {item.name!r}: {words}")
