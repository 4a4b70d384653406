"""Suspicious labels first: a job ranks what was submitted or approved, people give verdicts."""

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from PIL import Image as Picture

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.masks import suspects as finders
from annotations.masks.matching import Shape
from annotations.masks.suspects import Finding
from annotations.models import (
    Annotation,
    Image,
    Job,
    Prediction,
    Project,
    Proposal,
    Region,
    Suspicion,
)
from annotations.models.projects import Role
from annotations.selectors.annotations import may_judge
from annotations.selectors.shapes import shape_of
from annotations.services import jobs, reviews

MAX_REGIONS = 50_000
"""The newest ones are looked at."""
MAX_KEPT = 2000
Reason, Verdict = Suspicion.Reason, Suspicion.Verdict
JUDGEABLE = (Annotation.Status.SUBMITTED, Annotation.Status.APPROVED)


@dataclass(slots=True)
class _Place:
    """What a finding is about: a region, or a proposal that no region is like."""

    annotation: Annotation
    region: Region | None
    shape: Shape


def start(user, project: Project, key: str = "") -> Job:
    """Queue a search through everything that is submitted or approved. Reviewers and above."""
    require(user, project, Role.REVIEWER)
    running = Job.objects.filter(
        project=project, kind=Job.Kind.SUSPECTS, state__in=[Job.State.QUEUED, Job.State.RUNNING]
    ).first()
    return running or jobs.enqueue(project=project, kind=Job.Kind.SUSPECTS, user=user, key=key)


def run_suspects(run: jobs.JobRun) -> None:
    """The handler of a `suspects` job: open suspicions give way to the new ranking."""
    project = run.job.project
    found = list(_ranked(project, run))
    with transaction.atomic():
        run.hold()
        judged = set(
            Suspicion.objects.filter(project=project)
            .exclude(verdict="")
            .values_list("annotation", "region", "version")
        )
        Suspicion.objects.filter(project=project, verdict="").delete()
        fresh = [
            one for one in found if (one.annotation_id, one.region_id, one.version) not in judged
        ][:MAX_KEPT]
        Suspicion.objects.bulk_create(fresh, batch_size=500)
        run.finish({"suspicions": len(fresh)}, f"{len(fresh)} suspicious labels")


def _ranked(project: Project, run: jobs.JobRun) -> Iterator[Suspicion]:
    """The most suspicious first."""
    names = dict(project.categories.values_list("pk", "name"))
    places, values, thumbs, findings = _looked_at(project, run, names)
    if places:
        run.progress(run.job.total, message="Comparing with what is usual")
        findings += _compared(places, values, thumbs, names)
    named, confirmed = _named_by_others(places[: len(values)], names)
    ranking = finders.combined(findings + named, confirmed)
    for place, (score, mine) in sorted(ranking.items(), key=lambda one: -one[1][0]):
        where = places[place]
        yield Suspicion(
            project=project,
            annotation=where.annotation,
            region=where.region,
            version=where.region.version if where.region else where.annotation.revision,
            category_id=where.shape.category,
            reason=mine[0].reason,
            detail="; ".join(f"{Reason(one.reason).label.lower()}: {one.text}" for one in mine),
            score=score,
            bbox=list(where.shape.bbox),
        )


def _looked_at(
    project: Project, run: jobs.JobRun, names: dict[int, str]
) -> tuple[list[_Place], list[Any], list[Any], list[Finding]]:
    """Image after image: the regions, their features and small pictures, and what is plain.

    Places beyond the features are proposals that no region is like.
    """
    rows = Annotation.objects.filter(project=project, status__in=JUDGEABLE)
    rows = rows.select_related("image__file", "project").order_by("-pk")
    total = rows.count()
    places: list[_Place] = []
    missed: list[tuple[_Place, float]] = []
    values: list[Any] = []
    thumbs: list[Any] = []
    findings: list[Finding] = []
    for done, annotation in enumerate(rows.iterator(chunk_size=200), 1):
        run.progress(done, total + 1, "Looking at regions")
        if len(places) >= MAX_REGIONS:
            break
        first = len(places)
        image = annotation.image
        size = (image.height, image.width)
        picture = _picture(image)
        regions = list(annotation.regions.filter(deleted_at=None, is_crowd=False))
        shapes = [shape_of(region, image) for region in regions]
        for region, shape in zip(regions, shapes, strict=True):
            for reason, score, text in finders.broken(shape, size):
                findings.append(Finding(len(places), reason, score, text))
            places.append(_Place(annotation, region, shape))
            values.append(finders.features(shape, size, picture))
            thumbs.append(finders.thumb(shape, size, picture))
        for one, other, iou in finders.twice(shapes):
            other_name = names.get(shapes[one].category or 0, "")
            text = f"{iou:.0%} the same pixels as a region of {other_name}"
            findings.append(Finding(first + other, Reason.TWICE, 0.9 * iou, text))
        proposals = _proposals(image)
        disputed, unseen = finders.disputed(shapes, proposals)
        for place, column, score in disputed:
            text = f"it sees {names.get(proposals[column][0].category or 0, 'something else')}"
            findings.append(Finding(first + place, Reason.MODEL, score, text))
        missed += [
            (_Place(annotation, None, proposals[column][0]), score) for column, score in unseen
        ]
    for where, score in missed:
        text = names.get(where.shape.category or 0, "an object")
        findings.append(Finding(len(places), Reason.MISSED, score, text))
        places.append(where)
    return places, values, thumbs, findings


