"""Semantic masks: one palette PNG per image, a pixel's value names its category, 255 none.

    masks/<name>.png      legend.json, legend.csv      images/

Values are the categories' ids where all are from 0 to 254, else (or with the option `contiguous`)
0, 1, 2 … in the order of the categories. Where regions overlap the one in front is seen. Reading
takes values or, where the PNG is in colours, the legend's colours; black is then unlabeled unless
the legend has it.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations.formats import pngs
from annotations.formats.base import (
    Item,
    OpenImage,
    Options,
    Progress,
    note_lost,
    note_region,
    walk,
)
from annotations.formats.coco import read_color
from annotations.formats.jsonio import Checked, Spool, load, write_document
from annotations.formats.names import csv_cell, inside, safe_relative
from annotations.masks import polygons, rle
from annotations.records import (
    CategoryRecord,
    Dataset,
    DatasetError,
    Geometry,
    ImageRecord,
    RegionRecord,
    Report,
)

IGNORE = 255


def values_of(categories: tuple[CategoryRecord, ...], contiguous: bool = False) -> dict[int, int]:
    """The pixel value of each category id. DatasetError: more than 255 categories."""
    if len(categories) > IGNORE:
        raise DatasetError("A palette PNG holds at most 255 categories.")
    if not contiguous and all(0 <= category.id < IGNORE for category in categories):
        return {category.id: category.id for category in categories}
    return {category.id: value for value, category in enumerate(categories)}


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    values = values_of(dataset.categories, bool(options.get("contiguous")))
    palette = {values[c.id]: pngs.rgb(c.color) for c in dataset.categories}
    images = Spool(out)
    for item in walk(dataset, out, report, open_image, progress, by_stem=True):
        note_lost(report, item)
        mask = f"masks/{item.stem}.png"
        pngs.write(out / mask, label_map(item, values, report), palette | {IGNORE: pngs.BORDER})
        images.add(image_entry(item, mask))
    write_legend(out, "semantic_png", dataset.categories, values, {"ignore": IGNORE}, images)


def label_map(item: Item, values: dict[int, int], report: Report) -> npt.NDArray[np.uint8]:
    """The value of the region in front at each pixel, 255 where there is none."""
    labels = np.zeros(item.size, np.uint16)
    for id, region in item.regions:
        counts = polygons.geometry_counts(region.geometry)
        hidden = rle.paint(labels, counts, values[region.category_id] + 1)
        if hidden:
            note_region(report, item, id, f"it hides {hidden} pixels of regions behind it.")
        if not rle.area(counts):
            note_region(report, item, id, "it covers no pixel.")
    return np.where(labels, labels - 1, IGNORE).astype(np.uint8)


def image_entry(item: Item, mask: str) -> dict[str, Any]:
    return {
        "mask": mask,
        "file_name": item.name,
        "width": item.record.width,
        "height": item.record.height,
        "split": item.record.split,
    }


def write_legend(
    out: Path,
    name: str,
    categories: tuple[CategoryRecord, ...],
    values: dict[int, int] | None,
    extra: dict[str, Any],
    images: Spool,
) -> None:
    """legend.json, and the categories as legend.csv for people. values: of the category ids."""
    entries = legend_entries(categories, values)
    write_document(
        out / "legend.json", {"format": name, **extra, "categories": entries, "images": images}
    )
    with (out / "legend.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(entries[0] if entries else ["id", "name"])
        table.writerows([csv_cell(str(value)) for value in entry.values()] for entry in entries)


def legend_entries(
    categories: tuple[CategoryRecord, ...], values: dict[int, int] | None
) -> list[dict[str, Any]]:
    """What `Legend` reads back. values: the pixel value of each category id."""
    return [
        {
            **({} if values is None else {"value": values[category.id]}),
            "id": category.id,
            "name": category.name,
            "supercategory": category.supercategory,
            "color": category.color,
            "isthing": int(category.is_thing),
        }
        for category in categories
    ]


class Legend:
    """legend.json: the categories by pixel value, and the images it lists, if any."""

    def __init__(self, root: Checked) -> None:
        self.root = root
        self.categories: dict[int, CategoryRecord] = {}
        ids, names = set(), set()
        for entry in root.children("categories"):
            id = entry.integer("id")
            value = entry.integer("value") if entry.has("value") else id
            name = entry.name("name")
            if value in self.categories or id in ids or name.casefold() in names:
                raise DatasetError("This category is in the legend twice.", entry.pointer)
            ids.add(id)
            names.add(name.casefold())
            self.categories[value] = CategoryRecord(
                id=id,
                name=name,
                supercategory=entry.text("supercategory", ""),
                color=read_color(entry),
                is_thing=entry.flag("isthing") if entry.has("isthing") else True,
            )
        self.ignore = root.integer("ignore", 0, 65535) if root.has("ignore") else IGNORE

    def images(self, folder: Path) -> Iterator[tuple[Path, Checked]]:
        """The mask of each image listed. DatasetError: a mask or an image is missing or twice."""
        seen = set()
        for entry in self.root.children("images"):
            path = inside(folder, entry.text("mask", max_length=1100), entry.at("mask"))
            name = safe_relative(entry.text("file_name", max_length=1024), entry.at("file_name"))
            if name in seen:
                raise DatasetError(f"The image {name} is in the legend twice.", entry.pointer)
            seen.add(name)
            yield path, entry


def find_legend(path: Path) -> Legend | None:
    file = path / "legend.json"
    return Legend(Checked(load(file, file.name), "")) if file.is_file() else None


def find_masks(path: Path) -> list[tuple[Path, str]]:
    """The PNGs of a folder without a legend, with their names: those in masks/, else all."""
    if path.is_file():
        return [(path, path.name)]
    folder = path / "masks" if (path / "masks").is_dir() else path
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".png")
    if not found:
        raise DatasetError("There is no PNG in it.")
    return [(file, file.relative_to(folder).as_posix()) for file in found]


def check_size(labels: npt.NDArray, entry: Checked, pointer: str) -> None:
    """DatasetError: the mask is of another size than the legend says."""
    height, width = labels.shape[:2]
    if entry.has("width") and (entry.get("width"), entry.get("height")) != (width, height):
        raise DatasetError(
            f"The mask is {width} × {height} pixels, the image {entry.get('width')} × "
            f"{entry.get('height')}.",
            pointer,
        )


def read(path: Path, options: Options) -> Dataset:
    """A folder with legend.json and the masks that it lists, or only PNGs, or one PNG.

    options: `names`, {value: category name}, where there is no legend; other values are then
    named "class 7". Without a legend 0 and 255 are unlabeled.
    """
    legend = find_legend(path)
    if legend is None:
        return _read_bare(path, {int(k): str(v) for k, v in options.get("names", {}).items()})
    return Dataset(
        name=path.stem,
        kind="semantic",
        categories=tuple(legend.categories.values()),
        images=_read_listed(path, legend),
    )


def _read_listed(folder: Path, legend: Legend) -> Iterator[ImageRecord]:
    colors = _colors(legend)
    unlabeled = {legend.ignore} | ({0} - legend.categories.keys())
    for path, entry in legend.images(folder):
        pointer = entry.value["mask"]
        labels = pngs.read(path, pointer)
        check_size(labels, entry, pointer)
        known = legend.categories
        masks = rle.from_labels(pngs.packed(labels) if labels.ndim == 3 else labels)
        if labels.ndim == 3:
            masks = {_value(colors, color, pointer): counts for color, counts in masks.items()}
        if unknown := masks.keys() - known.keys() - unlabeled:
            raise DatasetError(f"The value {min(unknown)} is not in the legend.", pointer)
        yield _record(
            entry.value["file_name"],
            labels,
            {known[v].id: c for v, c in masks.items() if v in known},
            entry.text("split", ""),
        )


def _colors(legend: Legend) -> dict[int, int]:
    """Colour → value. A colour that two categories share is left out: it says nothing."""
    colored = [
        (pngs.pack(pngs.rgb(category.color)), value)
        for value, category in legend.categories.items()
        if category.color
    ]
    times = Counter(color for color, _ in colored)
    unlabeled = {pngs.pack(pngs.BORDER): legend.ignore, 0: legend.ignore}
    return unlabeled | {color: value for color, value in colored if times[color] == 1}


def _value(colors: dict[int, int], color: int, pointer: str) -> int:
    if color not in colors:
        raise DatasetError(f"The colour #{color:06x} is not in the legend.", pointer)
    return colors[color]


def _record(name: str, labels: npt.NDArray, masks: dict[int, str], split: str = "") -> ImageRecord:
    height, width = labels.shape[:2]
    return ImageRecord(
        file_name=name,
        width=width,
        height=height,
        regions=tuple(
            RegionRecord(category, Geometry((height, width), counts=counts), order=order)
            for order, (category, counts) in enumerate(masks.items())
        ),
        split=split,
    )


def _read_bare(path: Path, names: dict[int, str]) -> Dataset:
    files = find_masks(path)
    found: set[int] = set()
    for file, name in files:
        labels = pngs.read(file, name)
        if labels.ndim == 3:
            raise DatasetError(
                "The mask is in colours, and there is no legend.json that says what they mean.",
                name,
            )
        found |= set(np.unique(labels).tolist())
        if max(found) > IGNORE:
            raise DatasetError(f"The value {max(found)} is above 255 and has no legend.", name)
    found -= {0, IGNORE}

    def images() -> Iterator[ImageRecord]:
        for file, name in files:
            labels = pngs.read(file, name)
            masks = rle.from_labels(labels)
            yield _record(name, labels, {v: c for v, c in masks.items() if v in found})

    categories = [
        CategoryRecord(value, names.get(value, f"class {value}"), color=pngs.default_color(value))
        for value in sorted(found | names.keys())
    ]
    return Dataset(path.stem, "semantic", tuple(categories), images())
