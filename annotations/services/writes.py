"""Writes of the save protocol, and whatever of them can be checked without the database."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from annotations import attributes as typed
from annotations.errors import ServiceError
from annotations.masks import polygons as polygon_masks
from annotations.masks import rle
from annotations.masks.validation import (
    GeometryError,
    surely_valid,
    surely_valid_masks,
    validate_mask,
    validate_polygons,
)
from annotations.models import Image, Project
from annotations.records import Geometry

MAX_WRITES = 1000
MAX_ATTRIBUTES = 50


@dataclass(frozen=True, slots=True)
class Upsert:
    """Makes a region (`based_on` 0) or replaces all of it.

    `polygons` as in `records.Geometry`, or `mask` as {"size": [h, w], "counts": text}; both as
    they came. `attributes` None: the defaults of the category. `proposal` None leaves what the
    region was accepted from as it is.
    """

    region: uuid.UUID
    based_on: int
    key: uuid.UUID
    category: int
    polygons: Any = None
    mask: Any = None
    is_crowd: bool = False
    order: int = 0
    attributes: Any = None
    source: str = "api"
    proposal: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Leaves a tombstone, with a version one higher."""

    region: uuid.UUID
    based_on: int
    key: uuid.UUID


@dataclass(frozen=True, slots=True)
class Dismiss:
    proposal: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Takes a dismissal back."""

    proposal: int


Write = Upsert | Delete | Dismiss | Restore


@dataclass(frozen=True, slots=True)
class Shape:
    """A validated geometry; area in pixels, bbox [x, y, width, height]."""

    polygons: Any
    counts: str | None
    area: int
    bbox: list[int]


Checked = tuple[Write, Shape | None]


def check_writes(project: Project, image: Image, writes: Sequence[Write]) -> list[Checked]:
    """The writes with their geometry: all that can be checked without the database."""
    if len(writes) > MAX_WRITES:
        raise ServiceError(
            413, "too_many_writes", f"A patch holds at most {MAX_WRITES} writes.", "writes",
            "Send them in several patches.",
        )  # fmt: skip
    _check_keys(writes)
    upserts = [write for write in writes if isinstance(write, Upsert)]
    at_once = _shapes(project, image, upserts) if upserts else []
    if at_once is not None:
        shapes = iter(at_once)
        return [(write, next(shapes) if isinstance(write, Upsert) else None) for write in writes]
    return [
        (write, _shape(project, image, index, write) if isinstance(write, Upsert) else None)
        for index, write in enumerate(writes)
    ]


def bad(
    write: Write, index: int, name: str, detail: str, code: str = "invalid", hint: str = ""
) -> ServiceError:
    extra = {"region": str(write.region)} if isinstance(write, Upsert | Delete) else None
    return ServiceError(400, code, detail, f"writes[{index}].{name}", hint, extra)


def _check_keys(writes: Sequence[Write]) -> None:
    seen: set[uuid.UUID] = set()
    for index, write in enumerate(writes):
        if isinstance(write, Upsert | Delete):
            if write.key in seen:
                raise bad(write, index, "key", "Two writes of this patch have the same key.")
            seen.add(write.key)


def _shapes(project: Project, image: Image, writes: Sequence[Upsert]) -> list[Shape] | None:
    """`_shape` of all of these at once, which takes a fraction of the time.

    None where one may have to be refused: `_shape` then says which and why.
    """
    size = (image.height, image.width)
    rings: list[Any] = []
    masks: list[dict[str, Any]] = []
    geometries = []
    for write in writes:
        if write.attributes is not None and _attributes_problem(write.attributes):
            return None
        if isinstance(write.mask, dict) and write.polygons is None:
            masks.append(write.mask)
            geometries.append(Geometry(size=size, counts=write.mask.get("counts")))
        elif isinstance(write.polygons, list) and write.mask is None and not project.exclusive:
            if not write.polygons or not all(
                isinstance(polygon, list) and polygon for polygon in write.polygons
            ):
                return None
            rings += chain.from_iterable(write.polygons)
            geometries.append(Geometry(size=size, polygons=write.polygons))
        else:
            return None
    if rings and not surely_valid(rings, [size] * len(rings)):
        return None
    if masks and not surely_valid_masks(masks, [size] * len(masks)):
        return None
    measured = polygon_masks.measure_all(geometries)
    if not all(area for area, _ in measured):
        return None
    return [
        Shape(geometry.polygons, geometry.counts, area, list(box))
        for geometry, (area, box) in zip(geometries, measured, strict=True)
    ]


def _shape(project: Project, image: Image, index: int, write: Upsert) -> Shape:
    """The write's geometry, validated; its attributes are checked too."""
    if write.attributes is not None and (problem := _attributes_problem(write.attributes)):
        raise bad(write, index, "attributes", problem)
    if (write.polygons is None) == (write.mask is None):
        raise bad(write, index, "mask", "A region is either polygons or a mask, and not both.")
    if write.polygons is not None and project.exclusive:
        raise bad(
            write, index, "polygons", "In this kind of project every region is a mask.",
            "mask_needed", "Send the area as a mask.",
        )  # fmt: skip
    size = (image.height, image.width)
    try:
        if write.mask is not None:
            given = write.mask if isinstance(write.mask, dict) else {}
            counts = validate_mask(given.get("counts"), given.get("size"), size)
            geometry = Geometry(size=size, counts=counts)
        else:
            geometry = Geometry(size=size, polygons=validate_polygons(write.polygons, size))
    except GeometryError as error:
        raise bad(write, index, error.field, error.detail, "invalid_geometry") from None
    counts = polygon_masks.geometry_counts(geometry)
    area = rle.area(counts)
    if not area:
        raise bad(write, index, "polygons", "The region covers no pixel.", "invalid_geometry")
    return Shape(geometry.polygons, geometry.counts, area, list(rle.bbox(counts, size)))


def _attributes_problem(attributes: Any) -> str:
    """What is wrong with a region's attributes, or nothing."""
    if not isinstance(attributes, dict):
        return "Attributes must be an object."
    if len(attributes) > MAX_ATTRIBUTES:
        return f"A region has at most {MAX_ATTRIBUTES} attributes."
    for key, value in attributes.items():
        if not 0 < len(key) <= typed.MAX_NAME:
            return f"The name of an attribute has 1 to {typed.MAX_NAME} characters."
        if not isinstance(value, str | int | float | bool):
            return f"The attribute {key} must be a text, a number, true or false."
        if isinstance(value, str) and len(value) > typed.MAX_TEXT:
            return f"The attribute {key} is longer than {typed.MAX_TEXT} characters."
    return ""


def write_values(write: Upsert | Delete) -> dict[str, Any]:
    """A write as the API takes it."""
    values: dict[str, Any] = {
        "op": "upsert" if isinstance(write, Upsert) else "delete",
        "region": str(write.region),
        "based_on": write.based_on,
        "key": str(write.key),
    }
    if isinstance(write, Upsert):
        names = (
            "category", "mask", "polygons", "is_crowd", "order", "attributes", "source", "proposal",
        )  # fmt: skip
        values |= {name: getattr(write, name) for name in names}
    return values
