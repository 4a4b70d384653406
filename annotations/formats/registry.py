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
    )
}


def load(name: str) -> Format:
    """The module of a format. KeyError: there is none of that name."""
    return cast(Format, import_module(FORMATS[name].module))
