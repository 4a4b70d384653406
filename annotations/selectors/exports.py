"""What is in a release: one annotation per image, streamed in the order of ids."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet
from django.db.models.functions import Cast

from annotations.formats.snapshot import Members, image_members, region_members
from annotations.models import Annotation, Category, Image, Project, Region
from annotations.models.images import ImageQuerySet
from annotations.prepared import Prepared, as_text
from annotations.records import CategoryRecord
from annotations.selectors.projects import image_counts

CHUNK = 200
NUMBERED = 2000
"""So many images or regions get their ids at once."""
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


_MANY_REGIONS = Prepared(
    lambda project: (
        Region.objects.filter(annotation__project=project)
        .order_by()
        .values_list("pk")[: SMALL_REGIONS + 1]
    )
)


def is_small(project: Project) -> bool:
    """Whether a snapshot of all that a project has takes no longer than people wait."""
    images = sum(image_counts([project.pk])[project.pk].values())
    return images <= SMALL_IMAGES and len(_MANY_REGIONS(project.pk)) <= SMALL_REGIONS


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


def exported_images(project: Project | int, rule: Rule) -> ImageQuerySet:
    """The images that have such an annotation."""
    rows = Image.objects.filter(Exists(_taken(rule, image=OuterRef("pk"))), project=project)
    return rows.filter(name__icontains=rule.search) if rule.search else rows


def _categories(project: int) -> QuerySet[Category]:
    used = Region.objects.filter(category=OuterRef("pk"), deleted_at=None)
    rows = Category.objects.filter(Q(archived_at=None) | Exists(used), project=project)
    return rows.order_by("export_id")


_CATEGORIES = Prepared(_categories)


class _Queries:
    """What is asked for a release by one rule."""

    def __init__(self, rule: Rule) -> None:
        def images(project: int) -> ImageQuerySet:
            return exported_images(project, rule)

        def chosen(images: int) -> QuerySet[Annotation, Any]:
            rows = _taken(rule, image__pk__in=[images]).order_by("-updated_at", "-pk")
            return rows.values_list("image_id", "status", "pk", "revision")

        def lines(project: int, after: int) -> QuerySet[Image, Any]:
            rows = images(project).filter(export_id__gt=after).order_by("export_id")
            fields = ("pk", "file__sha256", "export_id", "name", "width", "height")
            return rows.values_list(*fields)[:CHUNK]

        self.number = Prepared(
            lambda project: (
                images(project)
                .order_by()
                .values("project")
                .annotate(number=Count("pk"))
                .values_list("number")
            )
        )
        self.without_id = Prepared(
            lambda project: (
                images(project).filter(export_id=None).order_by("pk").values_list("pk")[:NUMBERED]
            )
        )
        self.chosen, self.lines = Prepared(chosen), Prepared(lines)


queries = lru_cache(maxsize=50)(_Queries)
for _status in WANTED:
    queries(Rule(_status))


def exported_categories(project: Project) -> tuple[CategoryRecord, ...]:
    """The categories in use, and archived ones that regions have, by their ids in exports."""
    return tuple(
        CategoryRecord(
            id=category.export_id,
            name=category.name,
            supercategory=category.supercategory,
            color=category.color,
            is_thing=category.is_thing,
            attributes=tuple(category.attributes),
        )
        for category in _CATEGORIES.instances(project.pk)
    )


def choose(images: list[int], rule: Rule) -> dict[int, tuple[int, int]]:
    """Image id to the annotation that is taken for it: (id, revision)."""
    order = {status: rank for rank, status in enumerate(WANTED[rule.status])}
    chosen: dict[int, tuple[int, tuple[int, int]]] = {}
    for image, status, pk, revision in queries(rule).chosen(images):
        if image not in chosen or order[status] < chosen[image][0]:
            chosen[image] = (order[status], (pk, revision))
    return {image: one for image, (_, one) in chosen.items()}


def image_lines(
    project: Project, rule: Rule, number: Callable[[list[int]], None]
) -> Iterator[Members]:
    """Each image with its regions as a snapshot has them, in the order of `Image.export_id`.

    The images must be numbered; `number` gives ids to regions that have none, given by id. What is
    changed meanwhile is read again, so that no annotation is half of one revision.
    """
    after, more = 0, True
    while more:
        images = queries(rule).lines(project.pk, after)
        more = len(images) == CHUNK
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


def _ordered(annotations: int) -> QuerySet[Region]:
    rows = Region.objects.filter(annotation__pk__in=[annotations], deleted_at=None)
    return rows.order_by("annotation", "order", "id")


_WITHOUT_ID = Prepared(
    lambda annotations: _ordered(annotations).filter(export_id=None).values_list("pk")
)
# As the database has them, because Django's reading of JSON is a third of a release's time.
_PLAIN = Prepared(
    lambda annotations: (
        _ordered(annotations)
        .annotate(
            rings=as_text("polygons"),
            box=as_text("bbox"),
            given=as_text("attributes"),
            crowd=Cast("is_crowd", IntegerField()),
        )
        .values_list(
            "annotation_id", "export_id", "category__export_id", "area", "box", "order",
            "rings", "counts", "crowd", "given",
        )
    )
)  # fmt: skip


def _regions(
    annotations: list[int], number: Callable[[list[int]], None]
) -> dict[int, list[Members]]:
    """By annotation, in their order."""
    if without := [pk for (pk,) in _WITHOUT_ID(annotations)]:
        number(without)
    grouped: dict[int, list[Members]] = defaultdict(list)
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
    ) in _PLAIN(annotations):
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
