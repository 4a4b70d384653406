"""The plain values that cross the floors: formats and masks know these, never the database.

Coordinates are float pixels of the upright image, x right, y down; pixel (0, 0) covers [0, 1)².
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Ring = list[float]
"""A flat [x0, y0, x1, y1, …], implicitly closed."""

Polygon = list[Ring]
"""The outside ring, then its holes."""


# Geometry and RegionRecord are not frozen, because making a frozen one takes three times as long
# and there may be millions. Nobody changes one.


@dataclass(slots=True)
class Geometry:
    """Either `polygons` or `counts` (COCO compressed RLE); `size` is (height, width)."""

    size: tuple[int, int]
    polygons: list[Polygon] | None = None
    counts: str | None = None


@dataclass(frozen=True, slots=True)
class CategoryRecord:
    id: int
    name: str
    supercategory: str = ""
    color: str = ""
    is_thing: bool = True
    attributes: tuple[dict[str, Any], ...] = ()
    """What its regions carry, as in `annotations.attributes`; empty: anything."""


@dataclass(slots=True)
class RegionRecord:
    """One region as datasets know it. `id` None: the format gives none, or it is not yet known.

    `bbox` is given where `area` and `bbox` are known to be those of the mask.
    """

    category_id: int
    geometry: Geometry
    id: int | None = None
    is_crowd: bool = False
    score: float | None = None
    area: float | None = None
    order: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    bbox: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image with its regions, in drawing order (later is in front).

    `id` None: the format numbers no images. `split`: train, val, test or "".
    """

    file_name: str
    width: int
    height: int
    regions: tuple[RegionRecord, ...] = ()
    id: int | None = None
    split: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A stream of images under one set of categories. `images` can be read once."""

    name: str
    kind: Literal["semantic", "instance", "panoptic"]
    categories: tuple[CategoryRecord, ...]
    images: Iterator[ImageRecord]


@dataclass(slots=True)
class Report:
    """What a writer wrote, and what its format could not say, item by item."""

    notes: list[str] = field(default_factory=list)
    images: int = 0
    regions: int = 0
    more: int = 0
    """Notes beyond MAX_NOTES, counted only."""

    MAX_NOTES: ClassVar[int] = 1000

    def note(self, text: str) -> None:
        if len(self.notes) < self.MAX_NOTES:
            self.notes.append(text)
        else:
            self.more += 1


class DatasetError(ValueError):
    """A file that cannot be taken. `pointer`: a JSON pointer or a file name in the data set."""

    def __init__(self, detail: str, pointer: str = "", code: str = "invalid_dataset") -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.code = code
