"""Facts of quality, kept up to date: what is submitted or judged is measured soon afterwards.

Whatever changes an annotation's state calls `due` in its transaction. That marks the annotation's
row and wakes a worker within a second; a lost message is harmless, because `services.upkeep` looks
too.
A worker reads, measures outside any transaction, and writes if nothing changed meanwhile. Sums per
day are made again from the facts of that person and day, so measuring twice changes nothing.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotations.masks import agreement, matching
from annotations.masks.matching import Shape
from annotations.models import (
    Annotation,
    Gold,
    Image,
    PairFact,
    Prediction,
    Project,
    Proposal,
    Region,
    RegionDay,
    RegionFact,
    RegionRevision,
    Review,
    WorkDay,
    WorkFact,
)
from annotations.prepared import Insert, Prepared
from annotations.selectors.quality import MADE, RIGHT
from annotations.selectors.shapes import shape_of, shapes_of

log = logging.getLogger(__name__)

Status = Annotation.Status
Origin = RegionFact.Origin
COUNTED = (Status.SUBMITTED, Status.SENT_BACK, Status.APPROVED)
"""An annotation in one of these states was submitted and is not being made again."""

LATE_SECONDS = 60
WAKE_SECONDS = 1.0
TOGETHER = 10
"""So many annotations are measured in a transaction."""


_mark = Insert(WorkFact, unique=["annotation_id"], update=["due"])
_GOLD = Prepared(lambda annotation: Gold.objects.filter(truth=annotation).values_list("image"))


def due(annotation: Annotation) -> None:
    """Call in a transaction: the annotation is to be measured again."""
    fact = WorkFact(
        annotation=annotation,
        due=timezone.now(),
        project_id=annotation.project_id,
        annotator_id=annotation.annotator_id,
    )
    _mark(fact)
    for (image,) in _GOLD(annotation.pk):
        due_again(Annotation.objects.filter(image=image).exclude(pk=annotation.pk))
    transaction.on_commit(wake_soon)


def due_again(annotations: QuerySet[Annotation]) -> None:
    """Measures anew what was measured before, such as when the truth of an image changed."""
    with transaction.atomic():
        for annotation in annotations.filter(status__in=COUNTED):
            due(annotation)


_waking = threading.Lock()
"""Held while a message is about to be sent."""


def wake_soon() -> None:
    """Wakes a worker in WAKE_SECONDS, once for all that becomes due until then."""
    if _waking.acquire(blocking=False):
        timer = threading.Timer(WAKE_SECONDS, _wake_now)
        timer.daemon = True
        timer.start()


def _wake_now() -> None:
    _waking.release()  # first, so that whatever becomes due from now on is told of again
    wake()


def wake() -> None:
    """Tells a worker to look."""
    try:
        current_app.send_task(
            "annotations.tasks.measure", queue="io", retry=False, ignore_result=True
        )
    except Exception:  # any broker's own errors
        log.warning("No worker could be woken to measure; upkeep will", exc_info=True)


def measure_due(at_most: int = 1000) -> int:
    """Measures what is due, the oldest first; returns how many annotations that were."""
    return _measure_all(WorkFact.objects.filter(due__isnull=False), at_most)


def measure_late() -> None:
    """Measures what waits longer than a worker takes: a message was lost."""
    late = timezone.now() - timedelta(seconds=LATE_SECONDS)
    _measure_all(WorkFact.objects.filter(due__lt=late), 100)


def _measure_all(rows: QuerySet[WorkFact], at_most: int) -> int:
    done = 0
    while done < at_most:
        pks = list(rows.order_by("due").values_list("pk", flat=True)[:TOGETHER])
        measure(*pks)
        done += len(pks)
        if len(pks) < TOGETHER:
            break
    return done


def measure(*annotations: int) -> None:
    """Writes the facts of these annotations, of their images' pairs, and the sums of their days.

    So few at a time that a save waits for no longer than for another one.
    """
    rows = WorkFact.objects.filter(pk__in=annotations, due__isnull=False)
    found = [_measured(fact) for fact in rows.select_related("annotation__image")]
    for project in {one.fact.project_id for one in found}:
        with transaction.atomic():
            _lock(project)
            mine = [one for one in found if one.fact.project_id == project]
            now = dict(rows.filter(project=project).values_list("pk", "due"))
            # What has another time changed again, what has none another worker was quicker with.
            _sum_up({cell for one in mine if now.get(one.fact.pk) == one.fact.due
                     for cell in _write(one)})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was found about an annotation. `rows` None: it does not count now."""

    fact: WorkFact
    rows: list[RegionFact] | None
    pairs: list[PairFact]
    gold: bool