def _compared(
    places: list[_Place], values: list[Any], thumbs: list[Any], names: dict[int, str]
) -> list[Finding]:
    """What only shows beside the other regions of the project."""
    if not values:
        return []
    table = np.array(values)
    known = places[: len(values)]
    categories = np.array([where.shape.category for where in known])
    groups = np.array([where.annotation.image_id for where in known])
    found = finders.odd(table, categories)
    for place, category, score in finders.unlike(table, categories, groups):
        text = f"more like {names[category]}"
        found.append(Finding(place, Reason.CATEGORY, score, text))
    for one, other in finders.twins(np.array(thumbs), categories, groups):
        text = f"the same thing is {names[int(categories[other])]} elsewhere"
        found.append(Finding(one, Reason.TWIN, 0.6, text))
    return found


def _named_by_others(places: list[_Place], names: dict[int, str]) -> tuple[list[Finding], set[int]]:
    """What others who labeled the same image say, and the places where they say the same."""
    of_image: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, where in enumerate(places):
        of_image[where.annotation.image_id][where.annotation.pk].append(place)
    findings: list[Finding] = []
    confirmed: set[int] = set()
    for found in of_image.values():
        if len(found) < 2:
            continue
        mine = [*found.values()]
        shapes = [[places[place].shape for place in person] for person in mine]
        otherwise, same = finders.named_by_others(shapes)
        for person, index, category, score in otherwise:
            text = f"it is {names.get(category or 0, 'something else')} to them"
            findings.append(Finding(mine[person][index], Reason.PEERS, score, text))
        confirmed |= {mine[person][index] for person, index in same}
    return findings, confirmed


def _picture(image: Image) -> Any:
    """The thumbnail as RGB, uint8; gray where it is gone."""
    try:
        with default_storage.open(image.file.thumbnail) as source:
            return np.asarray(Picture.open(io.BytesIO(source.read())).convert("RGB"))
    except FileNotFoundError:
        return np.full((16, 16, 3), 128, np.uint8)


def _proposals(image: Image) -> list[tuple[Shape, float]]:
    """Of the newest prediction of each model, with a category."""
    rows = Prediction.objects.filter(image=image).order_by("pk").values_list("model", "pk")
    found = Proposal.objects.filter(
        prediction__in=dict(rows).values(), category__isnull=False, is_crowd=False
    )
    return [(shape_of(row, image), row.score) for row in found]


# --- verdicts -------------------------------------------------------------------------------------


def judge(user, suspicion: Suspicion, verdict: str) -> Suspicion:
    """What a reviewer says to a suspicion.

    `wrong` sends a submitted annotation back, and reopens an approved one, with the reason as a
    comment; where that is not for `user` (the own work), it leaves the comment alone. Once judged
    it stays so: 409 `judged`.
    """
    require(user, suspicion.project_id, Role.REVIEWER)
    if verdict not in Verdict.values:
        raise ServiceError(400, "invalid", "right, wrong or skip.", "verdict")
    with transaction.atomic():
        now = Suspicion.objects.select_for_update(of=("self",), no_key=True).get(pk=suspicion.pk)
        if now.verdict and now.verdict != Verdict.SKIP:
            if now.verdict == verdict and now.judged_by_id == user.pk:
                return now
            raise Conflict("judged", "Somebody has judged this label already.")
        if verdict == Verdict.WRONG:
            _object(user, now)
        now.verdict = verdict
        now.judged_by = user
        now.judged_at = timezone.now()
        now.save(update_fields=["verdict", "judged_by", "judged_at"])
    return now


def _object(user, suspicion: Suspicion) -> None:
    """Says at the region what is wrong, and gives the annotation back to be made right."""
    annotation = Annotation.objects.select_related("image", "project").get(
        pk=suspicion.annotation_id
    )
    x, y, width, height = suspicion.bbox
    text = f"This label is wrong ({suspicion.detail})."
    region = suspicion.region.uuid if suspicion.region else None
    reviews.add_comment(
        user, annotation, text=text, x=x + width / 2, y=y + height / 2, region=region
    )
    role = require(user, annotation.project_id, Role.REVIEWER)
    if annotation.status == Annotation.Status.APPROVED:
        reviews.reopen(user, annotation, annotation.revision, text)
    elif annotation.status == Annotation.Status.SUBMITTED and may_judge(user, role, annotation):
        reviews.send_back(user, annotation, annotation.revision, text)


def by_reason(project: Project) -> dict[str, int]:
    """How many open suspicions have each reason."""
    counts: dict[str, int] = defaultdict(int)
    rows = Suspicion.objects.filter(project=project, verdict="")
    for reason in rows.values_list("reason", flat=True):
        counts[reason] += 1
    return dict(counts)
