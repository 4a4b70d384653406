"""What several people say together, as a proposal: a prediction of the model `consensus`.

It overwrites nothing, is accepted like any proposal, and goes when its job is undone.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, QuerySet

from annotations.access import require
from annotations.errors import Conflict, NotFound, ServiceError
from annotations.masks import agreement, matching, rle
from annotations.models import Annotation, Image, Job, Prediction, Project, Proposal
from annotations.models.projects import Role
from annotations.selectors.shapes import shapes_of
from annotations.services import jobs
from annotations.services.measuring import COUNTED

METHODS = {
    "majority": "Majority of each pixel",
    "staple": "STAPLE",
    "instances": "Matched objects, majority of their pixels",
}
MODEL = "consensus"


def candidates(project: Project, least: int = 2) -> QuerySet[Image]:
    """Images that at least so many people submitted."""
    several = (
        Annotation.objects.filter(project=project, status__in=COUNTED)
        .order_by()
        .values("image")
        .annotate(people=Count("pk"))
        .filter(people__gte=least)
    )
    return Image.objects.filter(project=project, pk__in=several.values("image"))


def start(
    user,
    project: Project,
    *,
    method: str,
    images: Sequence[int] | None = None,
    least: int = 2,
    key: str = "",
) -> Job:
    """Queue the consensus of these images, or of all that `least` people labeled. Managers only.

    409 `nothing_to_do`: there is no such image.
    """
    require(user, project, Role.MANAGER)
    if method not in METHODS:
        raise ServiceError(400, "invalid", f"One of {', '.join(METHODS)}.", "method")
    found = candidates(project, least)
    if images is not None:
        known = set(project.images.filter(pk__in=images).values_list("pk", flat=True))
        if missing := [pk for pk in images if pk not in known]:
            raise NotFound(f"image {missing[0]} in this project")
        found = found.filter(pk__in=images)
    pks = list(found.order_by("pk").values_list("pk", flat=True))
    if not pks:
        raise Conflict(
            "nothing_to_do",
            f"No image was submitted by {least} people.",
            hint="Ask for several annotators per image in the project's settings.",
        )
    return jobs.enqueue(
        project=project,
        kind=Job.Kind.CONSENSUS,
        user=user,
        params={"method": method},
        key=key,
        image_ids=pks,
    )


def run_consensus(run: jobs.JobRun) -> None:
    """The handler of a `consensus` job."""
    method = run.job.params["method"]
    things = dict(run.job.project.categories.values_list("pk", "is_thing"))
    written = 0
    for done, item in enumerate(run.pending(), 1):
        began = time.perf_counter()
        regions = regions_of(item.image, method, things)
        with transaction.atomic():
            run.hold()
            if regions:
                _write(run.job, item.image, method, regions, time.perf_counter() - began)
                written += 1
            run.end_item(item, seconds=time.perf_counter() - began)
        run.progress(done, message="Comparing annotations")
    with transaction.atomic():
        run.hold()
        run.finish({"predictions": written}, f"Consensus of {written} images")


Consensus = tuple[int, str, float]
"""Category, counts, score."""


def regions_of(image: Image, method: str, things: dict[int, bool]) -> list[Consensus]:
    """What the people who submitted the image say together.

    Pixel by pixel for stuff and in semantic projects, and by matched objects for things; with
    `majority` and `instances` an object has the pixels that most of those who drew it have.
    """
    size = (image.height, image.width)
    rows = Annotation.objects.filter(image=image, status__in=COUNTED).order_by("annotator_id")
    people = [shapes_of(row, image) for row in rows]
    if len(people) < 2:
        return []
    by_pixel = image.project.kind == Project.Kind.SEMANTIC
    stuff = [[s for s in mine if by_pixel or not things.get(s.category or 0)] for mine in people]
    objects = [[s for s in mine if not by_pixel and things.get(s.category or 0)] for mine in people]
    found: list[Consensus] = []
    if any(stuff):
        maps = np.stack([matching.label_map(mine, size) for mine in stuff])
        pixels = agreement.consensus_pixels(maps, method)
        found += [(category, counts, 1.0) for category, counts in pixels.items()]
    if any(objects):
        found += agreement.consensus_objects(objects, size, method)
    return found


def _write(job: Job, image: Image, method: str, regions: list[Consensus], seconds: float) -> None:
    prediction = Prediction.objects.create(
        image=image, job=job, model=MODEL, model_version=method, seconds=seconds
    )
    size = (image.height, image.width)
    Proposal.objects.bulk_create(
        Proposal(
            prediction=prediction,
            category_id=category,
            counts=counts,
            area=rle.area(counts),
            bbox=list(rle.bbox(counts, size)),
            score=score,
        )
        for category, counts, score in regions
    )


def undo(user, job: Job) -> int:
    """Removes what a consensus job proposed; regions accepted from it stay. Managers only."""
    require(user, job.project_id, Role.MANAGER)
    if job.kind != Job.Kind.CONSENSUS:
        raise Conflict("not_consensus", "Only a consensus can be undone.")
    if job.state in (Job.State.QUEUED, Job.State.RUNNING):
        raise Conflict("running", "It is still being made.", hint="Cancel the job first.")
    rows: QuerySet[Any] = Prediction.objects.filter(job=job)
    count = rows.count()
    rows.delete()
    return count
