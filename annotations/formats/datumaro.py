"""Datumaro: one JSON per subset.

    annotations/default.json (train.json …)      images/default/ …

A polygon without holes is a polygon; several of one region share a group. Holes and masks are
masks in COCO's compressed RLE. Ids of regions are kept; "is_crowd" and "score" are attributes.
Source: openvinotoolkit.github.io/datumaro, "Datumaro format".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from annotations.formats.jsonio import MAX_BYTES, Checked, Spool, write_document
from annotations.formats.jsonstream import Elements, load_streaming
from annotations.formats.names import safe_relative
from annotations.formats.shapes import box, joined_parts, simple_rings
from annotations.masks import polygons, rle
from annotations.masks.rle import Size
from annotations.masks.validation import GeometryError, validate_mask, validate_polygons
from annotations.records import (
    CategoryRecord,
    Dataset,
    DatasetError,
    Geometry,
    ImageRecord,
    RegionRecord,
    Report,
)


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    labels = {category.id: index for index, category in enumerate(dataset.categories)}
    spools: dict[str, Spool] = {}
    walked = walk(
        dataset,
        out,
        report,
        open_image,
        progress,
        by_stem=True,
        image_path=lambda record, name: f"images/{record.split or 'default'}/{name}",
    )
    for item in walked:
        spool = spools.setdefault(item.record.split or "default", Spool(out))
        spool.add(
            {
                "id": item.stem,
                "annotations": [
                    entry
                    for id, region in item.regions
                    for entry in _entries(item, id, region, labels[region.category_id], report)
                ],
                "attr": {"id": item.id},
                "image": {"path": item.name, "size": list(item.size)},
            }
        )
    categories = _write_categories(dataset.categories)
    for subset, spool in (spools or {"default": Spool(out)}).items():
        write_document(
            out / "annotations" / f"{subset}.json",
            {"info": {}, "categories": categories, "items": spool},
        )


def _write_categories(categories: tuple[CategoryRecord, ...]) -> dict[str, Any]:
    colormap = []
    for index, category in enumerate(categories):
        r, g, b = pngs.rgb(category.color or pngs.default_color(index + 1))
        colormap.append({"label_id": index, "r": r, "g": g, "b": b})
    return {
        "label": {
            "labels": [
                {
                    "name": c.name,
                    "parent": c.supercategory,
                    "attributes": [one["name"] for one in c.attributes],
                }
                for c in categories
            ],
            "attributes": [],
        },
        "mask": {"colormap": colormap},
    }


def _entries(
    item: Item, id: int, region: RegionRecord, label: int, report: Report
) -> Iterator[dict[str, Any]]:
    attributes = {**region.attributes, "is_crowd": region.is_crowd}
    if region.score is not None:
        attributes["score"] = region.score
    rings = simple_rings(region.geometry)
    common = {
        "id": id,
        "attributes": attributes,
        "group": id if rings is not None and len(rings) > 1 else 0,
        "label_id": label,
        "z_order": region.order,
    }
    if rings is not None:
        for ring in rings:
            yield {**common, "type": "polygon", "points": ring}
        return
    counts = polygons.geometry_counts(region.geometry)
    if not rle.area(counts):
        note_region(report, item, id, EMPTY)
        return
    if region.geometry.polygons is not None:
        note_region(report, item, id, "it has holes and is written as a mask.")
    yield {**common, "type": "mask", "rle": {"counts": counts, "size": list(item.size)}}


def read(path: Path, options: Options) -> Dataset:
    """A JSON file, or the folder with annotations/*.json. Shapes: polygon, mask, bbox.

    options: `max_bytes` of a file; `image_size`, as for YOLO, for items without a size.
    """
    folder = path / "annotations" if (path / "annotations").is_dir() else path
    files = [path] if path.is_file() else sorted(folder.glob("*.json"))
    if not files:
        raise DatasetError("There is no JSON file in annotations.")
    limit = options.get("max_bytes", MAX_BYTES)
    subsets = [_Subset(file, limit) for file in files]
    categories = subsets[0].categories
    for subset in subsets:
        if subset.categories != categories:
            raise DatasetError(
                "The labels differ from those of the first file.", f"{subset.name}.json#"
            )
    unique = _unique_ids(item for subset in subsets for item in subset.items())
    return Dataset(
        name=path.stem,
        kind="instance",
        categories=categories,
        images=_read_items(subsets, len(categories), unique, options),
    )


class _Subset:
    """One file. Its items are read twice: for the ids in them, then for what they are."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.name = path.stem
        self.pointer = f"{path.name}#"
        value, elements = load_streaming(path, "items", path.name, max_bytes)
        root = Checked(value, self.pointer)
        self.categories = _read_categories(root)
        if elements is None:
            root.array("items")  # says what is wrong
            raise DatasetError('"items" must be a list.', root.at("items"))
        self._elements: Elements = elements

    def items(self) -> Iterator[Checked]:
        return self._elements.checked(f"{self.pointer}/items")


def _read_categories(root: Checked) -> tuple[CategoryRecord, ...]:
    groups = root.child("categories")
    colors: dict[int, str] = {}
    if groups.has("mask"):
        for entry in groups.child("mask").children("colormap"):
            parts = [entry.integer(channel, 0, 255) for channel in "rgb"]
            colors[entry.integer("label_id")] = "#{:02x}{:02x}{:02x}".format(*parts)
    categories = []
    names = set()
    for index, label in enumerate(groups.child("label").children("labels")):
        name = label.name("name")
        if name.casefold() in names:
            raise DatasetError(f"Another label is named {name}.", label.at("name"))
        names.add(name.casefold())
        categories.append(
            CategoryRecord(index, name, label.text("parent", ""), colors.get(index, ""))
        )
    return tuple(categories)


def _unique_ids(items: Iterator[Checked]) -> bool:
    """Whether the ids from 1 tell all regions apart; parts of one group count once."""
    seen: set[int] = set()
    count = 0
    for item in items:
        groups = set()
        for entry in item.children("annotations"):
            id = entry.integer("id") if entry.has("id") else 0
            group = entry.integer("group") if entry.has("group") else 0
            if id < 1:
                return False
            if not group or (id, group) not in groups:
                count += 1
                seen.add(id)
            groups.add((id, group))
    return len(seen) == count


def _read_items(
    subsets: list[_Subset], labels: int, unique: bool, options: Options
) -> Iterator[ImageRecord]:
    names: set[str] = set()
    for subset in subsets:
        for item in subset.items():
            record = _read_item(item, subset.name, labels, unique, options)
            if record.file_name in names:
                raise DatasetError(f"Another image is named {record.file_name}.", item.pointer)
            names.add(record.file_name)
            yield record


def _read_item(
    item: Checked, subset: str, labels: int, unique: bool, options: Options
) -> ImageRecord:
    name = item.text("id", max_length=1024)
    size: Size | None = None
    if item.has("image"):
        image = item.child("image")
        name = image.text("path", name, max_length=1024) or name
        if image.has("size"):
            parts = image.array("size")
            if len(parts) != 2 or any(type(n) is not int or not 0 < n <= MAX_SIDE for n in parts):
                raise DatasetError("The size must be [height, width].", image.at("size"))
            size = (parts[0], parts[1])
    if size is None and "image_size" in options:
        size = options["image_size"](name)
    if size is None:
        raise DatasetError("The size of the image is missing.", item.pointer)
    shapes = [
        _read_annotation(entry, labels, size, unique)
        for entry in item.children("annotations")
        if entry.value.get("type") not in ("label", "caption")
    ]
    return ImageRecord(
        file_name=safe_relative(name, item.at("id")),
        width=size[1],
        height=size[0],
        regions=tuple(joined_parts(shapes)),
        split="" if subset == "default" else subset,
    )


def _read_annotation(
    entry: Checked, labels: int, size: Size, unique: bool
) -> tuple[object, RegionRecord]:
    kind = entry.text("type")
    try:
        if kind == "mask":
            mask = entry.child("rle")
            counts = validate_mask(mask.get("counts"), mask.get("size"), size)
            geometry = Geometry(size, counts=counts)
        elif kind == "polygon":
            geometry = Geometry(size, validate_polygons([[entry.array("points")]], size))
        elif kind == "bbox":
            numbers = Checked(
                dict(zip("xywh", entry.array("bbox"), strict=False)), entry.at("bbox")
            )
            x, y, w, h = (numbers.number(key) for key in "xywh")
            geometry = Geometry(size, validate_polygons([[box(x, y, x + w, y + h)]], size))
        else:
            raise DatasetError(f"An annotation of type {kind} has no area.", entry.at("type"))
    except GeometryError as error:
        raise DatasetError(error.detail, entry.pointer)
    attributes = Checked(entry.attributes(), entry.at("attributes"))
    return entry.value.get("group"), RegionRecord(
        category_id=entry.integer("label_id", 0, labels - 1),
        geometry=geometry,
        id=entry.value["id"] if unique else None,
        is_crowd=attributes.flag("is_crowd"),
        score=attributes.score(),
        attributes={k: v for k, v in attributes.value.items() if k not in ("is_crowd", "score")},
    )
