"""Label Studio: a JSON list of tasks with polygons in percent and brush masks.

    tasks.json      labeling_config.xml      images/

A single polygon without holes is a polygon; anything else is a brush mask: thi.ng's rle-pack of the
RGBA picture, whose alpha channel counts. Scores are kept in a result's score, attributes and the
crowd flag in its meta. Source: labelstud.io, "Export annotations"; github.com/thi-ng/umbrella.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from annotations.formats import pngs
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
from annotations.formats.jsonio import MAX_BYTES, Checked, Spool, document
from annotations.formats.jsonstream import Elements, load_list
from annotations.formats.names import safe_relative
from annotations.formats.shapes import box, simple_rings
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

DECIMALS = 6
"""Of a pixel: coordinates come back as they were drawn, up to these."""

RUN_BITS = (3, 4, 8, 16)
WITH_AREA = ("polygonlabels", "brushlabels", "rectanglelabels")
WITHOUT_AREA = ("keypointlabels", "ellipselabels", "polygon", "brush")


def pack(mask: rle.Mask) -> list[int]:
    """A boolean (height, width) mask as bytes of rle-pack: RGBA, row by row, 0 or 255."""
    flat = mask.ravel()
    bounds = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], bounds, [flat.size]))) * 4
    bits = [f"{flat.size * 4:032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in RUN_BITS)]
    value = bool(flat[0])
    for length in lengths.tolist():
        word = "11111111" if value else "00000000"
        while length > 0:
            run = min(length, 2**16)
            index = next(i for i, size in enumerate(RUN_BITS) if run <= 2**size)
            bits.append(f"1{index:02b}{run - 1:0{RUN_BITS[index]}b}{word}")
            length -= run
        value = not value
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8))


def unpack(data: bytes, size: rle.Size) -> rle.Mask:
    """The mask of rle-pack bytes: where alpha is above 0. ValueError: not of this size, or cut."""
    reader = _Bits(data)
    total = reader.read(32)
    if total != size[0] * size[1] * 4:
        raise ValueError("the mask is of another size than the image")
    if reader.read(5) != 7:
        raise ValueError("the words are not bytes")
    run_bits = [reader.read(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint8)
    place = 0
    while place < total:
        repeated = reader.read(1)
        end = place + 1 + reader.read(run_bits[reader.read(2)])
        if end > total:
            raise ValueError("a run goes beyond the image")
        values[place:end] = reader.read(8) if repeated else reader.bytes(end - place)
        place = end
    return values[3::4].reshape(size) > 0


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def read(self, count: int) -> int:
        end = self._place + count
        part = self._data[self._place >> 3 : (end + 7) >> 3]
        if end > len(self._data) * 8:
            raise ValueError("the data end too early")
        self._place = end
        return (int.from_bytes(part) >> (-end % 8)) & ((1 << count) - 1)

    def bytes(self, count: int) -> npt.NDArray[np.uint8]:
        shift = self._place % 8
        start = self._place >> 3
        part = np.frombuffer(self._data, np.uint8)[start : start + count + (shift > 0)]
        if self._place + 8 * count > len(self._data) * 8:
            raise ValueError("the data end too early")
        self._place += 8 * count
        return np.packbits(np.unpackbits(part)[shift : shift + 8 * count])


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    names = {category.id: category.name for category in dataset.categories}
    tasks = Spool(out)
    for item in walk(dataset, out, report, open_image, progress):
        results = [
            result
            for id, region in item.regions
            if (result := _result(item, id, region, names[region.category_id], report))
        ]
        tasks.add(
            {
                "id": item.id,
                "data": {
                    "image": f"images/{item.name}",
                    "width": item.record.width,
                    "height": item.record.height,
                },
                "annotations": [{"result": results, "was_cancelled": False}],
            }
        )
    with document(out / "tasks.json") as file:
        tasks.pour(file)
        file.write("\n")
    with document(out / "labeling_config.xml") as file:
        file.write('<View>\n  <Image name="image" value="$image" zoom="true"/>\n')
        for tag in ("PolygonLabels", "BrushLabels"):
            file.write(f'  <{tag} name="{tag.lower()}" toName="image">\n')
            for index, category in enumerate(dataset.categories):
                color = category.color or pngs.default_color(index + 1)
                name = quoteattr(re.sub("[\x00-\x1f]", " ", category.name))
                file.write(f'    <Label value={name} background="{color}"/>\n')
            file.write(f"  </{tag}>\n")
        file.write("</View>\n")


def _result(
    item: Item, id: int, region: RegionRecord, label: str, report: Report
) -> dict[str, Any] | None:
    """None: a brush without a pixel."""
    rings = simple_rings(region.geometry)
    height, width = item.size
    if rings is not None and len(rings) == 1:
        kind = "polygonlabels"
        points = zip(rings[0][0::2], rings[0][1::2], strict=True)
        value: dict[str, Any] = {
            "points": [[x / width * 100, y / height * 100] for x, y in points],
            "closed": True,
        }
    else:
        kind = "brushlabels"
        mask = polygons.geometry_mask(region.geometry)
        if not mask.any():
            note_region(report, item, id, EMPTY)
            return None
        if region.geometry.polygons is not None:
            note_region(report, item, id, "its parts or holes are written as a brush mask.")
        value = {"format": "rle", "rle": pack(mask)}
    result: dict[str, Any] = {
        "id": str(id),
        "type": kind,
        "from_name": kind,
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**value, kind: [label]},
    }
    if region.score is not None:
        result["score"] = region.score
    meta = {**region.attributes, **({"iscrowd": 1} if region.is_crowd else {})}
    return result | ({"meta": meta} if meta else {})


def read(path: Path, options: Options) -> Dataset:
    """A JSON export, or the folder that holds one (tasks.json).

    Of each task the first annotation that was not cancelled counts; where there is none, or with
    the option `predictions`, the first prediction. Results: polygons, brushes, rectangles.
    `image_size`, as for YOLO, gives the size of tasks without a result.
    """
    file = path if path.is_file() else next(iter(sorted(path.glob("*.json"))), None)
    if file is None:
        raise DatasetError("There is no JSON file in it.")
    tasks = load_list(file, file.name, options.get("max_bytes", MAX_BYTES))
    if tasks is None:
        raise DatasetError("The file must be a list of tasks.", "")
    names: dict[str, int] = {}
    for task in tasks.checked(""):
        for result in _results(task, options):
            label = _label(result)
            names.setdefault(label, len(names) + 1)
    if len({name.casefold() for name in names}) != len(names):
        raise DatasetError("Two labels differ only in the case of their letters.")
    return Dataset(
        name=path.stem,
        kind="instance",
        categories=tuple(CategoryRecord(id, name) for name, id in names.items()),
        images=_read_tasks(tasks, names, options),
    )


def _results(task: Checked, options: Options) -> Iterator[Checked]:
    """The results with an area of the annotation that counts."""
    found = [
        entry
        for key in ("predictions", "annotations")
        if task.has(key) and (key == "predictions" or not options.get("predictions"))
        for entry in task.children(key)
        if not entry.value.get("was_cancelled")
    ]
    chosen = [e for e in found if "/annotations/" in e.pointer] or found
    if not chosen:
        return
    for result in chosen[0].children("result"):
        if result.value.get("type") in WITH_AREA:
            yield result
        elif result.value.get("type") in WITHOUT_AREA:
            raise DatasetError(
                f"A result of type {result.value['type']} has no label or no area.",
                result.at("type"),
            )


def _label(result: Checked) -> str:
    value = result.child("value")
    key = result.value["type"]
    labels = value.array(key)
    if len(labels) != 1:
        raise DatasetError("A result must have one label.", value.at(key))
    return Checked({"label": labels[0]}, value.at(key)).name("label")


def _image_name(task: Checked) -> str:
    """The name behind the address: without the folder and prefix that uploads are given."""
    data = task.child("data")
    url = urlsplit(data.text("image", max_length=4096))
    path = unquote(url.path).lstrip("/")
    if "d" in (query := parse_qs(url.query)):
        path = query["d"][0].lstrip("/")
    elif path.startswith("data/upload/"):
        path = re.sub("^[0-9a-f]{8}-", "", path.rsplit("/", 1)[-1])
    elif url.scheme:
        path = path.rsplit("/", 1)[-1]
    return safe_relative(path.removeprefix("images/"), data.at("image"))


def _read_tasks(tasks: Elements, names: dict[str, int], options: Options) -> Iterator[ImageRecord]:
    seen: set[str] = set()
    for task in tasks.checked(""):
        name = _image_name(task)
        if name in seen:
            raise DatasetError(f"Another task has the image {name}.", task.pointer)
        seen.add(name)
        results = list(_results(task, options))
        size = _size(task, results, name, options)
        regions = tuple(
            _read_result(result, names, size, order) for order, result in enumerate(results)
        )
        yield ImageRecord(name, size[1], size[0], regions)


def _size(task: Checked, results: list[Checked], name: str, options: Options) -> rle.Size:
    data = task.child("data")
    for place, height, width in (
        *((result, "original_height", "original_width") for result in results[:1]),
        (data, "height", "width"),
    ):
        if place.has(height):
            return (place.integer(height, 1, MAX_SIDE), place.integer(width, 1, MAX_SIDE))
    size: rle.Size | None = options["image_size"](name) if "image_size" in options else None
    if size is None:
        raise DatasetError("The size of the image is missing.", task.pointer)
    return size


def _read_result(
    result: Checked, names: dict[str, int], size: rle.Size, order: int
) -> RegionRecord:
    if (result.value.get("original_height"), result.value.get("original_width")) != size:
        raise DatasetError("The results differ in the size of the image.", result.pointer)
    value, kind = result.child("value"), result.value["type"]
    if kind == "brushlabels":
        geometry = Geometry(size, counts=_read_brush(value, size))
    else:
        flat = _percents(value, kind)
        ring = [
            round(n / 100 * (size[0] if index % 2 else size[1]), DECIMALS)
            for index, n in enumerate(flat)
        ]
        try:
            geometry = Geometry(size, validate_polygons([[ring]], size))
        except GeometryError as error:
            raise DatasetError(error.detail, value.pointer)
    meta = Checked(result.attributes("meta"), result.at("meta"))
    return RegionRecord(
        category_id=names[_label(result)],
        geometry=geometry,
        is_crowd=meta.flag("iscrowd"),
        score=result.score(),
        order=order,
        attributes={key: entry for key, entry in meta.value.items() if key != "iscrowd"},
    )


def _percents(value: Checked, kind: str) -> list[float]:
    if kind == "rectanglelabels":
        if value.value.get("rotation"):
            raise DatasetError("A turned rectangle cannot be read.", value.at("rotation"))
        x, y, w, h = (value.number(key) for key in ("x", "y", "width", "height"))
        return box(x, y, x + w, y + h)
    numbers = []
    for index, point in enumerate(value.array("points")):
        if not isinstance(point, list) or len(point) != 2:
            raise DatasetError("A point must be [x, y].", f"{value.at('points')}/{index}")
        entry = Checked(dict(zip("xy", point, strict=True)), f"{value.at('points')}/{index}")
        numbers += [entry.number("x"), entry.number("y")]
    return numbers


def _read_brush(value: Checked, size: rle.Size) -> str:
    data = value.array("rle")
    if not set(map(type, data)) <= {int} or (data and not 0 <= min(data) <= max(data) <= 255):
        raise DatasetError('"rle" must be a list of bytes.', value.at("rle"))
    try:
        mask = unpack(bytes(data), size)
    except ValueError as error:
        raise DatasetError(f"The mask cannot be read: {error}.", value.at("rle"))
    if not mask.any():
        raise DatasetError("The mask has no pixel.", value.at("rle"))
    return rle.encode(mask)
