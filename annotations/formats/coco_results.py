"""COCO results: a list of scored masks, as COCOeval's loadRes takes it.

    results.json      images.json      images/

The list names images and categories by id only; images.json is a COCO file without annotations
that says what the ids mean. Option `images` when reading: the path of another COCO file for that.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from annotations.formats.base import (
    EMPTY,
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
    read_segmentation,
)
from annotations.formats.jsonio import MAX_BYTES, Checked, Spool, document, write_document
from annotations.formats.jsonstream import Elements, Places, load_list, load_streaming, pick
from annotations.masks import polygons, rle
from annotations.records import Dataset, DatasetError, ImageRecord, RegionRecord, Report


def read(path: Path, options: Options) -> Dataset:
    """results.json and the COCO file with its images, in a folder or named by `images`."""
    folder = path if path.is_dir() else path.parent
    results = folder / "results.json" if path.is_dir() else path
    images_file = Path(options["images"]) if "images" in options else folder / "images.json"
    for file in (results, images_file):
        if not file.is_file():
            raise DatasetError(f"There is no {file.name}.", file.name)
    limit = options.get("max_bytes", MAX_BYTES)
    root = Checked(load_streaming(images_file, "annotations", images_file.name, limit)[0], "")
    categories, images = read_categories(root), read_image_entries(root)
    values = load_list(results, results.name, limit)
    if values is None:
        raise DatasetError("The results must be a list.", "")
    numbers = {id: number for number, id in enumerate(images)}
    image_of = np.empty(len(values), np.int64)
    for index, result in enumerate(values.checked("")):
        image, category = result.integer("image_id"), result.integer("category_id")
        if image not in images:
            raise DatasetError(f"No image has the id {image}.", result.at("image_id"))
        if category not in categories:
            raise DatasetError(f"No category has the id {category}.", result.at("category_id"))
        result.get("score")
        image_of[index] = numbers[image]
    return Dataset(
        path.stem, "instance", tuple(categories.values()), _read_images(images, values, image_of)
    )


def _read_images(
    images: dict[int, Checked], values: Elements, image_of: Places
) -> Iterator[ImageRecord]:
    keep_ids = min(images, default=1) > 0
    results = pick(values, "", image_of, len(images))
    for (id, image), found in zip(images.items(), results, strict=True):
        size = (image.value["height"], image.value["width"])
        yield ImageRecord(
            file_name=image.value["file_name"],
            width=size[1],
            height=size[0],
            regions=tuple(
                RegionRecord(
                    category_id=result.value["category_id"],
                    geometry=read_segmentation(result, size),
                    score=result.score(),
                    order=order,
                )
                for order, result in enumerate(found)
            ),
            id=id if keep_ids else None,
        )


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    images, results = Spool(out), Spool(out)
    for item in walk(dataset, out, report, open_image, progress):
        note_lost(report, item, keeps=("score",))
        images.add(image_entry(item))
        for id, region in item.regions:
            counts = polygons.geometry_counts(region.geometry)
            if not rle.area(counts):
                note_region(report, item, id, EMPTY)
                continue
            if region.score is None:
                note_region(report, item, id, "it has no score; 1 is written.")
            results.add(
                {
                    "image_id": item.id,
                    "category_id": region.category_id,
                    "segmentation": {"size": list(item.size), "counts": counts},
                    "bbox": list(rle.bbox(counts, item.size)),
                    "score": 1.0 if region.score is None else region.score,
                }
            )
    with document(out / "results.json") as file:
        results.pour(file)
        file.write("\n")
    write_document(
        out / "images.json",
        {
            "info": {"description": dataset.name},
            "categories": [category_entry(category) for category in dataset.categories],
            "images": images,
            "annotations": [],
        },
    )
