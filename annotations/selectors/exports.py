"""What is in a release: one annotation per image, streamed as records in the order of ids."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Exists, F, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from annotations.models import Annotation, Category, Image, Project, Region
from annotations.models.images import ImageQuerySet
from annotations.records import CategoryRecord, Geometry, ImageRecord, RegionRecord

CHUNK = 200
Status = Annotation.Status

WANTED: dict[str, tuple[str, ...]] = {
    "approved": (Status.APPROVED,),
    "submitted": (Status.APPROVED, Status.SUBMITTED),
    "all": (Status.APPROVED, Status.SUBMITTED, Status.SENT_BACK, Status.IN_PROGRESS),
}
"""Which annotations are taken; of several on one image the first kind, the newest of it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is taken. `search`: part of the images' names; `annotator`: a username."""

    status: str = "approved"
    search: str = ""
    annotator: str = ""


def _taken(rule: Rule, **images: Any) -> QuerySet[Annotation]:
    """The annotations of these images among which is chosen. One that was only opened is none.

    Of a gold image it is the truth, and not what people are scored by it. The project is not asked
    for: SQLite would then look at all annotations of the project for every image.
    """
    truth = Q(image__gold=None) | Q(image__gold__truth=F("pk"))
    rows = Annotation.objects.filter(truth, status__in=WANTED[rule.status], **images)
    if rule.annotator:
        rows = rows.filter(annotator__username=rule.annotator)
    return rows.exclude(status=Status.IN_PROGRESS, revision=0)


def exported_images(project: Project, rule: Rule) -> ImageQuerySet:
    """The images that have such an annotation."""
    rows = Image.objects.filter(Exists(_taken(rule, image=OuterRef("pk"))), project=project)
    return rows.filter(name__icontains=rule.search) if rule.search else rows


def exported_categories(project: Project) -> tuple[CategoryRecord, ...]:
    """The categories in use, and archived ones that regions have, by their ids in exports."""
    used = Region.objects.filter(category=OuterRef("pk"), deleted_at=None)
    rows = Category.objects.filter(Q(archived_at=None) | Exists(used), project=project)
    return tuple(
        CategoryRecord(
            id=category.export_id,
            name=category.name,
            supercategory=category.supercategory,
            color=category.color,
            is_thing=category.is_thing,
            attributes=tuple(category.attributes),
        )
        for category in rows.order_by("export_id")
    )


def choose(images: list[int], rule: Rule) -> dict[int, tuple[int, int]]:
    """Image id to the annotation that is taken for it: (id, revision)."""
    order = {status: rank for rank, status in enumerate(WANTED[rule.status])}
    rows = _taken(rule, image__in=images)
    fields = ("image_id", "status", "pk", "revision")
    chosen: dict[int, tuple[int, tuple[int, int]]] = {}
    for image, status, pk, revision in rows.order_by("-updated_at", "-pk").values_list(*fields):
        if image not in chosen or order[status] < chosen[image][0]:
            chosen[image] = (order[status], (pk, revision))
    return {image: one for image, (_, one) in chosen.items()}


def image_records(
    project: Project, rule: Rule, number: Callable[[QuerySet[Region]], None]
) -> Iterator[tuple[Image, ImageRecord]]:
    """Each image with its regions, in the order of `Image.export_id`.

    The images must be numbered; `number` gives ids to those of some regions that have none. What is
    changed meanwhile is read again, so that no annotation is half of one revision.
    """
    after = 0
    while True:
        rows = exported_images(project, rule).filter(export_id__gt=after)
        images = list(rows.select_related("file").order_by("export_id")[:CHUNK])
        if not images:
            return
        pks = [image.pk for image in images]
        chosen = choose(pks, rule)
        while True:
            regions = _regions([pk for pk, _ in chosen.values()], number)
            before, chosen = chosen, choose(pks, rule)
            if before == chosen:
                break
        for image in images:
            assert image.export_id
            after = image.export_id
            if image.pk not in chosen:  # taken back a moment ago
                continue
            size = (image.height, image.width)
            found = regions[chosen[image.pk][0]]
            records = tuple(_record(row, size) for row in found)
            yield (
                image,
                ImageRecord(image.name, image.width, image.height, records, id=image.export_id),
            )


def _regions(
    annotations: list[int], number: Callable[[QuerySet[Region]], None]
) -> dict[int, list[tuple[Any, ...]]]:
    """Rows as `_record` takes them, by annotation, in their order."""
    rows = Region.objects.filter(annotation__in=annotations, deleted_at=None)
    rows = rows.order_by("annotation", "order", "id")
    number(rows)
    grouped: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    # As text, because Django's reading of JSON is a third of the time of a release.
    plain = rows.annotate(
        rings=Cast("polygons", TextField()),
        box=Cast("bbox", TextField()),
        given=Cast("attributes", TextField()),
    )
    fields = ("annotation_id", "category__export_id", "rings", "counts", "export_id",
              "is_crowd", "area", "order", "given", "box")  # fmt: skip
    for annotation, *row in plain.values_list(*fields):
        grouped[annotation].append(tuple(row))
    return grouped


def _record(row: tuple[Any, ...], size: tuple[int, int]) -> RegionRecord:
    category, polygons, counts, id, is_crowd, area, order, attributes, bbox = row
    rings = None if polygons is None else orjson.loads(polygons)
    return RegionRecord(
        category_id=category,
        geometry=Geometry(size, polygons=rings, counts=counts),
        id=id,
        is_crowd=is_crowd,
        area=area,
        order=order,
        attributes={} if attributes == "{}" else json.loads(attributes),
        bbox=tuple(orjson.loads(bbox)),
    )
