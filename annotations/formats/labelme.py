"""labelme: one JSON per image, beside it.

    <name>.json      <name>.<ending>      labels.txt

A polygon without holes is a polygon; several of one region share a group_id. Holes and masks are
shapes of type mask: a PNG of the mask's box in base64. Crowd, score, attributes and the region's id
are extra keys of a shape, which labelme keeps. Source: github.com/wkentaro/labelme.
"""

import base64
import binascii
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from annotations.formats.base import (
    EMPTY,
    MAX_SIDE,
    Item,
    OpenImage,
    Options,
    Progress,
    note_region,
    walk,
)
from annotations.formats.jsonio import Checked, document, dumps, load
from annotations.formats.names import safe_relative
from annotations.formats.shapes import box, circle, joined_parts, simple_rings
from annotations.masks import polygons, rle
from annotations.masks.validation import GeometryError, validate_polygons
from annotations.records import (
    CategoryRecord,
    Dataset,
    DatasetError,
    Geometry,
    ImageRecord,
    RegionRecord,
    Report,
)

VERSION = "5.5.0"
NOT_CLASSES = ("__ignore__", "_background_")


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    names = {category.id: category.name for category in dataset.categories}
    walked = walk(
        dataset,
        out,
        report,
        open_image,
        progress,
        by_stem=True,
        image_path=lambda record, name: name,
    )
    for item in walked:
        shapes = [
            shape
            for id, region in item.regions
            for shape in _shapes(item, id, region, names[region.category_id], report)
        ]
        with document(out / f"{item.stem}.json") as file:
            file.write(
                dumps(
                    {
                        "version": VERSION,
                        "flags": {},
                        "shapes": shapes,
                        "imagePath": item.name.rsplit("/", 1)[-1],
                        "imageData": None,
                        "imageHeight": item.record.height,
                        "imageWidth": item.record.width,
                    }
                )
                + "\n"
            )
    with document(out / "labels.txt") as file:
        lines = [*NOT_CLASSES, *(" ".join(name.split()) for name in names.values())]
        file.writelines(f"{line}\n" for line in lines)


def _shapes(
    item: Item, id: int, region: RegionRecord, label: str, report: Report
) -> Iterator[dict[str, Any]]:
    rings = simple_rings(region.geometry)
    common: dict[str, Any] = {
        "label": label,
        "group_id": id if rings is not None and len(rings) > 1 else None,
        "description": "",
        "flags": {},
        "id": id,
    }
    if region.is_crowd:
        common["iscrowd"] = 1
    if region.score is not None:
        common["score"] = region.score
    if region.attributes:
        common["attributes"] = region.attributes
    if rings is not None:
        for ring in rings:
            points = [list(point) for point in zip(ring[0::2], ring[1::2], strict=True)]
            yield {**common, "shape_type": "polygon", "points": points, "mask": None}
        return
    counts = polygons.geometry_counts(region.geometry)
    x, y, width, height = extent = rle.bbox(counts, item.size)
    if not width:
        note_region(report, item, id, EMPTY)
        return
    if region.geometry.polygons is not None:
        note_region(report, item, id, "it has holes and is written as a mask.")
    file = BytesIO()
    Image.fromarray(rle.crop(counts, item.size, extent)).save(file, "PNG")
    yield {
        **common,
        "shape_type": "mask",
        "points": [[x, y], [x + width - 1, y + height - 1]],
        "mask": base64.b64encode(file.getvalue()).decode("ascii"),
    }


def read(path: Path, options: Options) -> Dataset:
    """A folder of JSON files, or one. Shapes: polygon, mask, rectangle, circle."""
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    if not files:
        raise DatasetError("There is no JSON file in it.")
    folder = path.parent if path.is_file() else path
    names: dict[str, int] = {}
    listed = folder / "labels.txt"
    lines = listed.read_text("utf-8", "replace").splitlines() if listed.is_file() else []
    for line in lines:
        if line.strip() and line.strip() not in NOT_CLASSES and len(line) <= 200:
            names.setdefault(line.strip(), len(names) + 1)
    for file in files:
        for shape in _open(file, folder).children("shapes"):
            names.setdefault(shape.name("label"), len(names) + 1)
    if len({name.casefold() for name in names}) != len(names):
        raise DatasetError("Two labels differ only in the case of their letters.")
    return Dataset(
        name=path.stem,
        kind="instance",
        categories=tuple(CategoryRecord(id, name) for name, id in names.items()),
        images=(_read_image(file, folder, names) for file in files),
    )


