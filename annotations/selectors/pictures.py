"""Small pictures of images and of what is labeled in them."""

from collections.abc import Iterable
from hashlib import sha256 as digest
from typing import Any

from django.core.cache import cache
from django.core.files.storage import default_storage

from annotations.imaging import overlay
from annotations.models import Annotation, Image, Prediction, Project, Proposal, StoredFile
from annotations.records import Geometry, ImageRecord, RegionRecord

KEPT_SECONDS = 86_400
"""So long a picture that was drawn is at hand."""


def thumbnail(sha256: str) -> bytes | None:
    """The small picture of a content, None where it is gone."""
    file = StoredFile.objects.filter(sha256=sha256).first()
    return _read(file) if file else None


def etag(annotation: Annotation, colors: dict[int, str]) -> str:
    """Another one when a region changed, or the colour of a category did."""
    text = f"{annotation.uuid}-{annotation.revision}-{sorted(colors.items())}"
    return digest(text.encode()).hexdigest()


def category_colors(project: Project) -> dict[int, str]:
    """#rrggbb by the ids of the project's categories."""
    return dict(project.categories.values_list("id", "color"))


def newest_predictions(image: Image) -> list[int]:
    """The ids of those whose proposals are shown, the newest of each model."""
    return sorted(row["newest"] for row in Prediction.objects.filter(image=image).newest())


def proposals_etag(image: Image, predictions: list[int], colors: dict[int, str]) -> str:
    """Another one when models proposed something else, or the colour of a category changed."""
    text = f"{image.uuid}-{predictions}-{sorted(colors.items())}"
    return digest(text.encode()).hexdigest()


def draw_proposals(image: Image, predictions: list[int], colors: dict[int, str]) -> bytes:
    """JPEG of the thumbnail (at most 320 pixels) with what these propose, more faintly.

    The image has its file at hand.
    """
    key = f"picture-{proposals_etag(image, predictions, colors)}"
    drawn: bytes | None = cache.get(key)
    if drawn is None:
        rows = Proposal.objects.filter(prediction__in=predictions).order_by("score", "-id")
        columns = rows.values_list("category", "polygons", "counts")
        record = _record(image, ((*row, order) for order, row in enumerate(columns.iterator())))
        under = _read(image.file)
        drawn = overlay.draw(record, under, colors, opacity=overlay.PROPOSED)
        if under:
            cache.set(key, drawn, KEPT_SECONDS)
    return drawn


def draw_annotation(annotation: Annotation, colors: dict[int, str]) -> bytes:
    """JPEG of the thumbnail (at most 320 pixels) with the annotation's regions.

    The annotation has its image and its file at hand.
    """
    key = f"picture-{etag(annotation, colors)}"
    drawn: bytes | None = cache.get(key)
    if drawn is None:
        live = annotation.regions.filter(deleted_at=None).order_by("order", "id")
        columns = live.values_list("category", "polygons", "counts", "order")
        record = _record(annotation.image, columns.iterator())
        under = _read(annotation.image.file)
        drawn = overlay.draw(record, under, colors, opacity=overlay.CLEAR)
        if under:  # a thumbnail may still be made
            cache.set(key, drawn, KEPT_SECONDS)
    return drawn


def _record(image: Image, rows: Iterable[tuple[Any, Any, Any, int]]) -> ImageRecord:
    size = (image.height, image.width)
    regions = tuple(
        RegionRecord(category or 0, Geometry(size, rings, counts), order=order)
        for category, rings, counts, order in rows
    )
    return ImageRecord(image.name, image.width, image.height, regions=regions)


def _read(file: StoredFile) -> bytes | None:
    if not default_storage.exists(file.thumbnail):
        return None
    with default_storage.open(file.thumbnail) as source:
        return source.read()
