"""CVAT for images 1.1: one XML file of images with polygons and masks.

    annotations.xml      images/

A polygon without holes is a polygon; several of one region share a group_id. Holes and masks are
masks: run lengths row by row within a box, starting with zeros. Attributes are text. Source:
docs.cvat.ai, "CVAT for images".
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from defusedxml.ElementTree import iterparse

from annotations import attributes as typed
from annotations.formats import pngs
from annotations.formats.base import (
    EMPTY,
    MAX_SIDE,
    Item,
    OpenImage,
    Options,
    Progress,
    note_lost,
    note_region,
    walk,
)
from annotations.formats.jsonio import MAX_BYTES, document, dumps
from annotations.formats.names import safe_relative
from annotations.formats.shapes import box, joined_parts, simple_rings
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
    Ring,
)

MAX_MASK_PIXELS = 100_000_000


class _Xml:
    """XML written as a stream."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._depth = 0
        file.write('<?xml version="1.0" encoding="utf-8"?>\n')

    def open(self, name: str, attributes: Mapping[str, object] | None = None) -> None:
        self._line(f"<{name}{_attributes(attributes)}>")
        self._depth += 1

    def close(self, name: str) -> None:
        self._depth -= 1
        self._line(f"</{name}>")

    def leaf(
        self, name: str, content: object, attributes: Mapping[str, object] | None = None
    ) -> None:
        self._line(f"<{name}{_attributes(attributes)}>{escape(_text(content))}</{name}>")

    def _line(self, text: str) -> None:
        self._file.write("  " * self._depth + text + "\n")


def _attributes(attributes: Mapping[str, object] | None) -> str:
    return "".join(f" {key}={quoteattr(_text(v))}" for key, v in (attributes or {}).items())


def _text(value: object) -> str:
    """As text, without the characters that XML cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", str(value))


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    names = {category.id: category.name for category in dataset.categories}
    with document(out / "annotations.xml") as file:
        xml = _Xml(file)
        xml.open("annotations")
        xml.leaf("version", "1.1")
        xml.open("meta")
        xml.open("job")
        xml.open("labels")
        for index, category in enumerate(dataset.categories):
            xml.open("label")
            xml.leaf("name", category.name)
            xml.leaf("color", category.color or pngs.default_color(index + 1))
            xml.leaf("type", "any")
            _write_declared(xml, category)
            xml.close("label")
        for name in ("labels", "job", "meta"):
            xml.close(name)
        for item in walk(dataset, out, report, open_image, progress):
            note_lost(report, item, keeps=("attributes",))
            attributes = {
                "id": report.images,
                "name": item.name,
                **({"subset": item.record.split} if item.record.split else {}),
                "width": item.record.width,
                "height": item.record.height,
            }
            xml.open("image", attributes)
            for id, region in item.regions:
                _write_region(xml, item, id, region, names[region.category_id], report)
            xml.close("image")
        xml.close("annotations")


INPUT_TYPES = {"text": "text", "choice": "select", "number": "number", "checkbox": "checkbox"}
TYPES = {"radio": "choice", **{input_type: kind for kind, input_type in INPUT_TYPES.items()}}


def _write_declared(xml: _Xml, category: CategoryRecord) -> None:
    """The attributes of a label. Whether one is required is said nowhere in CVAT."""
    xml.open("attributes")
    for one in category.attributes:
        default = one["default"]
        xml.open("attribute")
        xml.leaf("name", one["name"])
        xml.leaf("mutable", "False")
        xml.leaf("input_type", INPUT_TYPES[one["type"]])
        xml.leaf("default_value", "" if default is None else default)
        xml.leaf("values", "\n".join(one["choices"]))
        xml.close("attribute")
    xml.close("attributes")


def _read_declared(label: Element) -> tuple[typed.Attribute, ...]:
    """Those of CVAT's that are ours too; none where one of them is not."""
    found = []
    for one in label.findall("attributes/attribute"):
        kind = TYPES.get(one.findtext("input_type") or "", "")
        values = (one.findtext("values") or "").split("\n")
        attribute: typed.Attribute = {"name": one.findtext("name") or "", "type": kind}
        if kind == "choice":
            attribute["choices"] = [value for value in values if value.strip()]
        text = one.findtext("default_value") or ""
        default = typed.from_text([attribute], {attribute["name"]: text})[attribute["name"]]
        found.append({**attribute, "default": None if text == "" else default})
    try:
        return tuple(typed.declared(found))
    except typed.AttributeProblem:
        return ()