def _measured(fact: WorkFact) -> _Measured:
    annotation = fact.annotation
    truth = _truth_of(annotation)
    counted = annotation.status in COUNTED and annotation.submitted_at is not None
    rows = _region_facts(annotation, truth) if counted else None
    return _Measured(fact, rows, _pair_facts(annotation.image), counted and truth is not None)


def _lock(project: int) -> None:
    """Nobody else writes facts of this project until the transaction ends."""
    Project.objects.select_for_update(no_key=True).get(pk=project)


def _write(found: _Measured) -> list[tuple[int, int, date]]:
    """Writes what was found of an annotation; returns the cells whose sums changed."""
    fact, rows = found.fact, found.rows
    annotation = fact.annotation
    before = fact.day
    if before:
        fact.facts.all().delete()
    fact.batch_id = annotation.image.batch_id
    fact.day = None if rows is None else utc_day(annotation.submitted_at)
    fact.seconds = annotation.seconds_spent
    fact.regions = sum(row.region_id is not None for row in rows or ())
    fact.sent_back = annotation.reviews.filter(verdict=Review.Verdict.SEND_BACK).count()
    fact.approved = annotation.status == Status.APPROVED
    fact.gold = found.gold
    fact.due = None
    fact.save()
    for row in rows or ():
        row.work = fact
    RegionFact.objects.bulk_create(rows or [], batch_size=500)
    PairFact.objects.filter(image=annotation.image_id).delete()
    PairFact.objects.bulk_create(found.pairs)
    days = {day for day in (before, fact.day) if day}
    return [(annotation.project_id, annotation.annotator_id, day) for day in days]


def utc_day(at: datetime | None) -> date:
    assert at is not None
    return at.astimezone(UTC).date()


# --- sums -----------------------------------------------------------------------------------------

WORK_SUMS: dict[str, Any] = {
    "annotations": Count("pk"),
    "approved_sum": Count("pk", filter=Q(approved=True)),
    "sent_back_sum": Sum("sent_back"),
    "gold_sum": Count("pk", filter=Q(gold=True)),
    "regions_sum": Sum("regions"),
    "seconds_sum": Sum("seconds"),
}
REGION_KEYS = ("origin", "gold", "category", "proposed", "truth", "model", "model_version")
REGION_SUMS: dict[str, Any] = {
    "count_sum": Sum("count"),
    "area_sum": Sum("area"),
    "seconds_sum": Sum("seconds"),
    "pixels_changed_sum": Sum("pixels_changed"),
    "ious": Coalesce(Sum("iou"), 0.0),
    "gold_ious": Coalesce(Sum("gold_iou"), 0.0),
    "gold_dices": Coalesce(Sum("gold_dice"), 0.0),
    "gold_boundaries": Coalesce(Sum("gold_boundary"), 0.0),
}


MADE_SUMS: dict[str, Any] = {
    "made": Sum("count", filter=MADE, default=0),
    "made_seconds": Sum("seconds", filter=MADE, default=0.0),
    **{
        verdict.value: Sum("count", filter=Q(gold=verdict), default=0)
        for verdict in RegionFact.Gold
    },
    "ious": Sum("gold_iou", filter=RIGHT, default=0.0),
    "dices": Sum("gold_dice", filter=RIGHT, default=0.0),
    "boundaries": Sum("gold_boundary", filter=RIGHT, default=0.0),
}


def _sum_up(cells: Iterable[tuple[int, int, Any]]) -> None:
    """Makes the sums of these cells (project, annotator, day) anew, and those of their days."""
    days = set()
    for project, annotator, day in cells:
        which = {"project_id": project, "annotator_id": annotator, "day": day}
        WorkDay.objects.filter(**which).delete()
        RegionDay.objects.filter(**which).delete()
        _add_up(WorkFact.objects.filter(**which))
        days.add((project, day))
    for project, day in days:
        rows = RegionDay.objects.filter(project=project, day=day)
        rows.filter(annotator=None).delete()
        _add_up_people(rows)


def sum_up_project(project: Project) -> None:
    """All sums of a project anew, from its facts."""
    with transaction.atomic():
        _lock(project.pk)
        WorkDay.objects.filter(project=project).delete()
        RegionDay.objects.filter(project=project).delete()
        _add_up(WorkFact.objects.filter(project=project, day__isnull=False))
        _add_up_people(RegionDay.objects.filter(project=project))


