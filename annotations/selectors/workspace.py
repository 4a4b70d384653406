"""What the editor opens with, and which image comes next."""

from itertools import chain
from typing import Any

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery, Sum

from annotations.access import at_least, find, require, role_in
from annotations.errors import NotFound
from annotations.models import (
    Annotation,
    Category,
    Dismissal,
    Image,
    ImageTally,
    Prediction,
    Project,
    Proposal,
    Review,
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
    image = find(Image.objects.select_related("project", "file"), user, pk=image_id)
    role = role_in(user, image.project_id)
    annotation = _annotation_to_open(user, role, image, annotation_id)
    lease = lease_of(user, image, annotation)
    return {
        "project": _project_values(image.project, role),
        "image": image_values(image),
        "categories": [category_values(c) for c in Category.objects.filter(project=image.project)],
        "annotation": annotation and annotation_values(user, role, annotation, image),
        "proposals": newest_proposals(image),
        "lease": lease and lease_values(lease),
        "may_start": may_start(user, role, image.project, lease),
        **_place(image, status),
    }


def _annotation_to_open(
    user, role: str | None, image: Image, annotation_id: int | None
) -> Annotation | None:
    rows = Annotation.objects.visible_to(user).filter(image=image)
    rows = rows.select_related("annotator", "project")
    if annotation_id is not None:
        chosen = rows.filter(pk=annotation_id).first()
        if chosen is None:
            raise NotFound("annotation")
        return chosen
    found = list(rows.order_by("submitted_at", "id"))
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


def category_values(category: Category) -> dict[str, Any]:
    return {
        "id": category.pk,
        "name": category.name,
        "supercategory": category.supercategory,
        "color": category.color,
        "hotkey": category.hotkey,
        "is_thing": category.is_thing,
        "order": category.order,
        "attributes": category.attributes,
        "archived": category.archived,
    }


def annotation_values(
    user, role: str | None, annotation: Annotation, image: Image
) -> dict[str, Any]:
    """An annotation with its regions, dismissals, reviews and comments."""
    submitted = annotation.status == Status.SUBMITTED
    return new_annotation_values(annotation) | {
        "editable": may_edit(user, annotation),
        "fixing": submitted and annotation.fixer_id == user.pk,
        "reviewable": submitted and may_judge(user, role, annotation),
        "regions": live_regions(annotation, image),
        "dismissed": [proposal for (proposal,) in _DISMISSED(annotation.pk)],
        "reviews": [review_values(review) for review in reviews_of(annotation)],
        "comments": [comment_values(comment) for comment in comments_of(annotation)],
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


_DISMISSED = Prepared(
    lambda annotation: Dismissal.objects.filter(annotation=annotation).values_list("proposal")
)
_PREDICTED = Prepared(
    lambda image: Prediction.objects.filter(image=image).order_by().values_list("pk")[:1]
)


def newest_proposals(image: Image) -> list[dict[str, Any]]:
    """The proposals of the newest prediction of each model, the surest first."""
    if not _PREDICTED(image.pk):
        return []
    models = Prediction.objects.filter(image=image).order_by().values("model")
    newest = models.annotate(newest=Max("pk")).values("newest")
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


def _place_query(status: str) -> Prepared:
    """Previous, next, how many in the image's block before it, in earlier blocks, and in all."""
    only = {"status": status} if status else {}

    def one(rows: QuerySet[Any], number: Any) -> Subquery:
        return Subquery(rows.order_by().values("project").annotate(one=number).values("one"))

    def build(project: int, pk: int, first: int, block: int) -> QuerySet[Any, Any]:
        rows = Image.objects.filter(project=project, **only)
        tallies = ImageTally.objects.filter(project=project, **only)
        return Image.objects.filter(pk=pk).values_list(
            Subquery(rows.filter(pk__lt=pk).order_by("-pk").values("pk")[:1]),
            Subquery(rows.filter(pk__gt=pk).order_by("pk").values("pk")[:1]),
            one(rows.filter(pk__gte=first, pk__lt=pk), Count("pk")),
            one(tallies.filter(block__lt=block), Sum("number")),
            one(tallies, Sum("number")),
        )

    return Prepared(build)


_PLACES = {status: _place_query(status) for status in ("", *Image.Status.values)}


def _place(image: Image, status: str) -> dict[str, Any]:
    """Where the image is among those of its project (and of one status), by id.

    The image itself counts whatever its status. Whole blocks of ids come from the tallies.
    """
    block = image.pk // ImageTally.BLOCK
    place = _PLACES[status](image.project_id, image.pk, block * ImageTally.BLOCK, block)
    previous, following, *numbers = place[0]
    near, before, total = (number or 0 for number in numbers)
    stranger = bool(status) and image.status != status
    return {
        "previous": previous,
        "next": following,
        "position": before + near + 1,
        "total": total + stranger,
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
