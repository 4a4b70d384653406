"""COCO panoptic: a JSON of segments, and per image a PNG whose colours are the segments' ids.

    annotations/panoptic.json      annotations/panoptic/<name>.png      images/

A pixel's segment is R + 256·G + 65536·B, 0 is void. Regions of one stuff category in an image are
one segment. Ids are kept where they fit into 24 bits, else they count from 1 in each image. Where
regions overlap the one in front is seen. Source: Kirillov et al., 2019; cocodataset.org.
"""

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
from annotations.formats.coco import (
    category_entry,
    image_entry,
    read_categories,
    read_image_entries,
)
from annotations.formats.jsonio import MAX_BYTES, Checked, Spool, write_document
from annotations.formats.jsonstream import Elements, load_streaming, pick
from annotations.formats.names import inside
from annotations.masks import polygons, rle
from annotations.records import (
    Dataset,
    DatasetError,
    Geometry,
    ImageRecord,
    RegionRecord,
    Report,
)

MAX_SEGMENT = 2**24 - 1


def read(path: Path, options: Options) -> Dataset:
    """A JSON file beside a folder of the same name with the PNGs, or a folder of such files.

    options: `max_bytes` of a JSON file. Segment ids are kept where they are unique in the
    data set; COCO's own are so within an image only.
    """
    files = _files(path)
    splits = [_Split(file, options.get("max_bytes", MAX_BYTES)) for file in files]
    categories = splits[0].categories
    for split in splits if len(splits) > 1 else []:
        split.name = split.folder.name.removeprefix("panoptic_")
        if split.categories != categories:
            raise DatasetError("The categories differ from those of the first file.", split.file)
    ids = np.concatenate([split.ids for split in splits])
    keep_ids = np.unique(ids).size == ids.size
    return Dataset(
        name=path.stem,
        kind="panoptic",
        categories=tuple(categories.values()),
        images=(image for split in splits for image in split.read_images(keep_ids)),
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for pattern in ("annotations/*.json", "*.json"):
        if found := [file for file in sorted(path.glob(pattern)) if file.with_suffix("").is_dir()]:
            return found
    raise DatasetError("There is no JSON file beside a folder of the same name.")


class _Split:
    """One file. Its annotations are read twice: for what they refer to, then image by image."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.name = ""
        self.file = path.name
        self.folder = path.with_suffix("")
        value, elements = load_streaming(path, "annotations", path.name, max_bytes)
        root = Checked(value, "")
        self.categories = read_categories(root)
        self.images = read_image_entries(root)
        if elements is None:
            root.array("annotations")  # says what is wrong
            raise DatasetError('"annotations" must be a list.', "/annotations")
        self.annotations: Elements = elements
        numbers = {id: number for number, id in enumerate(self.images)}
        self._image_of = np.empty(len(elements), np.int64)
        seen: set[int] = set()
        ids: list[int] = []
        for index, annotation in enumerate(elements.checked("/annotations")):
            image = annotation.integer("image_id")
            if image not in numbers:
                raise DatasetError(f"No image has the id {image}.", annotation.at("image_id"))
            if image in seen:
                raise DatasetError(
                    f"The image {image} is annotated twice.", annotation.at("image_id")
                )
            seen.add(image)
            self._image_of[index] = numbers[image]
            ids += [segment.integer("id") for segment in annotation.children("segments_info")]
        self.ids = np.array(ids, np.int64)

    def read_images(self, keep_ids: bool) -> Iterator[ImageRecord]:
        keep_images = min(self.images, default=1) > 0
        found = pick(self.annotations, "annotations", self._image_of, len(self.images))
        for (id, entry), annotations in zip(self.images.items(), found, strict=True):
            size = (entry.value["height"], entry.value["width"])
            yield ImageRecord(
                file_name=entry.value["file_name"],
                width=size[1],
                height=size[0],
                regions=tuple(
                    region
                    for annotation in annotations
                    for region in _read_segments(
                        annotation, self.folder, size, set(self.categories), keep_ids
                    )
                ),
                id=id if keep_images else None,
                split=self.name,
            )


def _read_segments(
    annotation: Checked, folder: Path, size: rle.Size, categories: set[int], keep_ids: bool
) -> Iterator[RegionRecord]:
    pointer = annotation.at("file_name")
    labels = pngs.read(
        inside(folder, annotation.text("file_name", max_length=1100), pointer), pointer
    )
    if labels.shape[:2] != size:
        raise DatasetError(
            f"The PNG is {labels.shape[1]} × {labels.shape[0]} pixels, the image {size[1]} × "
            f"{size[0]}.",
            pointer,
        )
    if labels.ndim == 3:
        # Red is the lowest byte here.
        labels = pngs.packed(labels[..., ::-1])
    masks = rle.from_labels(labels)
    masks.pop(0, None)
    for order, segment in enumerate(annotation.children("segments_info")):
        id, category = segment.integer("id", 1, MAX_SEGMENT), segment.integer("category_id")
        if category not in categories:
            raise DatasetError(f"No category has the id {category}.", segment.at("category_id"))
        if id not in masks:
            raise DatasetError(f"No pixel belongs to the segment {id}.", segment.at("id"))
        yield RegionRecord(
            category_id=category,
            geometry=Geometry(size, counts=masks.pop(id)),
            id=id if keep_ids else None,
            is_crowd=segment.flag("iscrowd"),
            area=segment.number("area") if segment.has("area") else None,
            order=order,
        )
    if masks:
        raise DatasetError(f"The segment {min(masks)} of the PNG is not listed.", pointer)


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    stuff = {category.id for category in dataset.categories if not category.is_thing}
    spools: dict[str, tuple[Spool, Spool]] = {}
    for item in walk(dataset, out, report, open_image, progress, by_stem=True):
        note_lost(report, item, keeps=("crowd",))
        split = item.record.split
        if split not in spools:
            spools[split] = (Spool(out), Spool(out))
        labels, segments = _segments(item, stuff, report)
        file_name = f"{item.stem}.png"
        colors = np.stack([labels & 255, labels >> 8 & 255, labels >> 16], axis=-1)
        pngs.write(out / "annotations" / _name(split) / file_name, colors.astype(np.uint8))
        spools[split][0].add(image_entry(item))
        spools[split][1].add(
            {"image_id": item.id, "file_name": file_name, "segments_info": segments}
        )
    for split, (images, annotations) in (spools or {"": (Spool(out), Spool(out))}).items():
        (out / "annotations" / _name(split)).mkdir(parents=True, exist_ok=True)
        write_document(
            out / "annotations" / f"{_name(split)}.json",
            {
                "info": {"description": dataset.name},
                "licenses": [],
                "categories": [category_entry(category) for category in dataset.categories],
                "images": images,
                "annotations": annotations,
            },
        )


def _name(split: str) -> str:
    return f"panoptic_{split}" if split else "panoptic"


def _segments(
    item: Item, stuff: set[int], report: Report
) -> tuple[npt.NDArray[np.int32], list[dict[str, Any]]]:
    """The label map of segment ids, and the segments that are seen in it."""
    labels = np.zeros(item.size, np.int32)
    fits = all(id <= MAX_SEGMENT for id, _ in item.regions)
    if not fits:
        report.note(f"{item.name!r}: region ids above {MAX_SEGMENT} are counted from 1.")
    found: dict[int, RegionRecord] = {}
    first_of: dict[int, int] = {}
    for index, (id, region) in enumerate(item.regions, 1):
        segment = id if fits else index
        if region.category_id in stuff:
            segment = first_of.setdefault(region.category_id, segment)
            if segment in found:
                note_region(report, item, id, f"it is joined with the stuff region {segment}.")
        found.setdefault(segment, region)
        hidden = rle.paint(labels, polygons.geometry_counts(region.geometry), segment)
        if hidden:
            note_region(report, item, id, f"it hides {hidden} pixels of regions behind it.")
    seen = rle.from_labels(labels)
    segments = []
    for segment, region in found.items():
        if segment not in seen:
            note_region(report, item, segment, "no pixel of it is seen, and it is left out.")
            continue
        segments.append(
            {
                "id": segment,
                "category_id": region.category_id,
                "area": rle.area(seen[segment]),
                "bbox": list(rle.bbox(seen[segment], item.size)),
                "iscrowd": int(region.is_crowd),
            }
        )
    return labels, segments
