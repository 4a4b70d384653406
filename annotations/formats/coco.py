"""COCO instances: one JSON file of images, annotations and categories.

Polygons without holes stay polygons, vertex for vertex; a region with holes and a mask are RLE:
compressed, and for crowds as a list of runs, as COCO itself has it (option `uncompressed`: lists
for all). Area and box are those of the mask. Ids start at 1: COCOeval takes a match with id 0 for
none. With splits there is one file for each. Source: cocodataset.org, "Data format".
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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
from annotations.formats.jsonio import MAX_BYTES, MAX_ID, MAX_NUMBER, Checked, Spool, write_document
from annotations.formats.jsonstream import Elements, load_streaming
from annotations.formats.names import safe_relative
from annotations.formats.shapes import simple_rings
from annotations.masks import polygons, rle
from annotations.masks.validation import (
    GeometryError,
    surely_valid,
    surely_valid_masks,
    validate_polygons,
    validate_runs,
)
from annotations.masks.validation import validate_mask as validate_counts
from annotations.records import (
    CategoryRecord,
    Dataset,
    DatasetError,
    Geometry,
    ImageRecord,
    RegionRecord,
    Report,
)

Whole = npt.NDArray[np.int64]
_REFERENCES = ("id", "image_id", "category_id")


def read(path: Path, options: Options) -> Dataset:
    """A JSON file, or a folder that holds one, or one for each split.

    options: `max_bytes` of a file. Ids of annotations or images are left out where one is below 1.
    """
    files = _files(path)
    limit = options.get("max_bytes", MAX_BYTES)
    splits = [_Split(file, limit) for file in files]
    if len(splits) > 1:
        for split, file in zip(splits, files, strict=True):
            split.name = file.stem.removeprefix("instances_")
            if split.categories != splits[0].categories:
                raise DatasetError("The categories differ from those of the first file.", file.name)
    _refuse_duplicates(splits)
    return Dataset(
        name=path.stem,
        kind="instance",
        categories=tuple(splits[0].categories.values()),
        images=(image for split in splits for image in split.read_images()),
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for pattern in (
        "annotations/instances*.json",
        "instances*.json",
        "annotations/*.json",
        "*.json",
    ):
        if found := sorted(path.glob(pattern)):
            return found
    raise DatasetError("There is no JSON file in it.")


class _Split:
    """One file, its structure checked. Everything in it refers to what is there, and once.

    Annotations are read twice: for what they refer to, then image by image for what they are.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.name = ""
        self.file = path.name
        value, elements = load_streaming(path, "annotations", path.name, max_bytes)
        root = Checked(value, "")
        self.categories = read_categories(root)
        self.images = read_image_entries(root)
        if elements is None:
            root.array("annotations")  # says what is wrong
            raise DatasetError('"annotations" must be a list.', "/annotations")
        self.annotations = elements
        self.ids, self._images_of = self._check_annotations(elements)

    def _check_annotations(self, elements: Elements) -> tuple[Whole, Whole]:
        """Of each annotation its id, and the number of its image in the order of images."""
        ids, images = np.empty(len(elements), np.int64), np.empty(len(elements), np.int64)
        numbers = {id: number for number, id in enumerate(self.images)}
        start = 0
        for batch in elements.batches():
            end = start + len(batch)
            try:
                columns = [[one[key] for one in batch] for key in _REFERENCES]
                plain = all(set(map(type, column)) <= {int} for column in columns)
                of_batch, of_images, of_categories = columns
                ids[start:end] = of_batch
                images[start:end] = [numbers[id] for id in of_images]
                plain = plain and self.categories.keys() >= set(of_categories)
            except (KeyError, TypeError, ValueError, OverflowError):
                plain = False
            if not plain or min(of_batch) < 0 or max(of_batch) > MAX_ID:
                self._refuse(batch, start)
            start = end
        order = np.argsort(ids, kind="stable")
        again = order[1:][ids[order[1:]] == ids[order[:-1]]]
        if again.size:
            index = int(again.min())
            raise DatasetError(
                f"Another annotation has the id {ids[index]}.", f"/annotations/{index}/id"
            )
        return ids, images

    def _refuse(self, batch: list[Any], start: int) -> None:
        """DatasetError: what is wrong with one of these, the first of which has this index."""
        for index, value in enumerate(batch, start):
            annotation = Checked(value, f"/annotations/{index}")
            annotation.integer("id")
            image = annotation.integer("image_id")
            if image not in self.images:
                raise DatasetError(f"No image has the id {image}.", annotation.at("image_id"))
            category = annotation.integer("category_id")
            if category not in self.categories:
                raise DatasetError(
                    f"No category has the id {category}.", annotation.at("category_id")
                )

    def read_images(self) -> Iterator[ImageRecord]:
        keep_images = min(self.images, default=1) > 0
        records = self._read_regions()
        counts = np.bincount(self._images_of, minlength=len(self.images)).tolist()
        for count, (id, image) in zip(counts, self.images.items(), strict=True):
            yield ImageRecord(
                file_name=image.value["file_name"],
                width=image.value["width"],
                height=image.value["height"],
                regions=tuple(islice(records, count)),
                id=id if keep_images else None,
                split=self.name,
            )

    def _read_regions(self) -> Iterator[RegionRecord]:
        """Image by image. As many as are parsed together are checked together."""
        keep_ids = not self.ids.size or int(self.ids.min()) > 0
        sizes = [(one.value["height"], one.value["width"]) for one in self.images.values()]
        order = np.argsort(self._images_of, kind="stable")
        images = self._images_of[order]
        places = np.arange(len(order)) - np.searchsorted(images, images)
        start = 0
        for batch in self.annotations.batches(order):
            part = slice(start, start + len(batch))
            yield from read_regions(
                batch,
                order[part].tolist(),
                [sizes[number] for number in images[part].tolist()],
                places[part].tolist(),
                keep_ids,
            )
            start = part.stop


