"""PASCAL VOC segmentation: a palette PNG of classes and one of objects per image.

    SegmentationClass/<name>.png   SegmentationObject/<name>.png   JPEGImages/
    ImageSets/Segmentation/train.txt …   labelmap.txt

0 is background, 255 does not count. Classes count from 1 in the order of labelmap.txt
("name:r,g,b::" a line); objects count from 1 in drawing order, at most 254. VOC itself leaves out a
border around each object: option `border` is its width in pixels, 0 by default, so that no pixel is
lost. Pictures that are no JPEGs are made such (quality 95): readers of VOC know no other. Images
without a split are in train. Source: Everingham et al., VOC2012 development kit.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
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
from annotations.formats.jsonio import document
from annotations.formats.names import image_files, inside, safe_relative
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
MAX_VALUE = 254

# fmt: off
STANDARD = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)
# fmt: on
"""The classes of VOC2012, in order."""


def write(
    dataset: Dataset,
    out: Path,
    options: Options,
    report: Report,
    open_image: OpenImage | None = None,
    progress: Progress | None = None,
) -> None:
    if len(dataset.categories) > MAX_VALUE:
        raise DatasetError(f"VOC holds at most {MAX_VALUE} categories.")
    values = {category.id: value for value, category in enumerate(dataset.categories, 1)}
    colors = {values[c.id]: c.color or pngs.default_color(values[c.id]) for c in dataset.categories}
    palette = {value: pngs.rgb(color) for value, color in colors.items()} | {IGNORE: pngs.BORDER}
    objects_palette = {v: pngs.rgb(pngs.default_color(v)) for v in range(IGNORE)}
    objects_palette[IGNORE] = pngs.BORDER
    border = int(options.get("border", 0))
    names: dict[str, list[str]] = {}
    walked = walk(
        dataset,
        out,
        report,
        open_image,
        progress,
        by_stem=True,
        image_path=lambda record, name: f"JPEGImages/{name}",
    )
    for item in walked:
        note_lost(report, item)
        if (out / "JPEGImages" / item.name).exists():
            _write_jpeg(out / "JPEGImages", item, report)
        classes, objects = _label_maps(item, values, border, report)
        pngs.write(out / "SegmentationClass" / f"{item.stem}.png", classes, palette)
        pngs.write(out / "SegmentationObject" / f"{item.stem}.png", objects, objects_palette)
        names.setdefault(item.record.split or "train", []).append(item.stem)
    if any(":" in c.name or "\n" in c.name for c in dataset.categories):
        report.note("Colons and line ends in category names are written as spaces.")
    with document(out / "labelmap.txt") as file:
        file.write("# name:color (r,g,b):parts:actions\nbackground:0,0,0::\n")
        for category in dataset.categories:
            text = ",".join(map(str, pngs.rgb(colors[values[category.id]])))
            file.write(f"{_label(category.name)}:{text}::\n")
    for split, stems in (names or {"train": []}).items():
        with document(out / "ImageSets" / "Segmentation" / f"{split}.txt") as file:
            file.writelines(f"{name}\n" for name in stems)


def _write_jpeg(folder: Path, item: Item, report: Report) -> None:
    """The copied picture as <stem>.jpg, the only name that readers of VOC look for."""
    source, target = folder / item.name, folder / f"{item.stem}.jpg"
    with source.open("rb") as file:
        if file.read(2) == b"\xff\xd8":  # the start of every JPEG
            source.rename(target)
            return
    pixels = cv2.imread(str(source), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        report.note(f"{item.name!r} cannot be written as JPEG; it is left as it is.")
        return
    source.unlink()
    cv2.imwrite(str(target), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    report.note(f"{item.name!r} is written as JPEG, as VOC has no other pictures.")


def _label(name: str) -> str:
    return " ".join(name.replace(":", " ").split())


def _label_maps(
    item: Item, values: dict[int, int], border: int, report: Report
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    if len(item.regions) > MAX_VALUE:
        raise DatasetError(f"{item.name} has more than {MAX_VALUE} regions; VOC holds no more.")
    classes, objects = np.zeros(item.size, np.uint8), np.zeros(item.size, np.uint8)
    for value, (id, region) in enumerate(item.regions, 1):
        counts = polygons.geometry_counts(region.geometry)
        rle.paint(classes, counts, values[region.category_id])
        hidden = rle.paint(objects, counts, value)
        if hidden:
            note_region(report, item, id, f"it hides {hidden} pixels of regions behind it.")
    seen = np.bincount(objects.ravel(), minlength=len(item.regions) + 1)
    for value, (id, _) in enumerate(item.regions, 1):
        if not seen[value]:
            note_region(report, item, id, "no pixel of it is seen, and it is left out.")
    if border:
        kernel = np.ones((3, 3), np.uint8)
        edge = cv2.dilate(objects, kernel) != cv2.erode(objects, kernel)
        if border > 1:
            edge = cv2.dilate(edge.astype(np.uint8), kernel, iterations=border // 2) > 0
        classes[edge] = objects[edge] = IGNORE
        report.note(f"{item.name!r}: {np.count_nonzero(edge)} pixels are border.")
    return classes, objects


def read(path: Path, options: Options) -> Dataset:
    """The folder with SegmentationClass, and SegmentationObject where there are objects.

    Without labelmap.txt the classes are those of VOC2012. Colour PNGs are read by labelmap.txt.
    """
    if not (path / "SegmentationClass").is_dir():
        nested = sorted(path.glob("**/SegmentationClass"))
        if not nested:
            raise DatasetError("There is no folder SegmentationClass.")
        path = nested[0].parent
    categories, colors = _read_labelmap(path)
    objects = (path / "SegmentationObject").is_dir()
    return Dataset(
        name=path.name,
        kind="instance" if objects else "semantic",
        categories=tuple(categories.values()),
        images=_read_images(path, categories, colors, objects),
    )


def _read_labelmap(path: Path) -> tuple[dict[int, CategoryRecord], dict[int, int]]:
    """Categories by pixel value, and the pixel value of each colour."""
    colors = {0: 0, pngs.pack(pngs.BORDER): IGNORE}
    file = path / "labelmap.txt"
    if not file.is_file():
        found = {
            value: CategoryRecord(value, name, color=pngs.default_color(value))
            for value, name in enumerate(STANDARD, 1)
        }
        return found, colors | {pngs.pack(pngs.rgb(c.color)): v for v, c in found.items()}
    categories: dict[int, CategoryRecord] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DatasetError("The file is not UTF-8 text.", file.name, "unreadable")
    names = set()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = rest.split(":")[0].split(",")
        if (
            not all(part.strip().isdecimal() and int(part) < 256 for part in parts)
            or len(parts) != 3
        ):
            raise DatasetError(f"Line {number} does not read name:r,g,b:parts:actions.", file.name)
        color = (int(parts[0]), int(parts[1]), int(parts[2]))
        if name == "background":
            colors[pngs.pack(color)] = 0
            continue
        if not name.strip() or name.casefold() in names or len(name) > 200:
            raise DatasetError(f"The name in line {number} is empty, long or twice.", file.name)
        names.add(name.casefold())
        value = len(categories) + 1
        categories[value] = CategoryRecord(value, name, color="#{:02x}{:02x}{:02x}".format(*color))
        colors[pngs.pack(color)] = value
    return categories, colors


def _read_images(
    path: Path, categories: dict[int, CategoryRecord], colors: dict[int, int], objects: bool
) -> Iterator[ImageRecord]:
    files = image_files(path / "JPEGImages")
    for stem, split in _read_sets(path).items():
        pointer = f"SegmentationClass/{stem}.png"
        classes = pngs.read(inside(path, pointer, pointer), pointer)
        if classes.ndim == 3:
            classes = _by_color(pngs.packed(classes), colors, pointer)
        unknown = set(np.unique(classes).tolist()) - categories.keys() - {0, IGNORE}
        if unknown:
            raise DatasetError(f"The value {min(unknown)} is no class.", pointer)
        size = (classes.shape[0], classes.shape[1])
        if objects:
            regions = _objects(path, stem, classes, size)
        else:
            regions = [(value, counts) for value, counts in rle.from_labels(classes).items()]
        yield ImageRecord(
            file_name=files.get(stem, f"{stem}.png"),
            width=size[1],
            height=size[0],
            regions=tuple(
                RegionRecord(value, Geometry(size, counts=counts), order=order)
                for order, (value, counts) in enumerate(
                    (value, counts) for value, counts in regions if value not in (0, IGNORE)
                )
            ),
            split=split,
        )


def _read_sets(path: Path) -> dict[str, str]:
    """The images by the lists in ImageSets, with their splits; all masks where there are none."""
    found: dict[str, str] = {}
    for file in sorted((path / "ImageSets" / "Segmentation").glob("*.txt")):
        if file.stem == "trainval":
            continue
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if name := line.strip():
                found[safe_relative(name, file.name)] = "" if file.stem == "default" else file.stem
    folder = path / "SegmentationClass"
    return found or {
        file.relative_to(folder).with_suffix("").as_posix(): ""
        for file in sorted(folder.rglob("*.png"))
    }


def _by_color(packed: npt.NDArray, colors: dict[int, int], pointer: str) -> npt.NDArray[np.uint8]:
    found, indexes = np.unique(packed, return_inverse=True)
    for color in found.tolist():
        if color not in colors:
            raise DatasetError(f"The colour #{color:06x} is not in labelmap.txt.", pointer)
    values = np.array([colors[color] for color in found.tolist()], np.uint8)
    return values[indexes].reshape(packed.shape)


def _objects(path: Path, stem: str, classes: npt.NDArray, size: rle.Size) -> list[tuple[int, str]]:
    """The class and counts of each object."""
    pointer = f"SegmentationObject/{stem}.png"
    labels = pngs.read(inside(path, pointer, pointer), pointer)
    if labels.shape[:2] != size:
        raise DatasetError("The PNGs of classes and of objects differ in size.", pointer)
    nothing = {0, IGNORE}
    if labels.ndim == 3:
        labels, nothing = pngs.packed(labels), {0, pngs.pack(pngs.BORDER)}
    regions = []
    for value, counts in rle.from_labels(labels).items():
        if value in nothing:
            continue
        box = rle.bbox(counts, size)
        x, y, width, height = box
        inner = classes[y : y + height, x : x + width][rle.crop(counts, size, box)]
        there = np.flatnonzero(np.bincount(inner)).tolist()
        found = [category for category in there if category not in (0, IGNORE)]
        if len(found) != 1:
            raise DatasetError(f"The object {value} has no class, or more than one.", pointer)
        regions.append((found[0], counts))
    return regions