def _write_region(
    xml: _Xml, item: Item, id: int, region: RegionRecord, label: str, report: Report
) -> None:
    common = {"label": label, "source": "manual", "occluded": 0, "z_order": region.order}
    rings = simple_rings(region.geometry)
    if rings is not None:
        group = {"group_id": id} if len(rings) > 1 else {}
        for ring in rings:
            points = ";".join(f"{x},{y}" for x, y in zip(ring[0::2], ring[1::2], strict=True))
            xml.open("polygon", {**common, "points": points, **group})
            _write_attributes(xml, region)
            xml.close("polygon")
        return
    counts = polygons.geometry_counts(region.geometry)
    x, y, width, height = extent = rle.bbox(counts, item.size)
    if not width:
        note_region(report, item, id, EMPTY)
        return
    if region.geometry.polygons is not None:
        note_region(report, item, id, "it has holes and is written as a mask.")
    # Row by row in the box is column by column of the box turned over.
    runs = rle.to_runs(rle.encode(rle.crop(counts, item.size, extent).T))
    place = {"left": x, "top": y, "width": width, "height": height}
    xml.open("mask", {**common, "rle": ", ".join(map(str, runs.tolist())), **place})
    _write_attributes(xml, region)
    xml.close("mask")


def _write_attributes(xml: _Xml, region: RegionRecord) -> None:
    for name, value in region.attributes.items():
        text = value if isinstance(value, str) else dumps(value)
        xml.leaf("attribute", text, {"name": name})


def read(path: Path, options: Options) -> Dataset:
    """annotations.xml, or the folder that holds it. Shapes: polygon, mask, box.

    options: `max_bytes` of the file. External entities and DTDs are refused.
    """
    file = path / "annotations.xml" if path.is_dir() else path
    if not file.is_file():
        raise DatasetError("There is no annotations.xml.")
    if file.stat().st_size > options.get("max_bytes", MAX_BYTES):
        raise DatasetError("The file is too large.", file.name, "too_large")
    names, colors, declared = _read_labels(file)
    return Dataset(
        name=path.stem,
        kind="instance",
        categories=tuple(
            CategoryRecord(id, name, color=colors.get(name, ""), attributes=declared.get(name, ()))
            for name, id in names.items()
        ),
        images=_read_images(file, names),
    )


def _elements(file: Path) -> Iterator[Element]:
    """Each element at its end; children of an image stay with it until the image ends."""
    try:
        depth = 0
        for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                depth += 1
                if depth > 50:
                    raise DatasetError("The XML is nested too deeply.", file.name, "unreadable")
                if depth == 1:
                    root = element
                continue
            depth -= 1
            yield element
            if depth == 1:
                root.clear()
    except DatasetError:
        raise
    except (ParseError, ValueError, LookupError) as error:
        # ValueError: what defusedxml forbids, and encodings that expat does not read.
        raise DatasetError("This is not plain XML.", file.name, "unreadable") from error


def _read_labels(
    file: Path,
) -> tuple[dict[str, int], dict[str, str], dict[str, tuple[typed.Attribute, ...]]]:
    """Ids from 1 by label, those declared first, then those used; colours; and attributes."""
    names: dict[str, int] = {}
    colors: dict[str, str] = {}
    declared: dict[str, tuple[typed.Attribute, ...]] = {}
    for element in _elements(file):
        if element.tag == "label" and (name := (element.findtext("name") or "").strip()):
            names.setdefault(name, len(names) + 1)
            declared[name] = _read_declared(element)
            color = (element.findtext("color") or "").lower()
            if re.fullmatch("#[0-9a-f]{6}", color):
                colors[name] = color
        elif element.tag in ("polygon", "mask", "box"):
            names.setdefault(_attribute(element, "label", file.name), len(names) + 1)
    for name in names:
        if not name.strip() or len(name) > 200:
            raise DatasetError("A label is empty or too long.", file.name)
    if len({name.casefold() for name in names}) != len(names):
        raise DatasetError("Two labels differ only in the case of their letters.", file.name)
    return names, colors, declared