def _add_up(facts: QuerySet[WorkFact]) -> None:
    where = ("project_id", "annotator_id", "batch_id", "day")
    keys = {f"{name}_key": F(f"work__{name}") for name in where}
    regions = RegionFact.objects.filter(work__in=facts).order_by()
    rows: Iterable[Any] = regions.values(**keys).annotate(**MADE_SUMS)
    made = {tuple(row.pop(key) for key in keys): row for row in rows}
    rows = facts.order_by().values(*where).annotate(**WORK_SUMS)
    WorkDay.objects.bulk_create(
        (WorkDay(**_named(row), **made.get(tuple(row[key] for key in where), {})) for row in rows),
        batch_size=500,
    )
    rows = regions.values(*REGION_KEYS, **keys).annotate(**REGION_SUMS)
    RegionDay.objects.bulk_create((RegionDay(**_named(row)) for row in rows), batch_size=500)


def _add_up_people(rows: QuerySet[RegionDay]) -> None:
    """The sums of all people from those of each, of days that have none yet."""
    names = (
        "count", "area", "seconds", "pixels_changed", "ious", "gold_ious", "gold_dices",
        "gold_boundaries",
    )  # fmt: skip
    sums = {f"{name}_sum": Sum(name) for name in names}
    of_people = rows.exclude(annotator=None).order_by()
    found = of_people.values("project_id", "batch_id", "day", *REGION_KEYS).annotate(**sums)
    RegionDay.objects.bulk_create((RegionDay(**_named(row)) for row in found), batch_size=500)


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """A grouped row as fields of a table: aggregates may not have the names of fields."""
    names = {name: name.removesuffix("_sum").removesuffix("_key") for name in row}
    ids = {"category": "category_id", "proposed": "proposed_id", "truth": "truth_id"}
    return {ids.get(name, name): row[key] for key, name in names.items()}


def forget(images: QuerySet[Image]) -> None:
    """Call in the transaction that removes these images: what they added to sums goes with them."""
    facts = WorkFact.objects.filter(annotation__image__in=images, day__isnull=False)
    cells = list(facts.order_by().values_list("project_id", "annotator_id", "day").distinct())
    facts.delete()
    _sum_up(cells)


def measure_project(project: Project) -> int:
    """Everything of a project anew; returns how many annotations were measured."""
    rows = Annotation.objects.filter(project=project, status__in=COUNTED)
    due_again(rows)
    mine = WorkFact.objects.filter(project=project, due__isnull=False)
    count = _measure_all(mine, mine.count())
    sum_up_project(project)
    return count


# --- one annotation -------------------------------------------------------------------------------


def _region_facts(annotation: Annotation, truth: Annotation | None) -> list[RegionFact]:
    """What is true of the annotation's regions, of the proposals it left out, of what it missed."""
    regions = list(annotation.regions.filter(deleted_at=None).order_by("order", "id"))
    taken = Region.objects.filter(annotation=annotation, proposal__isnull=False)
    used = dict(taken.values_list("proposal_id", "deleted_at"))
    offered = _offered(annotation)
    wanted = Proposal.objects.filter(Q(pk__in=used) | Q(prediction__in=offered))
    rows = wanted.select_related("prediction") if used or offered else ()
    proposals = {proposal.pk: proposal for proposal in rows}
    shapes = {}
    if used or truth:
        shapes = {region.pk: shape_of(region, annotation.image) for region in regions}
    seconds = dict(
        RegionRevision.objects.filter(region__annotation=annotation)
        .order_by()
        .values_list("region")
        .annotate(Sum("seconds"))
    )
    made = {
        region.pk: _region_fact(annotation, region, shapes.get(region.pk), proposals)
        for region in regions
    }
    for pk, fact in made.items():
        fact.seconds = seconds.get(pk, 0.0)
    left_out: list[RegionFact] = []
    if proposals:
        left_out = _left_out(annotation, proposals, {r.proposal_id for r in regions}, set(used))
    missed = _against_truth(annotation, truth, made, shapes) if truth else []
    return [*made.values(), *left_out, *missed]


def _offered(annotation: Annotation) -> list[int]:
    """The newest prediction of each model that was there when the annotation was submitted."""
    rows = Prediction.objects.filter(
        image=annotation.image_id, created_at__lte=annotation.submitted_at
    )
    newest = dict(rows.order_by("pk").values_list("model", "pk"))
    return list(newest.values())


def _region_fact(
    annotation: Annotation, region: Region, shape: Shape | None, proposals: dict[int, Proposal]
) -> RegionFact:
    fact = RegionFact(
        region=region, category_id=region.category_id, area=region.area, origin=Origin.DRAWN
    )
    proposal = proposals.get(region.proposal_id or 0)
    if proposal is None or shape is None:
        return fact
    size = (annotation.image.height, annotation.image.width)
    change = matching.overlap(shape_of(proposal, annotation.image), shape, size)
    renamed = proposal.category_id not in (None, region.category_id)
    fact.origin = Origin.EDITED if change.pixels or renamed else Origin.ACCEPTED
    fact.proposal = proposal
    fact.proposed_id = proposal.category_id
    fact.model = proposal.prediction.model
    fact.model_version = proposal.prediction.model_version
    fact.iou = change.iou
    fact.pixels_changed = change.pixels
    return fact


