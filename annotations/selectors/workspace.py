"""What the editor opens with, and which image comes next."""

from itertools import chain
from typing import Any

from django.db.models import Count, Exists, F, Max, Model, OuterRef, QuerySet, Subquery, Sum

from annotations.access import MAX_ID, at_least, require
from annotations.errors import NotFound
from annotations.models import (
    Annotation,
    Category,
    Comment,
    Dismissal,
    Image,
    ImageTally,
    Prediction,
    Project,
    Proposal,
    Review,
    User,
)
from annotations.models.projects import Role
from annotations.prepared import Prepared
from annotations.selectors.annotations import (
    live_regions,
    mask_values,
    may_edit,
    may_judge,
)
from annotations.selectors.reviews import (
    comment_values,
    comments_of,
    review_queue,
    review_values,
    reviews_of,
)
from annotations.selectors.work import (
    lease_of,
    lease_values,
    may_start,
    open_images,
    queues,
    without,
)

Status = Annotation.Status


def workspace(
    user, image_id: int, *, annotation_id: int | None = None, status: str = ""
) -> dict[str, Any]:
    """All that the editor needs for one image; the number of queries is fixed.

    `annotation_id`: that annotation instead of the own one. `status`: previous, next, position and
    total among the images of that status only.
    """
    image = _image_and_place(user, image_id, status)
    role = Role(image.role)
    annotation = _annotation_to_open(user, role, image, annotation_id)
    lease = lease_of(user, image, annotation)
    return {
        "project": _project_values(image.project, role),
        "image": image_values(image),
        "categories": _categories(image.project_id),
        "annotation": annotation and annotation_values(user, role, annotation, image),
        "proposals": newest_proposals(image) if image.predicted else [],
        "lease": lease and lease_values(lease),
        "may_start": may_start(user, role, image.project, lease),
        **_place(image, status),
    }


_ANNOTATIONS = Prepared(
    lambda user, image: (
        Annotation.objects.visible_to(User(pk=user))
        .filter(image=image)
        .select_related("annotator")
        .order_by("submitted_at", "id")
    )
)


def _annotation_to_open(
    user, role: Role, image: Image, annotation_id: int | None
) -> Annotation | None:
    found = _ANNOTATIONS.instances(user.pk, image.pk)
    for one in found:
        one.project = image.project
    if annotation_id is not None:
        chosen = next((one for one in found if one.pk == annotation_id), None)
        if chosen is None:
            raise NotFound("annotation")
        return chosen
    own = next((a for a in found if a.annotator_id == user.pk), None)
    if own or not at_least(role, Role.REVIEWER):
        return own
    judged_last = {Status.SUBMITTED: 0, Status.APPROVED: 1}
    return min(found, key=lambda a: judged_last.get(Status(a.status), 2), default=None)


def _project_values(project: Project, role: str | None) -> dict[str, Any]:
    return {
        "id": project.pk,
        "name": project.name,
        "kind": project.kind,
        "guidelines": project.guidelines,
        "role": role,
    }


def image_values(image: Image) -> dict[str, Any]:
    return {
        "id": image.pk,
        "uuid": str(image.uuid),
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "status": image.status,
        "reason": image.reason if image.status == Image.Status.NEW else "",
        "url": f"/api/images/{image.pk}/file",
        "thumbnail_url": f"/api/images/{image.pk}/thumbnail",
        "levels": image.file.levels,
        "window": image.file.window,
    }


_CATEGORY = (
    "id", "name", "supercategory", "color", "hotkey", "is_thing", "order", "attributes",
)  # fmt: skip
_CATEGORIES = Prepared(
    lambda project: Category.objects.filter(project=project).values_list(*_CATEGORY, "archived_at")
)


def _categories(project_id: int) -> list[dict[str, Any]]:
    return [
        dict(zip(_CATEGORY, values, strict=True)) | {"archived": archived_at is not None}
        for *values, archived_at in _CATEGORIES(project_id)
    ]


def annotation_values(
    user, role: str | None, annotation: Annotation, image: Image
) -> dict[str, Any]:
    """An annotation with its regions, dismissals, reviews and comments."""
    submitted = annotation.status == Status.SUBMITTED
    dismissed, reviewed, commented = _ATTACHED(annotation.pk)[0]
    return new_annotation_values(annotation) | {
        "editable": may_edit(user, annotation),
        "fixing": submitted and annotation.fixer_id == user.pk,
        "reviewable": submitted and may_judge(user, role, annotation),
        "regions": live_regions(annotation, image),
        "dismissed": _dismissed(annotation) if dismissed else [],
        "reviews": [review_values(one) for one in reviews_of(annotation)] if reviewed else [],
        "comments": [comment_values(one) for one in comments_of(annotation)] if commented else [],
    }


def new_annotation_values(annotation: Annotation) -> dict[str, Any]:
    """An annotation that its annotator has begun just now."""
    return {
        "id": annotation.pk,
        "image": annotation.image_id,
        "status": annotation.status,
        "revision": annotation.revision,
        "annotator": {"id": annotation.annotator_id, "username": annotation.annotator.username},
        "editable": True,
        "fixing": False,
        "reviewable": False,
        "regions": [],
        "dismissed": [],
        "reviews": [],
        "comments": [],
    }


def _attached(annotation: int) -> QuerySet[Any, Any]:
    models: tuple[type[Model], ...] = (Dismissal, Review, Comment)
    rows = [Exists(one._default_manager.filter(annotation=annotation)) for one in models]
    return Annotation.objects.filter(pk=annotation).order_by().values_list(*rows)


