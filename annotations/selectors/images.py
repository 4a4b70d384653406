"""The image grid. How many images have which status: `selectors.projects.image_counts`."""

from django.db.models import Exists, OuterRef, Prefetch

from annotations.access import find, require
from annotations.models import Annotation, Image, Project, Region
from annotations.models.images import ImageQuerySet
from annotations.models.projects import Role


def list_images(
    user,
    project: Project,
    *,
    status: str = "",
    search: str = "",
    annotator: str = "",
    category: int | None = None,
) -> ImageQuerySet:
    """The project's images, each with the annotations that `user` may see in `annotations.all()`.

    `search` is part of the name, in any case; `annotator` a username; `category` an id: images
    with a region of it that `user` may see.
    """
    require(user, project, Role.ANNOTATOR)
    rows = Image.objects.filter(project=project)
    if status:
        rows = rows.filter(status=status)
    if search:
        rows = rows.filter(name__icontains=search)
    if annotator:
        theirs = Annotation.objects.visible_to(user).filter(annotator__username=annotator)
        rows = rows.filter(Exists(theirs.filter(image=OuterRef("pk"))))
    if category is not None:
        seen = Annotation.objects.visible_to(user).filter(image=OuterRef("pk"))
        regions = Region.objects.filter(annotation=OuterRef("pk"), deleted_at=None)
        rows = rows.filter(Exists(seen.filter(Exists(regions.filter(category=category)))))
    return rows.prefetch_related(_annotations(user))


def get_image(user, pk: int) -> Image:
    """One image that `user` may see, with file, project and visible annotations; or NotFound."""
    rows = Image.objects.select_related("file", "project").prefetch_related(_annotations(user))
    return find(rows, user, pk=pk)


def _annotations(user) -> Prefetch:
    rows = Annotation.objects.visible_to(user).select_related("annotator").order_by("id")
    return Prefetch("annotations", queryset=rows)
