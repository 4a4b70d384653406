"""Cityscapes: per image three PNGs (labels, instances, colours) and a JSON of polygons.

    gtFine/<split>/<city>/<name>_gtFine_{labelIds,instanceIds,color}.png, …_polygons.json
    leftImg8bit/<split>/<city>/<name>_leftImg8bit.<ending>      legend.json

Label ids are those of Cityscapes where all categories are its own, else the categories' ids (or
1, 2, 3 …); 0 is unlabeled. An instance is label · 1000 + number in the image; stuff and crowds
("cargroup") are the label alone. Images without a split are in train, those without a folder in the
city "default". The polygons follow the pixels of masks; holes they cannot say. Reading takes the
instances, or with the option `polygons` (and where there are no PNGs) the polygons. Source: Cordts
et al., CVPR 2016; cityscapesScripts, labels.py.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations.formats import pngs
from annotations.formats.base import (
    MAX_SIDE,
    Item,
    OpenImage,
    Options,
    Progress,
    note_lost,
    note_region,
    walk,
)
from annotations.formats.jsonio import Checked, document, dumps, load, write_document
from annotations.formats.names import image_files
from annotations.formats.semantic_png import Legend, find_legend, legend_entries
from annotations.formats.shapes import outlines
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

MAX_LABEL = 64
"""Labels above leave no room for 1000 instances in 16 bits."""

PER_LABEL = 1000

SUFFIX = "_leftImg8bit"

# label id: (name, category, whether it has instances, colour)
STANDARD: dict[int, tuple[str, str, bool, str]] = {
    4: ("static", "void", False, "#000000"),
    5: ("dynamic", "void", False, "#6f4a00"),
    6: ("ground", "void", False, "#510051"),
    7: ("road", "flat", False, "#804080"),
    8: ("sidewalk", "flat", False, "#f423e8"),
    9: ("parking", "flat", False, "#faaaa0"),
    10: ("rail track", "flat", False, "#e6968c"),
    11: ("building", "construction", False, "#464646"),
    12: ("wall", "construction", False, "#66669c"),
    13: ("fence", "construction", False, "#be9999"),
    14: ("guard rail", "construction", False, "#b4a5b4"),
    15: ("bridge", "construction", False, "#966464"),
    16: ("tunnel", "construction", False, "#96785a"),
    17: ("pole", "object", False, "#999999"),
    18: ("polegroup", "object", False, "#999999"),
    19: ("traffic light", "object", False, "#faaa1e"),
    20: ("traffic sign", "object", False, "#dcdc00"),
    21: ("vegetation", "nature", False, "#6b8e23"),
    22: ("terrain", "nature", False, "#98fb98"),
    23: ("sky", "sky", False, "#4682b4"),
    24: ("person", "human", True, "#dc143c"),
    25: ("rider", "human", True, "#ff0000"),
    26: ("car", "vehicle", True, "#00008e"),
    27: ("truck", "vehicle", True, "#000046"),
    28: ("bus", "vehicle", True, "#003c64"),
    29: ("caravan", "vehicle", True, "#00005a"),
    30: ("trailer", "vehicle", True, "#00006e"),
    31: ("train", "vehicle", True, "#005064"),
    32: ("motorcycle", "vehicle", True, "#0000e6"),
    33: ("bicycle", "vehicle", True, "#770b20"),
}
VOID = {0: "unlabeled", 1: "ego vehicle", 2: "rectification border", 3: "out of roi"}


def labels_of(categories: tuple[CategoryRecord, ...]) -> dict[int, int]:
    """The label id of each category id. DatasetError: more than 64 categories."""
    if len(categories) > MAX_LABEL:
        raise DatasetError(f"Cityscapes' instance PNGs hold at most {MAX_LABEL} categories.")
    by_name = {name: label for label, (name, *_) in STANDARD.items()}
    if all(category.name.lower() in by_name for category in categories):
        return {category.id: by_name[category.name.lower()] for category in categories}
    if all(0 < category.id <= MAX_LABEL for category in categories):
        return {category.id: category.id for category in categories}
    return {category.id: label for label, category in enumerate(categories, 1)}


def _place(split: str, name: str) -> tuple[str, str]:
    """The folder and the base name of an image."""
    path = PurePosixPath(name)
    city = "_".join(path.parent.parts) or "default"
    return f"{split or 'train'}/{city}", path.stem.removesuffix(SUFFIX)


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    labels = labels_of(dataset.categories)
    categories = {category.id: category for category in dataset.categories}
    palette = np.zeros((MAX_LABEL + 1, 3), np.uint8)
    for id, label in labels.items():
        palette[label] = pngs.rgb(categories[id].color)

    def image_path(record: ImageRecord, name: str) -> str:
        folder, base = _place(record.split, name)
        return f"leftImg8bit/{folder}/{base}{SUFFIX}{PurePosixPath(name).suffix}"

    walked = walk(dataset, out, report, open_image, progress, by_stem=True, image_path=image_path)
    for item in walked:
        note_lost(report, item, keeps=("crowd",))
        folder, base = _place(item.record.split, item.name)
        prefix = out / "gtFine" / folder / f"{base}_gtFine"
        instances = _instances(item, labels, categories, report)
        ids = np.where(instances < PER_LABEL, instances, instances // PER_LABEL).astype(np.uint8)
        pngs.write(prefix.with_name(f"{prefix.name}_instanceIds.png"), instances)
        pngs.write(prefix.with_name(f"{prefix.name}_labelIds.png"), ids)
        pngs.write(prefix.with_name(f"{prefix.name}_color.png"), palette[ids])
        with document(prefix.with_name(f"{prefix.name}_polygons.json")) as file:
            file.write(dumps(_polygons(item, categories, report)) + "\n")
    entries = legend_entries(dataset.categories, labels)
    write_document(
        out / "legend.json", {"format": "cityscapes", "ignore": 0, "categories": entries}
    )


def _instances(
    item: Item, labels: dict[int, int], categories: dict[int, CategoryRecord], report: Report
) -> npt.NDArray[np.uint16]:
    values = np.zeros(item.size, np.uint16)
    numbers: Counter[int] = Counter()
    for id, region in item.regions:
        label = labels[region.category_id]
        value = label
        if categories[region.category_id].is_thing and not region.is_crowd:
            if numbers[label] == PER_LABEL:
                raise DatasetError(
                    f"{item.name} has more than {PER_LABEL} objects of one category."
                )
            value = label * PER_LABEL + numbers[label]
            numbers[label] += 1
        hidden = rle.paint(values, polygons.geometry_counts(region.geometry), value)
        if hidden:
            note_region(report, item, id, f"it hides {hidden} pixels of regions behind it.")
    return values


def _polygons(item: Item, categories: dict[int, CategoryRecord], report: Report) -> dict[str, Any]:
    objects = []
    for id, region in item.regions:
        parts, agreement = outlines(region.geometry)
        if agreement < 1:
            note_region(report, item, id, f"its polygons are simplified, IoU {agreement:.4f}.")
        if any(len(rings) > 1 for rings in parts):
            note_region(report, item, id, "its holes are in the PNGs, not in the polygons.")
        group = "group" if region.is_crowd else ""
        for rings in parts:
            points = [list(point) for point in zip(rings[0][0::2], rings[0][1::2], strict=True)]
            objects.append(
                {"label": categories[region.category_id].name + group, "polygon": points}
            )
    return {"imgHeight": item.record.height, "imgWidth": item.record.width, "objects": objects}


def read(path: Path, options: Options) -> Dataset:
    """The folder with gtFine (or gtCoarse). Without legend.json the labels are Cityscapes' own."""
    root = next((path / name for name in ("gtFine", "gtCoarse") if (path / name).is_dir()), path)
    files = sorted(
        root.rglob("*_polygons.json" if options.get("polygons") else "*_instanceIds.png")
    )
    files = files or sorted(root.rglob("*_polygons.json"))
    if not files:
        raise DatasetError("There is no file *_instanceIds.png or *_polygons.json.")
    legend = find_legend(path) or _standard_legend()
    return Dataset(
        name=path.name,
        kind="panoptic",
        categories=tuple(legend.categories.values()),
        images=_read_images(root, files, legend),
    )


