"""The image grid. How many images have which status: `selectors.projects.image_counts`."""

from typing import Any

from django.db.models import OuterRef, Prefetch, Subquery, prefetch_related_objects

from annotations.access import at_least, find, require
from annotations.models import Annotation, Image, Project, Region, User
from annotations.models.images import ImageQuerySet
from annotations.models.projects import Role
from annotations.selectors.walks import walk

MOST_AT_ONCE = 5000


def list_images(
    user,
    project: Project,
    *,
    after: int = 0,
    limit: int = 100,
    status: str = "",
    search: str = "",
    annotator: str = "",
    category: int | None = None,
) -> tuple[list[Image], int | None]:
    """At most `limit` of the project's images past the id `after`, and the id to go on with.

    Each has the annotations that `user` may see in `seen`. `search` is part of the name, in any
    case; `annotator` a username; `category` an id: images with a region of it that `user` may see.
    """
    sees_all = at_least(require(user, project, Role.ANNOTATOR), Role.REVIEWER)
    rows = Image.objects.filter(project=project)
    sets: dict[str, Any] = {"project": project.pk}
    if status:
        rows = rows.filter(status=status)
        sets["status"] = status
    if search:
        rows = rows.filter(name__icontains=search)
    if annotator:
        person = User.objects.filter(username=annotator).first()
        if person is None or not (sees_all or person == user):
            return [], None
        sets["annotator"] = person.pk
    if category is not None:
        sets["category"] = category
        if status == Image.Status.NEW:  # of those only gold images have regions
            sets["gold"] = True
        if not sees_all:
            sets["annotator"] = user.pk
            own = Region.objects.filter(image=OuterRef("pk"), category=category, deleted_at=None)
            own = own.filter(annotation__annotator=user).order_by()
            rows = rows.alias(own=Subquery(own.values("pk")[:1])).filter(own__isnull=False)
    few = {"project", "status"}.issuperset(sets)
    found = (_first if few else _among)(rows, sets, after, limit + 1)
    more = len(found) > limit
    found = found[:limit]
    prefetch_related_objects(found, _annotations(user))
    return found, found[-1].pk if more else None


def _first(rows: ImageQuerySet, sets: dict[str, Any], after: int, most: int) -> list[Image]:
    return list(rows.filter(pk__gt=after).order_by("pk")[:most])


def _among(rows: ImageQuerySet, sets: dict[str, Any], after: int, most: int) -> list[Image]:
    """The first of `rows` that are in all of `sets`, which hold all of `rows` and maybe more."""
    found: list[Image] = []
    size = most
    while len(found) < most:
        ids = walk(sets, after, size)
        found += rows.filter(pk__in=ids).order_by("pk")
        if len(ids) < size:
            break
        after, size = ids[-1], min(4 * size, MOST_AT_ONCE)
    return found[:most]


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