def _open(file: Path, folder: Path) -> Checked:
    pointer = file.relative_to(folder).as_posix()
    return Checked(load(file, pointer), f"{pointer}#")


def _read_image(file: Path, folder: Path, names: dict[str, int]) -> ImageRecord:
    root = _open(file, folder)
    size = (root.integer("imageHeight", 1, MAX_SIDE), root.integer("imageWidth", 1, MAX_SIDE))
    # The path as labelme wrote it may lead anywhere; only the name says which image it is.
    image = root.text("imagePath", max_length=1024).replace("\\", "/").rsplit("/", 1)[-1]
    relative = file.relative_to(folder).parent / safe_relative(image, root.at("imagePath"))
    regions = joined_parts(
        (shape.value.get("group_id"), _read_shape(shape, names, size))
        for shape in root.children("shapes")
    )
    return ImageRecord(relative.as_posix(), size[1], size[0], tuple(regions))


def _read_shape(shape: Checked, names: dict[str, int], size: rle.Size) -> RegionRecord:
    kind, points = shape.text("shape_type", "polygon"), shape.array("points")
    if not all(
        isinstance(point, list) and [type(n) in (int, float) for n in point] == [True, True]
        for point in points
    ):
        raise DatasetError('"points" must be a list of [x, y].', shape.at("points"))
    flat = [n for point in points for n in point]
    if kind == "mask":
        geometry = Geometry(size, counts=_read_mask(shape, flat, size))
    else:
        if kind in ("rectangle", "circle"):
            if len(flat) != 4:
                raise DatasetError(f"A {kind} has 2 points.", shape.at("points"))
            if kind == "rectangle":
                flat = box(*flat)
            else:
                flat = circle(
                    flat[0], flat[1], float(np.hypot(flat[2] - flat[0], flat[3] - flat[1]))
                )
        elif kind != "polygon":
            raise DatasetError(f"A shape of type {kind} has no area.", shape.at("shape_type"))
        try:
            geometry = Geometry(size, validate_polygons([[flat]], size))
        except GeometryError as error:
            raise DatasetError(error.detail, shape.at("points"))
    return RegionRecord(
        category_id=names[shape.name("label")],
        geometry=geometry,
        is_crowd=shape.flag("iscrowd"),
        score=shape.score(),
        attributes=shape.attributes(),
    )


def _read_mask(shape: Checked, corners: list[float], size: rle.Size) -> str:
    if len(corners) != 4 or not all(abs(n) <= MAX_SIDE and n == int(n) for n in corners):
        raise DatasetError("A mask has 2 points, of whole pixels.", shape.at("points"))
    x0, y0, x1, y1 = map(int, corners)
    if not (0 <= x0 <= x1 < size[1] and 0 <= y0 <= y1 < size[0]):
        raise DatasetError("The mask lies outside the image.", shape.at("points"))
    pixels = _decode_png(shape.text("mask", max_length=2**26), shape.at("mask"))
    if pixels.shape != (y1 - y0 + 1, x1 - x0 + 1):
        raise DatasetError("The mask is of another size than its box.", shape.at("mask"))
    if not pixels.any():
        raise DatasetError("The mask has no pixel.", shape.at("mask"))
    return rle.paste(pixels, size, (x0, y0))


def _decode_png(text: str, pointer: str) -> npt.NDArray[np.bool_]:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DatasetError("The mask is not base64.", pointer)
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 26:
        raise DatasetError("The mask is not a PNG.", pointer)
    width, height = (int.from_bytes(data[i : i + 4]) for i in (16, 20))
    if max(width, height) > MAX_SIDE or width * height > 100_000_000:
        raise DatasetError("The mask is too large.", pointer, "too_large")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise DatasetError("The PNG is broken.", pointer)
    return pixels > 0
