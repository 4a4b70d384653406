"""Reading annotations and their regions."""

from typing import Any

from orjson import Fragment

from annotations.access import MAX_ID, at_least, require
from annotations.errors import NotFound
from annotations.models import Annotation, Image, Membership, Project, Region, User
from annotations.models.annotations import AnnotationQuerySet
from annotations.models.projects import Role
from annotations.prepared import Prepared, as_text

EDITABLE = (Annotation.Status.IN_PROGRESS, Annotation.Status.SENT_BACK)


_ONE = Prepared(
    lambda user, pk: (
        Annotation.objects.visible_to(User(pk=user))
        .filter(pk=pk)
        .select_related("image", "project", "annotator")
    )
)


def get_annotation(user, pk: int) -> Annotation:
    """One annotation that `user` may see, with its image, project and annotator; or NotFound."""
    found: Annotation | None = _ONE.instance(user.pk or 0, pk) if pk <= MAX_ID else None
    if found is None:
        raise NotFound("annotation")
    return found


def list_annotations(
    user, project: Project, *, status: str = "", annotator: str = ""
) -> AnnotationQuerySet:
    """Reviewers and above: all annotations of the project; annotators: their own.

    `annotator` is a username.
    """
    require(user, project, Role.ANNOTATOR)
    rows = Annotation.objects.visible_to(user).filter(project=project)
    if status:
        rows = rows.filter(status=status)
    if annotator:
        rows = rows.filter(annotator__username=annotator)
    return rows.select_related("annotator", "image")


def may_edit(user, annotation: Annotation) -> bool:
    """Whether `user` may write regions: one's own that is not submitted, or what one corrects.

    Nobody may in an archived project.
    """
    if annotation.project.archived:
        return False
    if annotation.status == Annotation.Status.SUBMITTED:
        return annotation.fixer_id == user.pk
    return annotation.annotator_id == user.pk and annotation.status in EDITABLE


def may_judge(user, role: str | None, annotation: Annotation) -> bool:
    """Whether `user`, who has `role`, may approve this annotation or send it back.

    Nobody judges the own work, unless nobody else in the project could and its rules allow that.
    """
    if not at_least(role, Role.REVIEWER):
        return False
    return annotation.annotator_id != user.pk or judges_own(user, annotation.project)


def judges_own(user, project: Project) -> bool:
    """Whether `user` may judge the own work, being the only one who could."""
    return project.lone_review and not has_other_reviewer(project.pk, user)


_OTHER_REVIEWER = Prepared(
    lambda project, user: (
        Membership.objects.filter(project=project, user__is_active=True)
        .exclude(role=Role.ANNOTATOR)
        .exclude(user=user)
        .order_by()
        .values_list("pk")[:1]
    )
)


def has_other_reviewer(project_id: int, user) -> bool:
    """Whether the project has somebody besides `user` who may review."""
    return bool(_OTHER_REVIEWER(project_id, user.pk))


_LIVE = Prepared(
    lambda annotation: (
        Region.objects.filter(annotation=annotation, deleted_at=None)
        .order_by("order", "id")
        .values_list(
            *("uuid", "category_id", "counts", as_text("polygons"), "area", as_text("bbox")),
            *("is_crowd", "order", as_text("attributes"), "source", "proposal_id", "version"),
            "author__username",
        )
    )
)


def live_regions(annotation: Annotation, image: Image) -> list[dict[str, Any]]:
    """`region_values` of the regions that are not deleted, in drawing order, ready to be sent.

    An annotation may have thousands, so no model instances are made, and JSON is not read.
    """
    return [
        {
            "uuid": str(uuid),
            "category": category,
            "mask": mask_values(counts, image),
            "polygons": polygons and Fragment(polygons),
            "area": area,
            "bbox": Fragment(bbox),
            "is_crowd": is_crowd,
            "order": order,
            "attributes": Fragment(attributes),
            "source": source,
            "proposal": proposal,
            "version": version,
            "author": author,
        }
        for (
            uuid, category, counts, polygons, area, bbox, is_crowd, order, attributes, source,
            proposal, version, author,
        ) in _LIVE(annotation.pk)
    ]  # fmt: skip


def region_values(region: Region, image: Image) -> dict[str, Any]:
    """A region as the API shows it: `mask` or `polygons`, the other one null."""
    return {
        "uuid": str(region.uuid),
        "category": region.category_id,
        "mask": mask_values(region.counts, image),
        "polygons": region.polygons,
        "area": region.area,
        "bbox": region.bbox,
        "is_crowd": region.is_crowd,
        "order": region.order,
        "attributes": region.attributes,
        "source": region.source,
        "proposal": region.proposal_id,
        "version": region.version,
        "author": region.author.username,
    }


def mask_values(counts: str | None, image: Image) -> dict[str, Any] | None:
    """`{size: [height, width], counts}`, None for a region of polygons."""
    return None if counts is None else {"size": [image.height, image.width], "counts": counts}
