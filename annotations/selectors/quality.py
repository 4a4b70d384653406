"""Reports on people's work, on models and on agreement.

Each is a table: pages, CSV and API show it. All are sums of `WorkDay`, `RegionDay` and `PairFact`,
so they cost the same whatever the images' size. Only those of one person, or of each person in one
category, read rows of people. Definitions: docs/quality.md.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum
from django.utils import timezone

from annotations.access import at_least, require
from annotations.errors import Forbidden, NotFound
from annotations.masks import agreement
from annotations.models import (
    Category,
    Image,
    PairFact,
    Project,
    RegionDay,
    RegionFact,
    User,
    WorkDay,
)
from annotations.models.projects import Role

Origin, Gold = RegionFact.Origin, RegionFact.Gold
Row = dict[str, Any]
FORECAST_DAYS = 14
MIN_DRAWN = 5
"""Regions drawn by hand from which a category has a time of its own."""


@dataclass(frozen=True, slots=True)
class Filter:
    """`start` and `end` are days of submission, both included; the rest are ids."""

    start: date | None = None
    end: date | None = None
    person: int | None = None
    category: int | None = None
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """kind: text, number, percent (of 0…1), seconds, hours, or score (0…1, three digits)."""

    name: str
    title: str
    kind: str = "number"
    gold: bool = False
    """Only for managers: it would tell annotators which images are gold."""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    title: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)


SCORES = [
    Column("gold_objects", "Gold objects", gold=True),
    Column("iou", "IoU", "score", gold=True),
    Column("dice", "Dice", "score", gold=True),
    Column("boundary_iou", "Boundary IoU", "score", gold=True),
    Column("pq", "PQ", "score", gold=True),
    Column("missing", "Missing", gold=True),
    Column("extra", "Extra", gold=True),
    Column("wrong", "Wrong category", gold=True),
]
WORK = [
    Column("annotations", "Annotations"),
    Column("approved", "Approved"),
    Column("sent_back", "Sent back"),
    Column("hours", "Hours", "hours"),
    Column("regions", "Regions"),
    Column("seconds_per_region", "Per region", "seconds"),
]
RATES = [
    Column("proposals", "Proposals"),
    Column("accepted", "As proposed", "percent"),
    Column("edited", "Edited", "percent"),
    Column("rejected", "Rejected", "percent"),
    Column("unused", "Unused", "percent"),
    Column("iou", "IoU kept", "score"),
    Column("pixels_changed", "Pixels changed each"),
    Column("seconds", "Seconds each", "seconds"),
    Column("by_hand", "By hand", "seconds"),
    Column("hours_saved", "Hours saved", "hours"),
]
AGREED = [
    Column("objects", "Object pairs"),
    Column("same", "Same category", "percent"),
    Column("one_only", "One side only", "percent"),
    Column("iou", "IoU", "score"),
    Column("object_alpha", "Alpha, objects", "score"),
    Column("object_kappa", "Kappa, objects", "score"),
    Column("pixel_alpha", "Alpha, pixels", "score"),
    Column("pixel_kappa", "Kappa, pixels", "score"),
]


def report(user, project: Project, name: str, wanted: Filter) -> Table:
    """One of `REPORTS`. Managers see everybody; others their own numbers, without gold."""
    role = require(user, project, Role.ANNOTATOR)
    if name not in REPORTS:
        raise NotFound("report")
    manages = at_least(role, Role.MANAGER)
    if not manages:
        if name not in OWN or wanted.person not in (None, user.pk):
            raise Forbidden(
                "Numbers of others are for managers.", hint="Ask for your own: days or categories."
            )
        wanted = replace(wanted, person=user.pk)
    title, make = REPORTS[name]
    columns, rows = make(project, wanted)
    if not manages:
        columns = [column for column in columns if not column.gold]
        kept = {column.name for column in columns}
        rows = [{key: value for key, value in row.items() if key in kept} for row in rows]
    return Table(name, title, columns, rows)


Made = tuple[list[Column], list[Row]]


def _days(
    model: Any, project: Project, wanted: Filter, *, by_person: bool = False
) -> QuerySet[Any]:
    """`by_person`: of `RegionDay` the rows of each person, not those of all people."""
    rows = model.objects.filter(project=project).order_by()
    if wanted.start:
        rows = rows.filter(day__gte=wanted.start)
    if wanted.end:
        rows = rows.filter(day__lte=wanted.end)
    if wanted.batch:
        rows = rows.filter(batch=wanted.batch)
    if wanted.person and model is not PairFact:
        rows = rows.filter(annotator=wanted.person)
    elif model is RegionDay:
        rows = rows.filter(annotator__isnull=not by_person)
    if wanted.person and model is PairFact:
        rows = rows.filter(Q(first=wanted.person) | Q(second=wanted.person))
    if wanted.category and model is RegionDay:
        rows = rows.filter(Q(category=wanted.category) | Q(truth=wanted.category))
    return rows


# --- work and gold --------------------------------------------------------------------------------

MADE = Q(origin__in=[Origin.DRAWN, Origin.ACCEPTED, Origin.EDITED])
RIGHT = Q(gold=Gold.RIGHT)
REGION_SUMS: Row = {
    "made": Sum("count", filter=MADE, default=0),
    "made_seconds": Sum("seconds", filter=MADE, default=0.0),
    **{verdict: Sum("count", filter=Q(gold=verdict), default=0) for verdict in Gold.values},
    **{
        name: Sum(f"gold_{name}", filter=RIGHT, default=0.0)
        for name in ("ious", "dices", "boundaries")
    },
}
"""What `WorkDay` has of regions, from `RegionDay`, where only some categories count."""


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if not whole or part is None else part / whole


def _scores(row: Row | None) -> Row:
    """Of sums as `REGION_SUMS`. A wrong category is one missing and one extra object to PQ."""
    row = row or {}
    right, wrong = row.get("right", 0), row.get("wrong", 0)
    missing, extra = row.get("missing", 0), row.get("extra", 0)
    lost = (missing + extra) / 2 + wrong
    return {
        "gold_objects": int(right + wrong + missing),
        "iou": _ratio(row.get("ious"), right),
        "dice": _ratio(row.get("dices"), right),
        "boundary_iou": _ratio(row.get("boundaries"), right),
        "pq": _ratio(row.get("ious"), right + lost),
        "missing": int(missing),
        "extra": int(extra),
        "wrong": int(wrong),
    }


def _work_by(project: Project, wanted: Filter, key: str) -> dict[Any, Row]:
    """By person or day: what was done, and how it scored."""
    names = ("annotations", "approved", "sent_back", "seconds")
    sums = {f"{name}_sum": Sum(name) for name in names}
    scored = {} if wanted.category else {f"{name}_sum": Sum(name) for name in REGION_SUMS}
    work = _days(WorkDay, project, wanted).values(key).annotate(**sums, **scored)
    by_key: dict[Any, Row] = {
        row[key]: {name.removesuffix("_sum"): value for name, value in row.items()} for row in work
    }
    if wanted.category:
        regions = _days(RegionDay, project, wanted, by_person=key == "annotator")
        renamed = {f"{name}_sum": total for name, total in REGION_SUMS.items()}
        for row in regions.values(key).annotate(**renamed):
            if row[key] in by_key:
                by_key[row[key]] |= {name: row[f"{name}_sum"] for name in REGION_SUMS}
    return {
        of: {
            "annotations": row["annotations"],
            "approved": row["approved"],
            "sent_back": row["sent_back"],
            "hours": row["seconds"] / 3600,
            "regions": row.get("made", 0),
            "seconds_per_region": _ratio(row.get("made_seconds"), row.get("made")),
            **_scores(row),
        }
        for of, row in by_key.items()
    }


def _people(project: Project, wanted: Filter) -> Made:
    found = _work_by(project, wanted, "annotator")
    names = dict(User.objects.filter(pk__in=found).values_list("pk", "username"))
    rows = [{"person": names[pk], **row} for pk, row in found.items()]
    columns = [Column("person", "Person", "text"), *WORK, *SCORES]
    return columns, sorted(rows, key=lambda row: row["person"])


def _by_day(project: Project, wanted: Filter) -> Made:
    found = _work_by(project, wanted, "day")
    rows = [{"day": day.isoformat(), **found[day]} for day in sorted(found)]
    return [Column("day", "Day", "text"), *WORK, *SCORES], rows


def _by_category(project: Project, wanted: Filter) -> Made:
    names = _category_names(project)
    cells = (
        _days(RegionDay, project, wanted)
        .values("category", "truth", "origin", "gold")
        .annotate(
            n=Sum("count"), pixels=Sum("area"), spent=Sum("seconds"),
            ious_sum=Sum("gold_ious"), dices=Sum("gold_dices"),
            boundaries=Sum("gold_boundaries"),
        )
    )  # fmt: skip
    sums: dict[int | None, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for cell in cells:
        one = sums[cell["category"]]
        one[cell["gold"]] += cell["n"]
        if cell["origin"] in (Origin.DRAWN, Origin.ACCEPTED, Origin.EDITED):
            one["regions"] += cell["n"]
            one["pixels"] += cell["pixels"]
        if cell["origin"] == Origin.DRAWN and cell["spent"]:
            one["drawn"] += cell["n"]
            one["spent"] += cell["spent"]
        if cell["gold"] == Gold.RIGHT:
            one["ious"] += cell["ious_sum"]
            one["dices"] += cell["dices"]
            one["boundaries"] += cell["boundaries"]
        if cell["gold"] == Gold.WRONG:
            sums[cell["truth"]]["lost"] += cell["n"]
    total = sum(one["regions"] for one in sums.values())
    rows = []
    for pk, name in names.items():
        one = sums[pk]
        # To a category, what got another's name is a missing object, and what took it an extra one.
        errors = one["missing"] + one["extra"] + one["lost"] + one["wrong"]
        scores = _scores({**one, "wrong": one["lost"]})
        scores["pq"] = _ratio(one["ious"], one["right"] + errors / 2)
        rows.append(
            {
                "category": name,
                "regions": int(one["regions"]),
                "share": _ratio(one["regions"], total),
                "pixels": one["pixels"],
                "by_hand": _ratio(one["spent"], one["drawn"]),
                **scores,
            }
        )
    columns = [
        Column("category", "Category", "text"),
        Column("regions", "Regions"),
        Column("share", "Share", "percent"),
        Column("pixels", "Pixels"),
        Column("by_hand", "By hand", "seconds"),
        *SCORES,
    ]
    return columns, rows


def _category_names(project: Project) -> dict[int, str]:
    return dict(Category.objects.filter(project=project).values_list("pk", "name"))


def _confusion(project: Project, wanted: Filter) -> Made:
    rows = _days(RegionDay, project, wanted).exclude(gold="")
    return _crossed(project, rows, "truth", "Truth", "Labeled as")


def _model_confusion(project: Project, wanted: Filter) -> Made:
    rows = _days(RegionDay, project, wanted).filter(origin__in=[Origin.ACCEPTED, Origin.EDITED])
    return _crossed(project, rows, "proposed", "Proposed", "Kept as")


def _crossed(project: Project, rows: QuerySet[Any], first: str, title: str, other: str) -> Made:
    names: dict[Any, str] = {**_category_names(project)}
    names[None] = "(nothing)"
    missing = Q(gold=Gold.MISSING)
    tally: dict[tuple[Any, Any], int] = defaultdict(int)
    counted = rows.values(first, "category").annotate(
        found=Sum("count", filter=~missing, default=0),
        lost=Sum("count", filter=missing, default=0),
    )
    for row in counted:
        tally[(row[first], row["category"])] += row["found"]
        tally[(row[first], None)] += row["lost"]
    columns = [Column("from", title, "text"), Column("to", other, "text"), Column("count", "Count")]
    made = [
        {"from": names[one], "to": names[to], "count": count}
        for (one, to), count in tally.items()
        if count
    ]
    return columns, sorted(made, key=lambda row: (-row["count"], row["from"], row["to"]))


# --- models against people ------------------------------------------------------------------------


def _by_hand(rows: Iterable[Row]) -> dict[int | None, float]:
    """Mean seconds of a region drawn by hand, by category; None: of all categories."""
    drawn: dict[int | None, list[float]] = defaultdict(lambda: [0, 0.0])
    for row in rows:
        if row["origin"] == Origin.DRAWN and row["spent"]:
            for key in (row["category"], None):
                drawn[key][0] += row["n"]
                drawn[key][1] += row["spent"]
    return {key: spent / n for key, (n, spent) in drawn.items() if n >= MIN_DRAWN}


def _models_by(project: Project, wanted: Filter, *keys: str, saved: bool = True) -> list[Row]:
    """Rates and, if asked, time saved, grouped by model, version and `keys`."""
    groups = ("model", "model_version", *keys)
    fine = {*groups, "category", "origin"} if saved else {*groups, "origin"}
    rows = list(
        _days(RegionDay, project, wanted)
        .values(*fine)
        .annotate(n=Sum("count"), spent=Sum("seconds"), iou=Sum("ious"), px=Sum("pixels_changed"))
    )
    hand = _by_hand(rows) if saved else {}
    rows = [row for row in rows if row["model"]]
    sums: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        one = sums[tuple(row[key] for key in groups)]
        one[row["origin"]] += row["n"]
        if row["origin"] in (Origin.ACCEPTED, Origin.EDITED):
            one["kept"] += row["n"]
            one["iou"] += row["iou"]
            one["pixels"] += row["px"]
            one["spent"] += row["spent"]
            by_hand = hand.get(row.get("category"), hand.get(None))
            if by_hand is not None:
                one["known"] += row["n"]
                one["by_hand"] += by_hand * row["n"]
                one["saved"] += by_hand * row["n"] - row["spent"]
    return [dict(zip(groups, key, strict=True)) | _rates(one) for key, one in sums.items()]


def _rates(one: dict[str, float]) -> Row:
    total = sum(one[origin] for origin in ("accepted", "edited", "rejected", "unused"))
    return {
        "proposals": int(total),
        **{name: _ratio(one[name], total) for name in ("accepted", "edited", "rejected", "unused")},
        "iou": _ratio(one["iou"], one["kept"]),
        "pixels_changed": _ratio(one["pixels"], one["kept"]),
        "seconds": _ratio(one["spent"], one["kept"]),
        "by_hand": _ratio(one["by_hand"], one["known"]),
        "hours_saved": one["saved"] / 3600 if one["known"] else None,
    }


MODEL = [Column("model", "Model", "text"), Column("model_version", "Version", "text")]


def _models(project: Project, wanted: Filter) -> Made:
    rows = _models_by(project, wanted)
    return [*MODEL, *RATES], sorted(rows, key=lambda row: (row["model"], row["model_version"]))


def _model_categories(project: Project, wanted: Filter) -> Made:
    names = _category_names(project)
    rows = _models_by(project, wanted, "category")
    for row in rows:
        row["category"] = names.get(row["category"], "(none)")
    columns = [*MODEL, Column("category", "Category", "text"), *RATES]
    return columns, sorted(rows, key=lambda r: (r["model"], r["model_version"], r["category"]))


def _model_days(project: Project, wanted: Filter) -> Made:
    rows = _models_by(project, wanted, "day", saved=False)
    rows.sort(key=lambda row: (row["day"], row["model"], row["model_version"]))
    for row in rows:
        row["day"] = row["day"].isoformat()
    columns = [column for column in RATES if column.name not in ("by_hand", "hours_saved")]
    return [Column("day", "Day", "text"), *MODEL, *columns], rows


# --- agreement ------------------------------------------------------------------------------------


def _pairs_by(project: Project, wanted: Filter, *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    sums = {
        name: Sum(name)
        for name in ("objects_found", "object_weight", "pixels", "pixel_weight", "ious")
    }
    rows = _days(PairFact, project, wanted).values(*keys, "first_category", "second_category")
    grouped: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows.annotate(**{f"{name}_sum": total for name, total in sums.items()}):
        grouped[tuple(row[key] for key in keys)].append(row)
    return grouped


def _agreed(rows: Iterable[Row], only: int | None = None) -> Row:
    """Agreement from counts of category pairs; `only`: that category against all others."""
    rows = [
        row
        for row in rows
        if only is None
        or only in (row["first_category"], row["second_category"])
        or row["pixels_sum"]
    ]
    codes: dict[Any, int] = {}
    for row in rows:
        for name in ("first_category", "second_category"):
            codes.setdefault(row[name] == only if only is not None else row[name], len(codes))
    pixels = np.zeros((len(codes), len(codes)))
    objects = np.zeros_like(pixels)
    found = same = alone = 0
    ious = 0.0
    for row in rows:
        pair = (row["first_category"], row["second_category"])
        one, other = (codes[name == only if only is not None else name] for name in pair)
        for matrix, weight in ((pixels, "pixel_weight_sum"), (objects, "object_weight_sum")):
            matrix[one, other] += row[weight]
            matrix[other, one] += row[weight]
        if only is None or only in pair:
            if pair != (None, None):
                found += row["objects_found_sum"]
                same += row["objects_found_sum"] if pair[0] == pair[1] else 0
                alone += row["objects_found_sum"] if None in pair else 0
            ious += row["ious_sum"]
    return {
        "objects": found,
        "same": _ratio(same, found),
        "one_only": _ratio(alone, found),
        "iou": _ratio(ious, found - alone),
        "object_alpha": _known(agreement.alpha(objects)),
        "object_kappa": _known(agreement.fleiss_kappa(objects)),
        "pixel_alpha": _known(agreement.alpha(pixels)),
        "pixel_kappa": _known(agreement.fleiss_kappa(pixels)),
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _agreement(project: Project, wanted: Filter) -> Made:
    everything = [row for rows in _pairs_by(project, wanted).values() for row in rows]
    names = _category_names(project)
    rows = [{"category": "(all)", **_agreed(everything)}] if everything else []
    used = {row[name] for row in everything for name in ("first_category", "second_category")}
    rows += [
        {"category": name, **_agreed(everything, pk)} for pk, name in names.items() if pk in used
    ]
    return [Column("category", "Category", "text"), *AGREED], rows


def _pairs(project: Project, wanted: Filter) -> Made:
    grouped = _pairs_by(project, wanted, "first", "second")
    ids = {pk for pair in grouped for pk in pair}
    names = dict(User.objects.filter(pk__in=ids).values_list("pk", "username"))
    rows = [
        {"first": names[first], "second": names[second], **_agreed(found)}
        for (first, second), found in grouped.items()
    ]
    columns = [Column("first", "Person", "text"), Column("second", "And", "text"), *AGREED]
    return columns, sorted(rows, key=lambda row: (row["first"], row["second"]))


def _agreement_days(project: Project, wanted: Filter) -> Made:
    grouped = _pairs_by(project, wanted, "day")
    rows = [{"day": day.isoformat(), **_agreed(found)} for (day,), found in sorted(grouped.items())]
    return [Column("day", "Day", "text"), *AGREED], rows


Maker = Callable[[Project, Filter], Made]
REPORTS: dict[str, tuple[str, Maker]] = {
    "people": ("People", _people),
    "days": ("Days", _by_day),
    "categories": ("Categories", _by_category),
    "confusion": ("Confusion with the truth", _confusion),
    "models": ("Models", _models),
    "model_categories": ("Models by category", _model_categories),
    "model_days": ("Models by day", _model_days),
    "model_confusion": ("Categories proposed and kept", _model_confusion),
    "agreement": ("Agreement", _agreement),
    "agreement_days": ("Agreement by day", _agreement_days),
    "pairs": ("Pairs of people", _pairs),
}
OWN = ("people", "days", "categories", "models", "model_categories")
"""What everybody sees of the own work."""


# --- forecast -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forecast:
    """When all images are submitted, at the pace of the last `FORECAST_DAYS` days.

    `early` and `late`: one standard deviation of a Poisson count faster and slower.
    """

    left: int
    per_day: float
    end: date | None
    early: date | None
    late: date | None


def forecast(user, project: Project, today: date | None = None) -> Forecast:
    require(user, project, Role.MANAGER)
    today = today or timezone.now().date()
    done = [Image.Status.SUBMITTED, Image.Status.APPROVED]
    left = Image.objects.filter(project=project).exclude(status__in=done).count()
    since = today - timedelta(days=FORECAST_DAYS)
    rows = WorkDay.objects.filter(project=project, day__gt=since)
    found = rows.aggregate(count=Sum("annotations"), first=Min("day"))
    count = found["count"] or 0
    if not count:
        return Forecast(left, 0.0, None, None, None)
    days = (today - found["first"]).days + 1
    per_image = max(1, project.annotators)
    pace = count / days / per_image
    spread = count**0.5 / days / per_image

    def after(rate: float) -> date | None:
        needed = left / rate if rate > 0 else float("inf")
        return today + timedelta(days=int(np.ceil(needed))) if needed < 36500 else None

    return Forecast(left, pace, after(pace), after(pace + spread), after(pace - spread))


# --- one by one -----------------------------------------------------------------------------------


def accepted_proposals(user, project: Project, wanted: Filter) -> QuerySet[RegionFact]:
    """Every region that was accepted from a proposal, with what it took. Managers only."""
    require(user, project, Role.MANAGER)
    rows = RegionFact.objects.filter(
        work__project=project, origin__in=[Origin.ACCEPTED, Origin.EDITED]
    )
    filters = {
        "work__day__gte": wanted.start,
        "work__day__lte": wanted.end,
        "work__annotator": wanted.person,
        "work__batch": wanted.batch,
        "category": wanted.category,
    }
    rows = rows.filter(**{name: value for name, value in filters.items() if value is not None})
    return rows.annotate(
        uuid=F("region__uuid"),
        image=F("work__annotation__image"),
        person=F("work__annotator__username"),
        day=F("work__day"),
    ).select_related("category", "proposed")


def span(project: Project) -> tuple[date | None, date | None]:
    """The first and the last day on which work was submitted."""
    found = WorkDay.objects.filter(project=project).aggregate(a=Min("day"), b=Max("day"))
    return found["a"], found["b"]


def waiting(project: Project) -> int:
    """Annotations that are submitted and not yet measured."""
    return project.annotations.filter(fact__due__isnull=False).aggregate(n=Count("pk"))["n"]


def person_named(project: Project, username: str) -> int | None:
    """Who of that name is a member, or has worked here."""
    here = Q(memberships__project=project) | Q(annotations__project=project)
    return User.objects.filter(here, username=username).values_list("pk", flat=True).first()
