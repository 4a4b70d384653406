"""Instance masks: one 16-bit grey PNG per image, each object a value of its own, 0 none.

    masks/<name>.png      legend.json, legend.csv      images/

Values count from 1 in drawing order; legend.json says each value's region and category. Where
objects overlap the one in front is seen, and the report says what it hides.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from annotations.formats import pngs
from annotations.formats.base import (
    OpenImage,
    Options,
    Progress,
    note_lost,
    note_region,
    walk,
)
from annotations.formats.jsonio import Checked, Spool
from annotations.formats.semantic_png import (
    Legend,
    check_size,
    find_legend,
    find_masks,
    image_entry,
    write_legend,
)
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

MAX_VALUE = 65535


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    images = Spool(out)
    for item in walk(dataset, out, report, open_image, progress, by_stem=True):
        note_lost(report, item, keeps=("crowd", "attributes", "score"))
        if len(item.regions) > MAX_VALUE:
            raise DatasetError(f"{item.name} has more than {MAX_VALUE} regions.")
        labels, entries = np.zeros(item.size, np.uint16), []
        for value, (id, region) in enumerate(item.regions, 1):
            counts = polygons.geometry_counts(region.geometry)
            if hidden := rle.paint(labels, counts, value):
                note_region(report, item, id, f"it hides {hidden} pixels of regions behind it.")
            entry: dict[str, Any] = {"value": value, "region": id, "category": region.category_id}
            if region.is_crowd:
                entry["iscrowd"] = 1
            if region.score is not None:
                entry["score"] = region.score
            if region.attributes:
                entry["attributes"] = region.attributes
            entries.append(entry)
        seen = np.bincount(labels.ravel(), minlength=len(entries) + 1)
        for value, (id, _) in enumerate(item.regions, 1):
            if not seen[value]:
                note_region(report, item, id, "no pixel of it is seen, and it is left out.")
        mask = f"masks/{item.stem}.png"
        pngs.write(out / mask, labels)
        kept = [entry for entry in entries if seen[entry["value"]]]
        images.add({**image_entry(item, mask), "regions": kept})
    write_legend(out, "instance_png", dataset.categories, None, {}, images)


def read(path: Path, options: Options) -> Dataset:
    """A folder with legend.json and the masks that it lists, or only PNGs, or one PNG.

    options: `category`, the name of all objects where there is no legend ("object").
    """
    legend = find_legend(path)
    if legend is None:
        category = CategoryRecord(1, str(options.get("category", "object")))
        return Dataset(path.stem, "instance", (category,), _read_bare(path))
    return Dataset(
        name=path.stem,
        kind="instance",
        categories=tuple(legend.categories.values()),
        images=_read_listed(path, legend),
    )


def _read_bare(path: Path) -> Iterator[ImageRecord]:
    for file, name in find_masks(path):
        labels = _labels(file, name)
        size = (labels.shape[0], labels.shape[1])
        masks = [counts for value, counts in rle.from_labels(labels).items() if value]
        regions = [
            RegionRecord(1, Geometry(size, counts=counts), order=order)
            for order, counts in enumerate(masks)
        ]
        yield ImageRecord(name, size[1], size[0], tuple(regions))


def _labels(path: Path, pointer: str) -> npt.NDArray:
    labels = pngs.read(path, pointer)
    if labels.ndim == 3:
        raise DatasetError("An instance mask must be grey: one number for each object.", pointer)
    return labels


def _read_listed(folder: Path, legend: Legend) -> Iterator[ImageRecord]:
    known = {category.id for category in legend.categories.values()}
    ids: set[int] = set()
    for path, entry in legend.images(folder):
        pointer = entry.value["mask"]
        labels = _labels(path, pointer)
        check_size(labels, entry, pointer)
        size = (labels.shape[0], labels.shape[1])
        masks = rle.from_labels(labels)
        masks.pop(0, None)
        regions = []
        for order, region in enumerate(entry.children("regions")):
            value = region.integer("value", 1, MAX_VALUE)
            if value not in masks:
                raise DatasetError(f"No pixel has the value {value}.", region.at("value"))
            regions.append(
                _region(region, known, ids, Geometry(size, counts=masks.pop(value)), order)
            )
        if masks:
            raise DatasetError(f"The value {min(masks)} is not in the legend.", pointer)
        yield ImageRecord(
            entry.value["file_name"],
            size[1],
            size[0],
            tuple(regions),
            split=entry.text("split", ""),
        )


def _region(
    entry: Checked, known: set[int], ids: set[int], geometry: Geometry, order: int
) -> RegionRecord:
    category, id = entry.integer("category"), entry.integer("region", 1)
    if category not in known:
        raise DatasetError(f"No category has the id {category}.", entry.at("category"))
    if id in ids:
        raise DatasetError(f"Another region has the id {id}.", entry.at("region"))
    ids.add(id)
    return RegionRecord(
        category_id=category,
        geometry=geometry,
        id=id,
        is_crowd=entry.flag("iscrowd"),
        score=entry.score(),
        order=order,
        attributes=entry.attributes(),
    )
