"""What every format module offers.

    read(path, options) -> Dataset
    write(dataset, out, options, report, open_image=None, progress=None) -> None

`read` takes a file or a folder (an unpacked archive) and gives a stream of images; it raises
DatasetError for whatever it cannot take, at once or while the images are read. The geometry it
gives has passed `masks.validation`. A format whose masks do not say which image they belong to
names the image after the mask; whoever imports matches it by the name without its ending.

`write` takes the images one by one, never holds all of them, and writes into the empty folder
`out`; the caller packs it. The same data set makes the same bytes. What the format cannot say goes
to the report, item by item. Region ids are either all given or all missing; missing ones are
counted from 1, and so are those of images.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from annotations.records import Dataset, ImageRecord, Report

Options = Mapping[str, Any]

OpenImage = Callable[[ImageRecord], BinaryIO]
"""Opens the raster of an image, whose bytes are then copied beside the annotations."""

Progress = Callable[[int], None]
"""Called with the number of images done so far."""


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
