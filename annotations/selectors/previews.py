"""The small pictures and names that lists show beside their rows."""

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from annotations.access import require
from annotations.models import Annotation, Batch, Category, Image, Project, Region, User
from annotations.models.annotations import AnnotationQuerySet
from annotations.models.projects import ProjectQuerySet, Role
from annotations.prepared import Prepared

MOSAIC = 4


def with_mosaic(projects: ProjectQuerySet) -> ProjectQuerySet:
    """Each with the ids of its first images as `mosaic_0` … `mosaic_3`, or None."""
    first = Image.objects.filter(project=OuterRef("pk")).order_by("pk").values("pk")
    return projects.annotate(**{f"mosaic_{n}": Subquery(first[n : n + 1]) for n in range(MOSAIC)})


def mosaic_of(project: Project) -> list[int]:
    """The image ids that `with_mosaic` gave the project."""
    found = (getattr(project, f"mosaic_{n}") for n in range(MOSAIC))
    return [pk for pk in found if pk is not None]


def with_region_count(annotations: AnnotationQuerySet) -> AnnotationQuerySet:
    """Each with the number of regions that are not deleted, as `region_count`."""
    # Not a join: that would count the regions of all annotations before the first page is cut off.
    live = Region.objects.filter(annotation=OuterRef("pk"), deleted_at=None).order_by()
    counted = live.values("annotation").annotate(number=Count("pk")).values("number")
    return annotations.annotate(region_count=Coalesce(Subquery(counted), 0))


_BATCH_NAMES = Prepared(
    lambda project: (
        Batch.objects.filter(project=project).order_by("order", "pk").values_list("name")
    )
)


def batch_names(user, project: Project) -> list[str]:
    """The names of the project's batches, in their order."""
    require(user, project, Role.ANNOTATOR)
    return [name for (name,) in _BATCH_NAMES(project.pk)]


_CATEGORY_NAMES = Prepared(
    lambda project: (
        Category.objects.filter(project=project).order_by("order", "pk").values_list("pk", "name")
    )
)


def category_names(user, project: Project) -> list[tuple[int, str]]:
    """Ids and names of the project's categories, archived ones too, in their order."""
    require(user, project, Role.ANNOTATOR)
    return [(pk, name) for pk, name in _CATEGORY_NAMES(project.pk)]


_WORKING = Prepared(
    lambda project: (
        User.objects.filter(
            pk__in=Annotation.objects.filter(project=project).order_by().values("annotator")
        )
        .order_by("username")
        .values_list("username")
    )
)


def annotators(user, project: Project) -> list[str]:
    """The names of those who have labeled in the project; for who may see everybody's work only."""
    require(user, project, Role.REVIEWER)
    return [name for (name,) in _WORKING(project.pk)]
