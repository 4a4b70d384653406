"""What is in a release: one annotation per image, streamed in the order of ids."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Exists, F, IntegerField, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from annotations.formats.snapshot import Members, image_members, region_members
from annotations.models import Annotation, Category, Image, Project, Region
from annotations.models.images import ImageQuerySet
from annotations.records import CategoryRecord
from annotations.selectors.projects import image_counts

CHUNK = 200
SMALL_IMAGES = 200
SMALL_REGIONS = 1000
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


def is_small(project: Project) -> bool:
    """Whether a snapshot of all that a project has takes no longer than people wait."""
    if sum(image_counts([project.pk])[project.pk].values()) > SMALL_IMAGES:
        return False
    regions = Region.objects.filter(annotation__project=project).order_by()
    return regions[: SMALL_REGIONS + 1].count() <= SMALL_REGIONS


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


def image_lines(
    project: Project, rule: Rule, number: Callable[[QuerySet[Region]], None]
) -> Iterator[Members]:
    """Each image with its regions as a snapshot has them, in the order of `Image.export_id`.

    The images must be numbered; `number` gives ids to those of some regions that have none. What is
    changed meanwhile is read again, so that no annotation is half of one revision.
    """
    after = 0
    while True:
        rows = exported_images(project, rule).filter(export_id__gt=after).order_by("export_id")
        fields = ("pk", "file__sha256", "export_id", "name", "width", "height")
        images = list(rows.values_list(*fields)[:CHUNK])
        if not images:
            return
        pks = [pk for pk, *_ in images]
        chosen = choose(pks, rule)
        while True:
            regions = _regions([pk for pk, _ in chosen.values()], number)
            before, chosen = chosen, choose(pks, rule)
            if before == chosen:
                break
        for pk, sha256, id, name, width, height in images:
            assert id
            after = id
            if pk in chosen:  # else taken back a moment ago
                yield image_members(sha256, id, name, width, height, regions[chosen[pk][0]])


def _regions(
    annotations: list[int], number: Callable[[QuerySet[Region]], None]
) -> dict[int, list[Members]]:
    """By annotation, in their order."""
    rows = Region.objects.filter(annotation__in=annotations, deleted_at=None)
    rows = rows.order_by("annotation", "order", "id")
    number(rows)
    grouped: dict[int, list[Members]] = defaultdict(list)
    # As the database has them, because Django's reading of JSON is a third of a release's time.
    plain = rows.annotate(
        rings=Cast("polygons", TextField()),
        box=Cast("bbox", TextField()),
        given=Cast("attributes", TextField()),
        crowd=Cast("is_crowd", IntegerField()),
    )
    fields = ("annotation_id", "export_id", "category__export_id", "area", "box", "order",
              "rings", "counts", "crowd", "given")  # fmt: skip
    for (
        annotation,
        id,
        category,
        area,
        box,
        order,
        rings,
        counts,
        crowd,
        given,
    ) in plain.values_list(*fields):
        attributes = {} if given == "{}" else json.loads(given)
        polygons = None if rings is None else _canonical(rings)
        grouped[annotation].append(
            region_members(
                id, category, area, _canonical(box), order, polygons, counts, crowd, attributes
            )
        )
    return grouped


def _canonical(text: str) -> Any:
    """The value, or the text itself where an import wrote it: only those have no blanks."""
    return orjson.loads(text) if " " in text else orjson.Fragment(text)