def _refuse_duplicates(splits: list[_Split]) -> None:
    images: set[int] = set()
    ids = np.zeros(0, np.int64)
    for split in splits:
        if images & split.images.keys() or np.intersect1d(ids, split.ids).size:
            raise DatasetError("An id in this file is in another file as well.", split.file)
        images |= split.images.keys()
        ids = np.concatenate((ids, split.ids))


def read_image_entries(root: Checked) -> dict[int, Checked]:
    """The list under "images", by id; ids and file names are unique, sizes sane."""
    images: dict[int, Checked] = {}
    names = set()
    for image in root.children("images"):
        id = image.integer("id")
        if id in images:
            raise DatasetError(f"Another image has the id {id}.", image.at("id"))
        images[id] = image
        name = safe_relative(image.text("file_name", max_length=1024), image.at("file_name"))
        if name in names:
            raise DatasetError(f"Another image is named {name}.", image.at("file_name"))
        names.add(name)
        image.integer("width", 1, MAX_SIDE)
        image.integer("height", 1, MAX_SIDE)
    return images


def image_entry(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "file_name": item.name,
        "width": item.record.width,
        "height": item.record.height,
    }


def read_categories(root: Checked) -> dict[int, CategoryRecord]:
    """The list under "categories", by id; ids and names are unique."""
    categories: dict[int, CategoryRecord] = {}
    names = set()
    for category in root.children("categories"):
        id, name = category.integer("id"), category.name("name")
        if id in categories:
            raise DatasetError(f"Another category has the id {id}.", category.at("id"))
        if name.casefold() in names:
            raise DatasetError(f"Another category is named {name}.", category.at("name"))
        names.add(name.casefold())
        categories[id] = CategoryRecord(
            id=id,
            name=name,
            supercategory=category.text("supercategory", ""),
            color=read_color(category),
            is_thing=category.flag("isthing") if category.has("isthing") else True,
        )
    return categories


def read_color(category: Checked) -> str:
    """#rrggbb from "color", which is that text or [r, g, b]; "" when missing."""
    value = category.value.get("color")
    if not value:
        return ""
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return value.lower()
    if isinstance(value, list) and len(value) == 3:
        parts = [n for n in value if type(n) is int and 0 <= n <= 255]
        if len(parts) == 3:
            return "#{:02x}{:02x}{:02x}".format(*parts)
    raise DatasetError("A colour must be #rrggbb or [r, g, b].", category.at("color"))


def read_regions(
    batch: list[Any],
    indexes: list[int],
    sizes: list[rle.Size],
    orders: list[int],
    keep_ids: bool,
) -> Iterator[RegionRecord]:
    """The regions that these annotations are: with their index in the file, image and order there.

    They are checked together; only if that finds something, one by one.
    """
    shapes = [one.get("segmentation") for one in batch]
    pairs = list(zip(shapes, sizes, strict=True))
    rings = [(ring, size) for shape, size in pairs if type(shape) is list for ring in shape]
    masks = [(shape, size) for shape, size in pairs if type(shape) is dict]
    sure_rings = bool(rings) and surely_valid(*zip(*rings, strict=True))
    sure_masks = bool(masks) and surely_valid_masks(*zip(*masks, strict=True))
    plain = _are_plain(batch)
    for value, index, order, (shape, size) in zip(batch, indexes, orders, pairs, strict=True):
        if sure_rings and shape and type(shape) is list:
            geometry = Geometry(size, [[ring] for ring in shape])
        elif sure_masks and type(shape) is dict:
            geometry = Geometry(size, None, shape["counts"])
        else:
            geometry = read_segmentation(Checked(value, f"/annotations/{index}"), size)
        id = value["id"] if keep_ids else None
        if plain:
            crowd = bool(value.get("iscrowd"))
            yield RegionRecord(
                value["category_id"], geometry, id, crowd, None, value.get("area"), order
            )
        else:
            yield _read_region(Checked(value, f"/annotations/{index}"), geometry, id, order)


