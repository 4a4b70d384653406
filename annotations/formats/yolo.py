"""YOLO segmentation: per image a text file of one ring a line, in fractions of width and height.

    data.yaml      labels/train/<name>.txt …      images/train/ …

A line is "class x1 y1 x2 y2 …"; classes count from 0 in the order of data.yaml. A region of
several parts or with holes becomes one ring by cuts of no width, along its pixels' edges. Images
without a split are in train. Source: docs.ultralytics.com, "Instance segmentation datasets".
"""

import math
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from PIL import Image

from annotations.formats.base import (
    EMPTY,
    Item,
    OpenImage,
    Options,
    Progress,
    note_lost,
    note_region,
    walk,
)
from annotations.formats.jsonio import document, is_storable
from annotations.formats.names import can_be_file, image_files, stem
from annotations.formats.shapes import box, one_ring
from annotations.masks import rle
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

SPLITS = ("train", "val", "test")
MAX_BYTES = 64 * 2**20
DECIMALS = 6
"""Of a pixel: coordinates come back as they were drawn, up to these."""

ImageSize = Callable[[str], rle.Size | None]


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    classes = {category.id: index for index, category in enumerate(dataset.categories)}
    splits = set()
    walked = walk(
        dataset,
        out,
        report,
        open_image,
        progress,
        by_stem=True,
        image_path=lambda record, name: f"images/{record.split or 'train'}/{name}",
    )
    for item in walked:
        note_lost(report, item)
        split = item.record.split or "train"
        splits.add(split)
        with document(out / "labels" / split / f"{item.stem}.txt") as file:
            file.writelines(_lines(item, classes, report))
    for split in ("train", "val"):  # training refuses a data set without these two
        (out / "images" / split).mkdir(parents=True, exist_ok=True)
    if "val" not in splits:
        report.note("No image is in val; data.yaml names train for it.")
    config = {  # without "path": Ultralytics takes that from where it runs, not from this file
        "train": "images/train",
        "val": "images/val" if "val" in splits else "images/train",
        **({"test": "images/test"} if "test" in splits else {}),
        "names": {index: category.name for index, category in enumerate(dataset.categories)},
    }
    with document(out / "data.yaml") as file:
        yaml.safe_dump(config, file, sort_keys=False, allow_unicode=True)


def _lines(item: Item, classes: dict[int, int], report: Report) -> Iterator[str]:
    height, width = item.size
    for id, region in item.regions:
        made = one_ring(region.geometry)
        if made is None:
            note_region(report, item, id, EMPTY)
            continue
        if made.cut:
            note_region(report, item, id, "its parts or holes are joined by cuts into one ring.")
        if made.agreement < 1:
            note_region(report, item, id, f"its ring is simplified, IoU {made.agreement:.4f}.")
        numbers = [
            f"{n / (height if index % 2 else width):.12g}" for index, n in enumerate(made.ring)
        ]
        yield f"{classes[region.category_id]} {' '.join(numbers)}\n"


def read(path: Path, options: Options) -> Dataset:
    """data.yaml, or the folder that holds it.

    An image's size comes from its file or, where that is not there, from the option `image_size`:
    a callable that gives (height, width) or None for a name without ending. A line of 5 numbers is
    a box.
    """
    file = path if path.is_file() else _find_yaml(path)
    config = _load_yaml(file)
    categories = _read_names(config.get("names"), file.name)
    return Dataset(
        name=path.stem,
        kind="instance",
        categories=categories,
        images=_read_images(file.parent, config, len(categories), options.get("image_size")),
    )


def _find_yaml(path: Path) -> Path:
    found = sorted(path.glob("*.yaml")) + sorted(path.glob("*.yml")) + sorted(path.glob("*/*.yaml"))
    if not found:
        raise DatasetError("There is no data.yaml.")
    return found[0]


def _load_yaml(file: Path) -> dict[str, Any]:
    if file.stat().st_size > 2**20:
        raise DatasetError("The file is larger than 1 MiB.", file.name, "too_large")
    try:
        config = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DatasetError("This is not YAML.", file.name, "unreadable") from error
    if not isinstance(config, dict):
        raise DatasetError("A mapping with names, train and val is expected.", file.name)
    return config


def _read_names(names: Any, pointer: str) -> tuple[CategoryRecord, ...]:
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or sorted(map(str, names)) != sorted(
        map(str, range(len(names)))
    ):
        raise DatasetError('"names" must give every class from 0 on a name.', pointer)
    texts = []
    for index in sorted(names, key=int):
        name = names[index]
        if not isinstance(name, str | int | float):
            raise DatasetError("The name of a class must be text.", pointer)
        name = str(name)
        texts.append(name)
        if not name.strip() or len(name) > 200 or not is_storable(name):
            raise DatasetError("The name of a class is empty or too long.", pointer)
    if len({name.casefold() for name in texts}) != len(texts):
        raise DatasetError("Two classes have the same name.", pointer)
    return tuple(CategoryRecord(index, name) for index, name in enumerate(texts))


def _read_images(
    root: Path, config: dict[str, Any], classes: int, image_size: ImageSize | None
) -> Iterator[ImageRecord]:
    inner = _below(root, config.get("path") or ".")
    root = inner if inner.is_dir() else root
    for split in SPLITS:
        folders = config.get(split) or []
        # Another split's folder stands in where a split has none of its own.
        if split != "train" and folders == config.get("train"):
            continue
        for name in folders if isinstance(folders, list) else [folders]:
            place = _below(root, name)
            found = _listed(place, root) if place.suffix == ".txt" else _in_folder(place, root)
            for image, label, pointer in found:
                yield _read_image(image, label, pointer, split, classes, image_size)


