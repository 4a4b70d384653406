"""What leaves in an export: one annotation per image, streamed as records in the order of ids."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from django.db.models import Exists, OuterRef, Q

from annotations.masks.rle import Size
from annotations.models import Annotation, Category, Image, Project, Region
from annotations.models.images import ImageQuerySet
from annotations.records import CategoryRecord, Geometry, ImageRecord, RegionRecord

CHUNK = 500
Status = Annotation.Status

WANTED: dict[str, tuple[str, ...]] = {
    "approved": (Status.APPROVED,),
    "submitted": (Status.APPROVED, Status.SUBMITTED),
    "all": (Status.APPROVED, Status.SUBMITTED, Status.SENT_BACK, Status.IN_PROGRESS),
}
"""Which annotations an export takes; of several on one image the first kind, the newest of it."""


def exported_annotations(project: Project, wanted: str):
    """The annotations among which is chosen. One that was only opened is none."""
    rows = Annotation.objects.filter(project=project, status__in=WANTED[wanted])
    return rows.exclude(status=Status.IN_PROGRESS, revision=0)


def exported_images(project: Project, wanted: str) -> ImageQuerySet:
    """The images that have such an annotation."""
    chosen = exported_annotations(project, wanted).filter(image=OuterRef("pk"))
    return Image.objects.filter(Exists(chosen), project=project)


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
        )
        for category in rows.order_by("export_id")
    )


def choose(images: list[Image], wanted: str) -> dict[int, Annotation]:
    """Image id to the annotation that is exported for it."""
    order = {status: rank for rank, status in enumerate(WANTED[wanted])}
    chosen: dict[int, Annotation] = {}
    if not images:
        return chosen
    rows = exported_annotations(images[0].project, wanted).filter(image__in=images)
    for annotation in rows.order_by("-updated_at", "-pk"):
        other = chosen.get(annotation.image_id)
        if other is None or order[annotation.status] < order[other.status]:
            chosen[annotation.image_id] = annotation
    return chosen


def image_records(
    project: Project,
    wanted: str,
    number: Callable[[list[Image], list[Region]], None],
    name: Callable[[Image], str],
    split: Callable[[Image], str],
) -> Iterator[ImageRecord]:
    """Each image with its regions, in the order of `Image.export_id`.

    The images must be numbered; `number` gives ids to the regions of a chunk that have none.
    """
    after = 0
    while True:
        rows = exported_images(project, wanted).filter(export_id__gt=after)
        images = list(rows.select_related("file").order_by("export_id")[:CHUNK])
        if not images:
            return
        for image in images:
            image.project = project
        chosen = choose(images, wanted)
        regions = _regions(list(chosen.values()))
        number(images, [region for group in regions.values() for region in group])
        for image in images:
            assert image.export_id
            after = image.export_id
            found = regions[chosen[image.pk].pk] if image.pk in chosen else []
            yield ImageRecord(
                file_name=name(image),
                width=image.width,
                height=image.height,
                regions=tuple(_region(region, (image.height, image.width)) for region in found),
                id=image.export_id,
                split=split(image),
            )


def _regions(annotations: list[Annotation]) -> dict[int, list[Region]]:
    rows = Region.objects.filter(annotation__in=annotations, deleted_at=None)
    grouped: dict[int, list[Region]] = defaultdict(list)
    for region in rows.select_related("category").order_by("annotation", "order", "id"):
        grouped[region.annotation_id].append(region)
    return grouped


def _region(region: Region, size: Size) -> RegionRecord:
    return RegionRecord(
        category_id=region.category.export_id,
        geometry=Geometry(size, polygons=region.polygons, counts=region.counts),
        id=region.export_id,
        is_crowd=region.is_crowd,
        area=region.area,
        order=region.order,
        attributes=region.attributes,
    )
