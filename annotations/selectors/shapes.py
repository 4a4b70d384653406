"""Regions and proposals as `masks.matching` compares them."""

from annotations.masks import polygons
from annotations.masks.matching import Shape
from annotations.models import Annotation, Image, Proposal, Region
from annotations.records import Geometry


def shape_of(row: Region | Proposal, image: Image) -> Shape:
    geometry = Geometry((image.height, image.width), row.polygons, row.counts)
    x, y, width, height = (int(value) for value in row.bbox)
    return Shape(
        row.category_id,
        polygons.geometry_counts(geometry),
        int(row.area),
        (x, y, width, height),
        row.is_crowd,
    )


def shapes_of(annotation: Annotation, image: Image | None = None) -> list[Shape]:
    """The regions that are not deleted, in drawing order."""
    rows = annotation.regions.filter(deleted_at=None).order_by("order", "id")
    return [shape_of(region, image or annotation.image) for region in rows]