def _below(root: Path, name: Any) -> Path:
    """The folder of that name below the root, whatever "..", "./" and "/" lead it there."""
    if not isinstance(name, str) or not can_be_file(name):
        raise DatasetError("path, train, val and test must be names of folders.", "data.yaml")
    return root.joinpath(*(p for p in PurePosixPath(name).parts if p not in ("..", "/", ".")))


Found = Iterator[tuple[tuple[Path, str], Path | None, str]]
"""An image's file (which need not be there) and name, its labels, and their place for errors."""


def _in_folder(folder: Path, root: Path) -> Found:
    """All images of a folder, and all labels of the folder that stands beside it."""
    relative = folder.relative_to(root).parts
    labels = root.joinpath(*("labels" if part == "images" else part for part in relative))
    if not folder.is_dir() and not labels.is_dir():
        raise DatasetError(f"There is no folder {'/'.join(relative)}.", "data.yaml")
    images = image_files(folder)
    texts = {name: file for name, file in image_files(labels).items() if file.endswith(".txt")}
    for base in sorted(images.keys() | texts.keys()):
        name = images.get(base, base)
        pointer = f"{labels.relative_to(root).as_posix()}/{base}.txt"
        yield (folder / name, name), labels / texts[base] if base in texts else None, pointer


def _listed(file: Path, root: Path) -> Found:
    """The images that a text file names, one a line, from its folder or from the root on.

    Of a path that leads elsewhere, such as /data/coco/images/a.jpg, the part from the first folder
    "images" on counts. An image is named by what follows that folder.
    """
    at = file.relative_to(root).as_posix()
    if not file.is_file():
        raise DatasetError(f"There is no file {at}.", "data.yaml")
    if file.stat().st_size > MAX_BYTES:
        raise DatasetError("The file is too large.", at, "too_large")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError("This is no list of images.", at, "unreadable") from error
    seen = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        here = f"{at}, line {number}"
        if not is_storable(line) or not can_be_file(line):
            raise DatasetError("This is no name of an image.", here)
        parts = [p for p in PurePosixPath(line.strip()).parts if p not in ("..", "/", ".")]
        inside = parts[parts.index("images") :] if "images" in parts else ["images", *parts]
        name = "/".join(inside[1:])
        if not name or name in seen:
            raise DatasetError("This is no image, or one that is listed already.", here)
        seen.add(name)
        path = inside if "images" in parts else parts
        above = next((one for one in (file.parent, root) if (one / path[0]).is_dir()), root)
        labels = ("labels" if part == "images" else part for part in path)
        label = above.joinpath(*labels).with_suffix(".txt")
        known = label.is_file()
        pointer = label.relative_to(root).as_posix() if known else here
        yield (above.joinpath(*path), name), label if known else None, pointer


def _read_image(
    image: tuple[Path, str],
    label: Path | None,
    pointer: str,
    split: str,
    classes: int,
    image_size: ImageSize | None,
) -> ImageRecord:
    path, name = image
    size = _size(path, pointer) if path.is_file() else None
    if size is None and image_size is not None:
        size = image_size(stem(name))
    if size is None:
        raise DatasetError("The image of these labels is not there.", pointer)
    return ImageRecord(
        file_name=name,
        width=size[1],
        height=size[0],
        regions=tuple(_read_labels(label, pointer, classes, size)) if label else (),
        split=split,
    )


def _size(path: Path, pointer: str) -> rle.Size:
    try:
        with Image.open(path) as image:
            width, height = image.size
            # The upright size: 5 to 8 are turned by a quarter.
            turned = image.getexif().get(274, 1) in (5, 6, 7, 8)
    except Exception as error:  # Pillow's decoders raise about anything for a broken file
        raise DatasetError("The image cannot be read.", pointer) from error
    return (width, height) if turned else (height, width)


def _read_labels(path: Path, pointer: str, classes: int, size: rle.Size) -> Iterator[RegionRecord]:
    if path.stat().st_size > MAX_BYTES:
        raise DatasetError("The file is too large.", pointer, "too_large")
    orders = count()
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        words = line.split()
        if not words:
            continue
        at = f"{pointer}, line {number}"
        try:
            index, *numbers = int(words[0]), *map(float, words[1:])
        except ValueError:
            raise DatasetError("A line must be a class and numbers.", at)
        if not 0 <= index < classes:
            raise DatasetError(f"There is no class {index}.", at)
        if not all(map(math.isfinite, numbers)):
            raise DatasetError("A coordinate is not a finite number.", at)
        try:
            rings = validate_polygons([[_ring(numbers, size)]], size)
        except GeometryError as error:
            raise DatasetError(error.detail, at)
        yield RegionRecord(index, Geometry(size, rings), order=next(orders))


def _ring(numbers: list[float], size: rle.Size) -> Ring:
    height, width = size
    if len(numbers) == 4:
        x, y, w, h = numbers
        numbers = box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    return [
        round(n * (height if index % 2 else width), DECIMALS) for index, n in enumerate(numbers)
    ]
