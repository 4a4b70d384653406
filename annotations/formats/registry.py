"""The dataset formats: a table from name to module, imported on first use."""

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from annotations.formats.base import Format

ALL = ("semantic", "instance", "panoptic")


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """What the export and import pages show. `kinds`: of the projects that it suits."""

    name: str
    title: str
    module: str
    reads: bool
    writes: bool
    kinds: tuple[str, ...]
    note: str


FORMATS = {
    info.name: info
    for info in (
        FormatInfo(
            "coco",
            "COCO instances (JSON)",
            "annotations.formats.coco",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Polygons vertex for vertex, masks as RLE, crowds and ids kept.",
        ),
        FormatInfo(
            "semantic_png",
            "Semantic masks (PNG)",
            "annotations.formats.semantic_png",
            reads=True,
            writes=True,
            kinds=ALL,
            note="One palette PNG per image, 255 = unlabeled, with a legend.",
        ),
        FormatInfo(
            "instance_png",
            "Instance masks (16-bit PNG)",
            "annotations.formats.instance_png",
            reads=True,
            writes=True,
            kinds=ALL,
            note="One id per object and pixel; a legend says each id's category.",
        ),
        FormatInfo(
            "coco_panoptic",
            "COCO panoptic (PNG and JSON)",
            "annotations.formats.coco_panoptic",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Every pixel one segment; ids and crowds kept, overlaps resolved by order.",
        ),
        FormatInfo(
            "coco_results",
            "COCO results (JSON with scores)",
            "annotations.formats.coco_results",
            reads=True,
            writes=True,
            kinds=("instance", "panoptic"),
            note="Scored masks, as COCOeval reads them.",
        ),
        FormatInfo(
            "cityscapes",
            "Cityscapes (PNG and polygons)",
            "annotations.formats.cityscapes",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Labels, instances and colours as PNG; at most 64 categories.",
        ),
        FormatInfo(
            "voc",
            "PASCAL VOC (class and object PNG)",
            "annotations.formats.voc",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Palette PNGs; at most 254 objects in an image.",
        ),
        FormatInfo(
            "yolo",
            "YOLO segmentation (text)",
            "annotations.formats.yolo",
            reads=True,
            writes=True,
            kinds=("instance", "panoptic"),
            note="One ring per region; parts and holes are joined by cuts of no width.",
        ),
        FormatInfo(
            "labelme",
            "labelme (JSON per image)",
            "annotations.formats.labelme",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Polygons vertex for vertex; holes and masks as mask shapes.",
        ),
        FormatInfo(
            "cvat",
            "CVAT for images 1.1 (XML)",
            "annotations.formats.cvat",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Polygons vertex for vertex; holes and masks as masks; attributes as text.",
        ),
        FormatInfo(
            "datumaro",
            "Datumaro (JSON)",
            "annotations.formats.datumaro",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Polygons, masks, ids, crowds, scores and attributes.",
        ),
        FormatInfo(
            "label_studio",
            "Label Studio (JSON)",
            "annotations.formats.label_studio",
            reads=True,
            writes=True,
            kinds=ALL,
            note="Polygons in percent, brush masks pixel for pixel.",
        ),
    )
}


def load(name: str) -> Format:
    """The module of a format. KeyError: there is none of that name."""
    return cast(Format, import_module(FORMATS[name].module))