def _standard_legend() -> Legend:
    entries = [
        {
            "id": label,
            "name": name,
            "supercategory": category,
            "color": color,
            "isthing": int(thing),
        }
        for label, (name, category, thing, color) in STANDARD.items()
    ]
    return Legend(Checked({"categories": entries, "ignore": 0}, ""))


def _read_images(root: Path, files: list[Path], legend: Legend) -> Iterator[ImageRecord]:
    rasters = image_files(root.parent / "leftImg8bit")
    for file in files:
        pointer = file.relative_to(root).as_posix()
        base = pointer.rsplit("_", 2)[0]
        split, _, rest = base.partition("/")
        name = rasters.get(base + SUFFIX, f"{base}{SUFFIX}.png").removeprefix(f"{split}/")
        if not rest:
            split = ""
        read_file = _read_polygons if file.suffix == ".json" else _read_instances
        size, regions = read_file(file, pointer, legend)
        name = name.removeprefix("default/")
        yield ImageRecord(name, size[1], size[0], tuple(regions), split=split)


def _read_instances(
    file: Path, pointer: str, legend: Legend
) -> tuple[rle.Size, list[RegionRecord]]:
    values = pngs.read(file, pointer)
    if values.ndim == 3:
        raise DatasetError("The PNG of instances must be grey.", pointer)
    size = (values.shape[0], values.shape[1])
    regions: list[RegionRecord] = []
    for value, counts in rle.from_labels(values).items():
        label = value if value < PER_LABEL else value // PER_LABEL
        category = legend.categories.get(label)
        if category is None:
            if label in VOID:
                continue
            raise DatasetError(f"The label {label} is not in the legend.", pointer)
        crowd = category.is_thing and value < PER_LABEL
        geometry = Geometry(size, counts=counts)
        regions.append(RegionRecord(category.id, geometry, is_crowd=crowd, order=len(regions)))
    return size, regions


def _read_polygons(file: Path, pointer: str, legend: Legend) -> tuple[rle.Size, list[RegionRecord]]:
    root = Checked(load(file, pointer), f"{pointer}#")
    size = (root.integer("imgHeight", 1, MAX_SIDE), root.integer("imgWidth", 1, MAX_SIDE))
    by_name = {category.name: category for category in legend.categories.values()}
    regions: list[RegionRecord] = []
    for entry in root.children("objects"):
        label = entry.text("label")
        crowd = label not in by_name and label.removesuffix("group") in by_name
        name = label.removesuffix("group") if crowd else label
        if name not in by_name:
            if name in VOID.values() or name == "license plate":
                continue
            raise DatasetError(f"The label {name} is not in the legend.", entry.at("label"))
        points = entry.array("polygon")
        if not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise DatasetError("A polygon must be a list of [x, y].", entry.at("polygon"))
        try:
            rings = validate_polygons([[[n for point in points for n in point]]], size)
        except GeometryError as error:
            raise DatasetError(error.detail, entry.at("polygon"))
        regions.append(
            RegionRecord(
                by_name[name].id, Geometry(size, rings), is_crowd=crowd, order=len(regions)
            )
        )
    return size, regions
