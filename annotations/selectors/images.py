"""The image grid. How many images have which status: `selectors.projects.image_counts`."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.models import OuterRef, Subquery

from annotations.access import at_least, find, may, require
from annotations.models import Annotation, Image, Prediction, Project, Region, User
from annotations.models.annotations import AnnotationQuerySet
from annotations.models.images import ImageQuerySet
from annotations.models.projects import Role
from annotations.prepared import Prepared
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
    if few and not search:
        found = _first(limit + 1, bool(status)).instances(project.pk, after, status)
    elif few:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: limit + 1])
    else:
        found = _among(rows, sets, after, limit + 1)
    more = len(found) > limit
    found = found[:limit]
    _give_seen(found, user, sees_all)
    return found, found[-1].pk if more else None


@cache
def _first(most: int, of_status: bool) -> Prepared:
    def build(project: int, after: int, status: str = "") -> ImageQuerySet:
        rows = Image.objects.filter(project=project, pk__gt=after)
        return (rows.filter(status=status) if of_status else rows).order_by("pk")[:most]

    return Prepared(build)


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
    image = find(Image.objects.select_related("file", "project"), user, pk=pk)
    _give_seen([image], user, may(user, image.project_id, Role.REVIEWER))
    return image


@dataclass(frozen=True, slots=True)
class Seen:
    """An annotation in a list of images."""

    id: int
    status: str
    annotator_id: int
    username: str


def _seen(rows: AnnotationQuerySet) -> Any:
    columns = ("image", "pk", "status", "annotator", "annotator__username")
    return rows.order_by("pk").values_list(*columns)


_ALL_SEEN = Prepared(lambda images: _seen(Annotation.objects.filter(image__in=[images])))
_OWN_SEEN = Prepared(
    lambda images, user: _seen(Annotation.objects.filter(image__in=[images], annotator=user))
)


def _give_seen(images: list[Image], user, sees_all: bool) -> None:
    """`seen` of each: all annotations for who may see them, else those of `user`."""
    ids = [image.pk for image in images]
    rows = (_ALL_SEEN(ids) if sees_all else _OWN_SEEN(ids, user.pk)) if ids else []
    seen: dict[int, list[Seen]] = defaultdict(list)
    for image, *values in rows:
        seen[image].append(Seen(*values))
    for one in images:
        one.seen = seen[one.pk]  # type: ignore[attr-defined]  # as prefetched ones are


def give_proposed(images: list[Image]) -> None:
    """`proposed` of each: whether a model proposed something for it."""
    rows = Prediction.objects.filter(image__in=images).values_list("image", flat=True)
    found = set(rows.distinct().order_by()) if images else set()
    for one in images:
        one.proposed = one.pk in found  # type: ignore[attr-defined]  # as `seen` above


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
                "id": one.id,
                "status": one.status,
                "annotator": {"id": one.annotator_id, "username": one.username},
            }
            for one in getattr(image, "seen", ())
        ],
    }