_ATTACHED = Prepared(_attached)
"""Whether it has dismissals, reviews and comments; most have none."""


def _dismissed(annotation: Annotation) -> list[int]:
    return list(annotation.dismissals.values_list("proposal", flat=True))


def newest_proposals(image: Image) -> list[dict[str, Any]]:
    """The proposals of the newest prediction of each model, the surest first."""
    newest = Prediction.objects.filter(image=image).newest()
    proposals = Proposal.objects.filter(prediction__in=newest).select_related("prediction")
    return [
        {
            "id": proposal.pk,
            "category": proposal.category_id,
            "mask": mask_values(proposal.counts, image),
            "polygons": proposal.polygons,
            "area": proposal.area,
            "bbox": proposal.bbox,
            "score": proposal.score,
            "is_crowd": proposal.is_crowd,
            "model": proposal.prediction.model,
            "model_version": proposal.prediction.model_version,
        }
        for proposal in proposals
    ]


def _image_query(status: str) -> Prepared:
    """An image with project, file, the person's `role`, whether it was `predicted`, and its place:
    `previous`, `next`, how many are `near` (in its block before it), `before` that, and in all."""
    only = {"status": status} if status else {}

    def one(rows: QuerySet[Any], number: Any) -> Subquery:
        return Subquery(rows.order_by().values("project").annotate(one=number).values("one"))

    def build(user: int, pk: int, first: int, block: int) -> QuerySet[Any, Any]:
        rows = Image.objects.filter(project=OuterRef("project"), **only)
        tallies = ImageTally.objects.filter(project=OuterRef("project"), **only)
        return (
            Image.objects.visible_to(User(pk=user))
            .filter(pk=pk)
            .select_related("project", "file")
            .order_by()
            .annotate(
                role=F("project__memberships__role"),
                predicted=Exists(Prediction.objects.filter(image=pk)),
                previous=Subquery(rows.filter(pk__lt=pk).order_by("-pk").values("pk")[:1]),
                next=Subquery(rows.filter(pk__gt=pk).order_by("pk").values("pk")[:1]),
                near=one(rows.filter(pk__gte=first, pk__lt=pk), Count("pk")),
                before=one(tallies.filter(block__lt=block), Sum("number")),
                total=one(tallies, Sum("number")),
            )
        )

    return Prepared(build)


_IMAGES = {status: _image_query(status) for status in ("", *Image.Status.values)}


def _image_and_place(user, pk: int, status: str) -> Any:
    """What `_image_query` says; or NotFound."""
    block = pk // ImageTally.BLOCK
    asked = (user.pk or 0, pk, block * ImageTally.BLOCK, block)
    image = _IMAGES[status].instance(*asked) if pk <= MAX_ID else None
    if image is None:
        raise NotFound("image")
    return image


def _place(image: Any, status: str) -> dict[str, Any]:
    """Where the image is among those of its project (and of one status), by id.

    The image itself counts whatever its status. Whole blocks of ids come from the tallies.
    """
    stranger = bool(status) and image.status != status
    return {
        "previous": image.previous,
        "next": image.next,
        "position": (image.before or 0) + (image.near or 0) + 1,
        "total": (image.total or 0) + stranger,
    }


def next_to_label(user, project: Project, after: int | None = None) -> int | None:
    """The image that the queue would give `user` next, None when nothing else is left.

    At first: what was sent back, then what is in progress, then the queue. After an image: forward
    by id, so that looking on goes on and not back; what is past the end comes round again, and
    `after` itself never does. `services.work.pull` is what gives it.
    """
    require(user, project, Role.ANNOTATOR)
    own = Annotation.objects.filter(project=project, annotator=user)
    # A person has few of these, so all are fetched: asked for the first one by the image's id,
    # databases walk the images of the project.
    going_on = own.filter(status__in=[Status.SENT_BACK, Status.IN_PROGRESS]).order_by()
    mine = sorted(going_on.exclude(image=after).values_list("image", "status"))
    sent_back = [image for image, status in mine if status == Status.SENT_BACK]
    begun = [image for image, status in mine if status == Status.IN_PROGRESS]
    if after is None:
        waiting = (rows.values_list("pk", flat=True).first() for rows in queues(user, project))
        return next((pk for pk in chain(sent_back, begun, waiting) if pk), None)
    fixing = Review.objects.filter(
        annotation__in=own, annotation__image=after, verdict=Review.Verdict.SEND_BACK
    ).exists()
    untouched = without(open_images(user, project), own.filter(image=OuterRef("pk")))
    new = untouched.exclude(pk=after).order_by("pk").values_list("pk", flat=True)
    ahead = [image for image in (sent_back if fixing else begun) if image > after][:1]
    if not fixing:
        ahead += new.filter(pk__gt=after)[:1]
    return min(ahead, default=None) or next(chain(sent_back, begun, new[:1]), None)


def next_to_review(user, project: Project, after: int | None = None) -> Annotation | None:
    """The annotation that waits longest, and after an image the one that came in after it.

    Past the end it begins again; annotations of `after` itself do not come.
    """
    queue = review_queue(user, project)
    if after is None:
        return queue.first()
    queue = queue.exclude(image=after)
    last = (
        Annotation.objects.visible_to(user)
        .filter(project=project, image=after)
        .aggregate(at=Max("submitted_at"))["at"]
    )
    later = queue.filter(submitted_at__gte=last).first() if last else None
    return later or queue.first()
