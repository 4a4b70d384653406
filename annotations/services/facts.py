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
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from celery import current_app
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotations.models import (
    Annotation,
    Gold,
    Image,
    PairFact,
    Project,
    RegionDay,
    RegionFact,
    WorkDay,
    WorkFact,
)
from annotations.prepared import Insert, Prepared
from annotations.selectors.quality import MADE, RIGHT
from annotations.services.measuring import COUNTED, Measured, Status, measured, utc_day

log = logging.getLogger(__name__)

Cell = tuple[int, int, date]
"""Project, annotator and day, of which sums are kept."""

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

    So few at a time that a save waits for no longer than for another one. What cannot be measured
    is left out until it becomes due again, and `WorkFact.problem` says why.
    """
    rows = WorkFact.objects.filter(pk__in=annotations, due__isnull=False)
    facts = list(rows.select_related("annotation__image"))
    try:
        _measure(facts)
    except (OperationalError, InterfaceError):  # the database, and no annotation, is the reason
        raise
    except Exception as error:
        if len(facts) > 1:
            for fact in facts:
                measure(fact.pk)
            return
        log.exception("Annotation %s cannot be measured", facts[0].pk)
        problem = f"{type(error).__name__}: {error}"[:300]
        rows.filter(due=facts[0].due).update(due=None, problem=problem)


def _measure(facts: Sequence[WorkFact]) -> None:
    found = measured(facts)
    for project in {fact.project_id for fact in facts}:
        with transaction.atomic():
            _lock(project)
            mine = [one for one in found if one.fact.project_id == project]
            now = dict(
                WorkFact.objects.filter(pk__in=[one.fact.pk for one in mine])
                .filter(due__isnull=False)
                .values_list("pk", "due")
            )
            # What has another time changed again, what has none another worker was quicker with.
            _sum_up(_write([one for one in mine if now.get(one.fact.pk) == one.fact.due]))


def _lock(project: int) -> None:
    """Nobody else writes facts of this project until the transaction ends."""
    Project.objects.select_for_update(no_key=True).get(pk=project)


_save_facts = Insert(
    WorkFact,
    unique=["annotation_id"],
    update=[
        "batch", "day", "due", "seconds", "regions", "sent_back", "approved", "gold", "problem",
    ],
)  # fmt: skip
_add_region_facts = Insert(RegionFact)
_add_pairs = Insert(PairFact)


def _write(found: Sequence[Measured]) -> set[Cell]:
    """Writes what was found of some annotations; returns the cells whose sums changed."""
    cells: set[Cell] = set()
    pairs: dict[int, list[PairFact]] = {}
    counted = [one.fact.pk for one in found if one.fact.day]
    if counted:
        RegionFact.objects.filter(work__in=counted).delete()
    for one in found:
        fact, annotation = one.fact, one.fact.annotation
        before = fact.day
        fact.batch_id = annotation.image.batch_id
        fact.day = None if one.rows is None else utc_day(annotation.submitted_at)
        fact.seconds = annotation.seconds_spent
        fact.regions = sum(row.region_id is not None for row in one.rows or ())
        fact.sent_back = one.sent_back
        fact.approved = annotation.status == Status.APPROVED
        fact.gold = one.gold
        fact.due, fact.problem = None, ""
        for row in one.rows or ():
            row.work_id = fact.pk
        pairs[annotation.image_id] = one.pairs
        days = {day for day in (before, fact.day) if day}
        cells |= {(annotation.project_id, annotation.annotator_id, day) for day in days}
    _save_facts(*[one.fact for one in found])
    _add_region_facts(*[row for one in found for row in one.rows or ()])
    PairFact.objects.filter(image__in=pairs).delete()
    _add_pairs(*[pair for of_image in pairs.values() for pair in of_image])
    return cells


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


def _sum_up(cells: Iterable[Cell]) -> None:
    """Makes the sums of these cells anew, and those of their days."""
    people: dict[tuple[int, date], set[int]] = defaultdict(set)
    for project, annotator, day in cells:
        people[project, day].add(annotator)
    for (project, day), annotators in people.items():
        which = {"project": project, "annotator__in": annotators, "day": day}
        WorkDay.objects.filter(**which).delete()
        RegionDay.objects.filter(**which).delete()
        _add_up(WorkFact.objects.filter(**which))
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


_add_work_days = Insert(WorkDay)
_add_region_days = Insert(RegionDay)


def _add_up(facts: QuerySet[WorkFact]) -> None:
    where = ("project_id", "annotator_id", "batch_id", "day")
    keys = {f"{name}_key": F(f"work__{name}") for name in where}
    regions = RegionFact.objects.filter(work__in=facts).order_by()
    rows: Iterable[Any] = regions.values(**keys).annotate(**MADE_SUMS)
    made = {tuple(row.pop(key) for key in keys): row for row in rows}
    rows = facts.order_by().values(*where).annotate(**WORK_SUMS)
    _add_work_days(
        *[WorkDay(**_named(row), **made.get(tuple(row[key] for key in where), {})) for row in rows]
    )
    rows = regions.values(*REGION_KEYS, **keys).annotate(**REGION_SUMS)
    _add_region_days(*[RegionDay(**_named(row)) for row in rows])


def _add_up_people(rows: QuerySet[RegionDay]) -> None:
    """The sums of all people from those of each, of days that have none yet."""
    names = (
        "count", "area", "seconds", "pixels_changed", "ious", "gold_ious", "gold_dices",
        "gold_boundaries",
    )  # fmt: skip
    sums = {f"{name}_sum": Sum(name) for name in names}
    of_people = rows.exclude(annotator=None).order_by()
    found = of_people.values("project_id", "batch_id", "day", *REGION_KEYS).annotate(**sums)
    _add_region_days(*[RegionDay(**_named(row)) for row in found])


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """A grouped row as fields of a table: aggregates may not have the names of fields."""
    names = {name: name.removesuffix("_sum").removesuffix("_key") for name in row}
    ids = {"category": "category_id", "proposed": "proposed_id", "truth": "truth_id"}
    return {ids.get(name, name): row[key] for key, name in names.items()}


def forget(images: QuerySet[Image]) -> None:
    """Call in the transaction that removes these images: what they added to sums goes with them."""
    facts = WorkFact.objects.filter(annotation__image__in=images, day__isnull=False)
    rows = facts.order_by().values_list("project_id", "annotator_id", "day").distinct()
    cells = [(project, annotator, day) for project, annotator, day in rows if day]
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