def _left_out(
    annotation: Annotation,
    proposals: dict[int, Proposal],
    kept: set[int | None],
    used: set[int | None],
) -> list[RegionFact]:
    """One fact per category and model for what was rejected, and for what was not used."""
    dismissed = set(annotation.dismissals.values_list("proposal_id", flat=True))
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for pk, proposal in proposals.items():
        if pk not in kept:
            origin = Origin.REJECTED if pk in dismissed or pk in used else Origin.UNUSED
            made_by = (proposal.prediction.model, proposal.prediction.model_version)
            counts[(origin, proposal.category_id, *made_by)] += 1
    return [
        RegionFact(
            origin=origin,
            category_id=category,
            proposed_id=category,
            model=model,
            model_version=version,
            count=count,
        )
        for (origin, category, model, version), count in counts.items()
    ]


def _truth_of(annotation: Annotation) -> Annotation | None:
    gold = Gold.objects.filter(image=annotation.image_id).select_related("truth__image").first()
    return None if gold is None or gold.truth_id == annotation.pk else gold.truth


def _against_truth(
    annotation: Annotation,
    truth: Annotation,
    made: dict[int, RegionFact],
    shapes: dict[int, Shape],
) -> list[RegionFact]:
    """Scores the facts against the image's truth, and returns those of what was missed."""
    size = (annotation.image.height, annotation.image.width)
    wanted = shapes_of(truth)
    keys, given = list(made), list(shapes.values())
    found = matching.compare(given, wanted)
    for verdict, matches in (
        (RegionFact.Gold.RIGHT, found.right),
        (RegionFact.Gold.WRONG, found.wrong),
    ):
        for match in matches:
            fact, target = made[keys[match.predicted]], wanted[match.truth]
            overlap = matching.overlap(given[match.predicted], target, size)
            fact.gold, fact.truth_id = verdict, target.category
            fact.gold_iou, fact.gold_dice = overlap.iou, overlap.dice
            fact.gold_boundary = overlap.boundary_iou
    for place in found.extra:
        made[keys[place]].gold = RegionFact.Gold.EXTRA
    return [
        RegionFact(
            origin=Origin.MISSED,
            gold=RegionFact.Gold.MISSING,
            category_id=wanted[place].category,
            truth_id=wanted[place].category,
            area=wanted[place].area,
        )
        for place in found.missing
    ]


# --- pairs of people ------------------------------------------------------------------------------


def _pair_facts(image: Image) -> list[PairFact]:
    """How any two people who submitted the image agree; the truth of a gold image counts too."""
    annotations = list(
        Annotation.objects.filter(
            image=image, status__in=COUNTED, submitted_at__isnull=False
        ).order_by("annotator_id")
    )
    if len(annotations) < 2:
        return []
    people = [shapes_of(annotation, image) for annotation in annotations]
    size = (image.height, image.width)
    maps = [matching.label_map(shapes, size).ravel() for shapes in people]
    groups = matching.groups(people)
    weight = 1 / (len(people) - 1)
    rows = []
    for one in range(len(people)):
        for other in range(one + 1, len(people)):
            first, second = annotations[one], annotations[other]
            day = max(utc_day(first.submitted_at), utc_day(second.submitted_at))
            tally = _tally(people, maps, groups, one, other)
            rows += [
                PairFact(
                    project_id=image.project_id,
                    image=image,
                    batch_id=image.batch_id,
                    day=day,
                    first_id=first.annotator_id,
                    second_id=second.annotator_id,
                    first_category_id=categories[0],
                    second_category_id=categories[1],
                    objects_found=count,
                    object_weight=count * weight,
                    pixels=pixels,
                    pixel_weight=pixels * weight,
                    ious=ious,
                )
                for categories, (count, pixels, ious) in tally.items()
            ]
    return rows


def _tally(
    people: list[list[Shape]], maps: list[Any], groups: list[dict[int, int]], one: int, other: int
) -> dict[tuple[int | None, int | None], list[Any]]:
    """(category of one, of the other) → [objects, pixels, sum of IoUs]."""
    tally: dict[tuple[int | None, int | None], list[Any]] = defaultdict(lambda: [0, 0, 0.0])
    for group in groups:
        shapes = [
            people[person][group[person]] if person in group else None for person in (one, other)
        ]
        first, second = shapes
        row = tally[(first.category if first else None, second.category if second else None)]
        row[0] += 1
        if first and second:
            row[2] += matching.shape_iou(first, second)
    for first_category, second_category, count in agreement.pixel_pairs(maps[one], maps[other]):
        tally[(first_category or None, second_category or None)][1] += count
    return tally