def _are_plain(batch: list[Any]) -> bool:
    """Whether none has more than a region needs, and crowd flag and area are what they must be."""
    if any("score" in one or "attributes" in one for one in batch):
        return False
    crowds = [one.get("iscrowd", 0) for one in batch]
    areas = [area for one in batch if (area := one.get("area")) is not None]
    return (
        set(map(type, crowds)) <= {int, bool}
        and set(crowds) <= {0, 1}
        and set(map(type, areas)) <= {int, float}
        and all(-MAX_NUMBER <= area <= MAX_NUMBER for area in areas)
    )


def _read_region(
    annotation: Checked, geometry: Geometry, id: int | None, order: int
) -> RegionRecord:
    return RegionRecord(
        annotation.value["category_id"],
        geometry,
        id,
        annotation.flag("iscrowd"),
        annotation.score(),
        annotation.number("area") if annotation.has("area") else None,
        order,
        annotation.attributes(),
    )


def read_segmentation(annotation: Checked, size: rle.Size) -> Geometry:
    """The geometry under "segmentation": a list of polygons, or an RLE of either form."""
    value, pointer = annotation.get("segmentation"), annotation.at("segmentation")
    try:
        if isinstance(value, dict):
            mask = Checked(value, pointer)
            counts = mask.get("counts")
            check = validate_runs if isinstance(counts, list) else validate_counts
            return Geometry(size, counts=check(counts, mask.get("size"), size, field="mask"))
        if not isinstance(value, list):
            raise DatasetError("A segmentation is a list of polygons, or an RLE object.", pointer)
        if not value:
            raise DatasetError(
                "The segmentation is empty; a box alone is no segmentation.", pointer
            )
        rings = validate_polygons([[ring] for ring in value], size, field="polygons")
        return Geometry(size, polygons=rings)
    except GeometryError as error:
        raise DatasetError(error.detail, pointer + _pointer_of(error.field))


def _pointer_of(field: str) -> str:
    """polygons[2][0][5] → /2/5 (COCO's polygons have one ring); mask.size → /size."""
    if field.startswith("mask"):
        return field.removeprefix("mask").replace(".", "/")
    indexes = re.findall(r"\d+", field)
    return "".join(f"/{index}" for index in indexes[:1] + indexes[2:])


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    """annotations/instances.json (instances_train.json … with splits) and images/."""
    spools: dict[str, tuple[Spool, Spool]] = {}
    lists = bool(options.get("uncompressed"))
    for item in walk(dataset, out, report, open_image, progress):
        split = item.record.split
        if split not in spools:
            spools[split] = (Spool(out), Spool(out))
        images, annotations = spools[split]
        images.add(image_entry(item))
        entries = (_annotation(item, id, region, report, lists) for id, region in item.regions)
        annotations.add(*filter(None, entries))
    for split, (images, annotations) in (spools or {"": (Spool(out), Spool(out))}).items():
        write_document(
            out / "annotations" / (f"instances_{split}.json" if split else "instances.json"),
            {
                "info": {"description": dataset.name},
                "licenses": [],
                "categories": [category_entry(category) for category in dataset.categories],
                "images": images,
                "annotations": annotations,
            },
        )


def category_entry(category: CategoryRecord) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": category.id,
        "name": category.name,
        "supercategory": category.supercategory,
        "isthing": int(category.is_thing),
    }
    return entry | ({"color": category.color} if category.color else {})


def _annotation(
    item: Item, id: int, region: RegionRecord, report: Report, uncompressed: bool
) -> dict[str, Any] | None:
    """None: a mask without a pixel."""
    parts = region.geometry.polygons
    rings = simple_rings(region.geometry)
    area, box = (
        (int(region.area or 0), region.bbox) if region.bbox else polygons.measure(region.geometry)
    )
    if not area:
        note_region(report, item, id, "it covers no pixel." if rings else EMPTY)
        if rings is None:
            return None
    segmentation: Any = rings
    if rings is None:
        if parts is not None:
            note_region(report, item, id, "it has holes and is written as a mask.")
        runs = uncompressed or region.is_crowd
        counts = polygons.geometry_counts(region.geometry)
        segmentation = {
            "size": list(item.size),
            "counts": rle.to_runs(counts).tolist() if runs else counts,
        }
    entry = {
        "id": id,
        "image_id": item.id,
        "category_id": region.category_id,
        "segmentation": segmentation,
        "area": area,
        "bbox": list(box),
        "iscrowd": int(region.is_crowd),
    }
    if region.score is not None:
        entry["score"] = region.score
    if region.attributes:
        entry["attributes"] = region.attributes
    return entry
