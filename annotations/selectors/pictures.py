"""Small pictures of images and of what is labeled in them."""

from hashlib import sha256 as digest

from django.core.cache import cache
from django.core.files.storage import default_storage

from annotations.imaging import overlay
from annotations.models import Annotation, StoredFile
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


def category_colors(annotation: Annotation) -> dict[int, str]:
    """#rrggbb by the ids of the project's categories."""
    return dict(annotation.project.categories.values_list("id", "color"))


def draw_annotation(annotation: Annotation, colors: dict[int, str]) -> bytes:
    """WebP of the thumbnail (at most 320 pixels) with the annotation's regions.

    The annotation has its image and its file at hand.
    """
    key = f"picture-{etag(annotation, colors)}"
    drawn: bytes | None = cache.get(key)
    if drawn is None:
        record = _record(annotation)
        drawn = overlay.draw(record, _read(annotation.image.file), colors, opacity=overlay.CLEAR)
        cache.set(key, drawn, KEPT_SECONDS)
    return drawn


def _record(annotation: Annotation) -> ImageRecord:
    image = annotation.image
    size = (image.height, image.width)
    live = annotation.regions.filter(deleted_at=None).order_by("order", "id")
    rows = live.values_list("category", "polygons", "counts", "order")
    regions = tuple(
        RegionRecord(category, Geometry(size, rings, counts), order=order)
        for category, rings, counts, order in rows.iterator()
    )
    return ImageRecord(image.name, image.width, image.height, regions=regions)


def _read(file: StoredFile) -> bytes | None:
    if not default_storage.exists(file.thumbnail):
        return None
    with default_storage.open(file.thumbnail) as source:
        return source.read()