def _attribute(element: Element, name: str, pointer: str) -> str:
    value = element.get(name)
    if value is None:
        raise DatasetError(f"<{element.tag}> has no {name}.", pointer)
    return value


def _integer(element: Element, name: str, pointer: str, low: int = 0, high: int = MAX_SIDE) -> int:
    text = _attribute(element, name, pointer)
    if not re.fullmatch("[0-9]{1,12}", text) or not low <= int(text) <= high:
        raise DatasetError(f"{name} must be a whole number from {low} to {high}.", pointer)
    return int(text)


def _read_images(file: Path, names: dict[str, int]) -> Iterator[ImageRecord]:
    seen: set[str] = set()
    number = 0
    for element in _elements(file):
        if element.tag != "image":
            continue
        pointer = f"{file.name}, image {number}"
        number += 1
        name = safe_relative(_attribute(element, "name", pointer), pointer)
        if name in seen:
            raise DatasetError(f"Another image is named {name}.", pointer)
        seen.add(name)
        size = (_integer(element, "height", pointer, 1), _integer(element, "width", pointer, 1))
        regions = joined_parts(
            _read_shape(shape, names, size, f"{pointer}, shape {index}")
            for index, shape in enumerate(element)
            if shape.tag != "tag"
        )
        yield ImageRecord(name, size[1], size[0], tuple(regions), split=element.get("subset", ""))


def _read_shape(
    shape: Element, names: dict[str, int], size: rle.Size, pointer: str
) -> tuple[object, RegionRecord]:
    if shape.tag == "mask":
        geometry = Geometry(size, counts=_read_mask(shape, size, pointer))
    elif shape.tag in ("polygon", "box"):
        try:
            geometry = Geometry(size, validate_polygons([[_read_ring(shape, pointer)]], size))
        except GeometryError as error:
            raise DatasetError(error.detail, pointer)
    else:
        raise DatasetError(f"A <{shape.tag}> has no area.", pointer)
    group = shape.get("group_id", "0")
    region = RegionRecord(
        category_id=names[_attribute(shape, "label", pointer)],
        geometry=geometry,
        attributes={
            _attribute(entry, "name", pointer): entry.text or ""
            for entry in shape.findall("attribute")
        },
    )
    return (group if group != "0" else None), region


def _read_ring(shape: Element, pointer: str) -> Ring:
    try:
        if shape.tag == "box":
            corners = [
                float(_attribute(shape, key, pointer)) for key in ("xtl", "ytl", "xbr", "ybr")
            ]
            return box(*corners)
        return [
            float(number)
            for point in _attribute(shape, "points", pointer).split(";")
            for number in point.split(",")
        ]
    except ValueError as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError("The points must read x,y;x,y;…", pointer)


def _read_mask(shape: Element, size: rle.Size, pointer: str) -> str:
    x, y = _integer(shape, "left", pointer), _integer(shape, "top", pointer)
    width, height = _integer(shape, "width", pointer, 1), _integer(shape, "height", pointer, 1)
    if x + width > size[1] or y + height > size[0] or width * height > MAX_MASK_PIXELS:
        raise DatasetError("The mask lies outside the image.", pointer)
    text = _attribute(shape, "rle", pointer)
    if not re.fullmatch(r"\s*[0-9]{1,9}(\s*,\s*[0-9]{1,9})*\s*", text):
        raise DatasetError("rle must be a list of whole numbers.", pointer)
    runs = np.array(text.split(","), dtype=np.int64)
    if runs.sum() != width * height:
        raise DatasetError(
            f"The runs add up to {runs.sum()} pixels instead of {width * height}.", pointer
        )
    if not runs[1::2].any():
        raise DatasetError("The mask has no pixel.", pointer)
    pixels = rle.decode(rle.from_runs(runs), (width, height)).T
    return rle.paste(pixels, size, (x, y))
