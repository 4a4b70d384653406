"""The image grid. How many images have which status: `selectors.projects.image_counts`."""

from math import isqrt
from typing import Any

from django.core.cache import cache
from django.db.models import Exists, OuterRef, Prefetch, Subquery

from annotations.access import at_least, find, require
from annotations.models import Annotation, Gold, Image, Project, Region
from annotations.models.images import ImageQuerySet
from annotations.models.projects import Role
from annotations.selectors.projects import image_counts

RARE = 64
"""A category is rare that has at most the root of so many regions for each image of the project.

Walking the images of a commoner one for a page takes less time than looking up all of its regions.
"""
COMMON_SECONDS = 3600
"""So long is remembered that a category has more: counting those takes half of the page's time."""


def list_images(
    user,
    project: Project,
    *,
    status: str = "",
    search: str = "",
    annotator: str = "",
    category: int | None = None,
) -> ImageQuerySet:
    """The project's images, each with the annotations that `user` may see in `seen`.

    `search` is part of the name, in any case; `annotator` a username; `category` an id: images
    with a region of it that `user` may see.
    """
    role = require(user, project, Role.ANNOTATOR)
    rows = Image.objects.filter(project=project)
    if status:
        rows = rows.filter(status=status)
    if search:
        rows = rows.filter(name__icontains=search)
    if annotator:
        theirs = Annotation.objects.visible_to(user).filter(annotator__username=annotator)
        rows = rows.filter(Exists(theirs.filter(image=OuterRef("pk"))))
    if category is not None:
        if status == Image.Status.NEW:  # of those only gold images have regions
            rows = rows.filter(pk__in=Gold.objects.filter(image__project=project).values("image"))
        if at_least(role, Role.REVIEWER):
            rows = _with_category(rows, project, category)
        else:
            one = Region.objects.filter(annotation=OuterRef("pk"), category=category)
            mine = Annotation.objects.filter(project=project, annotator=user).order_by()
            mine = mine.filter(Exists(one.filter(deleted_at=None)))
            rows = rows.filter(pk__in=mine.values("image"))
    return rows.prefetch_related(_annotations(user))


def _with_category(rows: ImageQuerySet, project: Project, category: int) -> ImageQuerySet:
    """Those with a region of the category, whoever made it.

    A rare category is looked up from its regions, a common one by walking the images in order.
    Databases guess wrong here, and then join all annotations before the first page is cut off; so
    each way leaves them no choice.
    """
    regions = Region.objects.filter(category=category, deleted_at=None).order_by()
    key = f"common-category-{category}"
    if not cache.get(key):
        rare = isqrt(RARE * sum(image_counts([project.pk])[project.pk].values()))
        if regions[: rare + 1].count() <= rare:
            annotation = Annotation.objects.filter(pk=OuterRef("annotation")).order_by()
            images = regions.values_list(Subquery(annotation.values("image")[:1]))
            return rows.filter(pk__in=images[:rare])
        cache.set(key, True, COMMON_SECONDS)
    one = regions.filter(annotation__image=OuterRef("pk")).values("pk")
    return rows.annotate(one_region=Subquery(one[:1])).filter(one_region__isnull=False)


def get_image(user, pk: int) -> Image:
    """One image that `user` may see, with file, project and `seen` annotations; or NotFound."""
    rows = Image.objects.select_related("file", "project").prefetch_related(_annotations(user))
    return find(rows, user, pk=pk)


def _annotations(user) -> Prefetch:
    rows = Annotation.objects.visible_to(user).select_related("annotator").order_by("id")
    rows = rows.only("id", "status", "image", "annotator__username")
    return Prefetch("annotations", queryset=rows, to_attr="seen")


def image_line(image: Image) -> dict[str, Any]:
    """An image in a list; `seen` as above, or a new image, which nobody has annotated."""
    return {
        "id": image.pk,
        "uuid": str(image.uuid),
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "status": image.status,
        "created_at": image.created_at,
        "url": f"/api/images/{image.pk}/file",
        "thumbnail_url": f"/api/images/{image.pk}/thumbnail",
        "annotations": [
            {
                "id": one.pk,
                "status": one.status,
                "annotator": {"id": one.annotator_id, "username": one.annotator.username},
            }
            for one in getattr(image, "seen", ())
        ],
    }
