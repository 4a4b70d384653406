"""What is true of work that was submitted: its regions, proposals and pairs of people, measured.

`services.facts` asks for it and writes it down; nothing here writes.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, Q, Sum

from annotations.masks import agreement, matching
from annotations.masks.matching import Shape
from annotations.models import (
    Annotation,
    Gold,
    Image,
    PairFact,
    Prediction,
    Proposal,
    Region,
    RegionFact,
    RegionRevision,
    Review,
    WorkFact,
)
from annotations.prepared import Prepared
from annotations.selectors.shapes import shape_of, shapes_of

Status = Annotation.Status
Origin = RegionFact.Origin
COUNTED = (Status.SUBMITTED, Status.SENT_BACK, Status.APPROVED)
"""An annotation in one of these states was submitted and is not being made again."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found about an annotation. `rows` None: it does not count now."""

    fact: WorkFact
    rows: list[RegionFact] | None
    pairs: list[PairFact]
    gold: bool
    sent_back: int


def measured(facts: Sequence[WorkFact]) -> list[Measured]:
    """What is true of these annotations and their images by now. `facts` hold both."""
    stored = _Stored([fact.annotation for fact in facts])
    found = []
    for fact in facts:
        annotation = fact.annotation
        truth = stored.truths.get(annotation.image_id)
        if truth is not None and truth.pk == annotation.pk:
            truth = None
        counted = annotation.status in COUNTED and annotation.submitted_at is not None
        rows = _region_facts(annotation, truth, stored) if counted else None
        pairs = _pair_facts(annotation.image, stored.submitted[annotation.image_id])
        gold = counted and truth is not None
        found.append(Measured(fact, rows, pairs, gold, stored.sent_back.get(annotation.pk, 0)))
    return found


def utc_day(at: datetime | None) -> date:
    assert at is not None
    return at.astimezone(UTC).date()


_TRUTHS = Prepared(
    lambda images: Gold.objects.filter(image__pk__in=[images]).select_related("truth__image")
)
_REGIONS = Prepared(
    lambda annotations: (
        Region.objects.filter(annotation__pk__in=[annotations])
        .order_by("order", "id")
        .only("annotation_id", "category_id", "area", "proposal_id", "deleted_at")
    )
)
_PREDICTIONS = Prepared(
    lambda images: (
        Prediction.objects.filter(image__pk__in=[images])
        .order_by("pk")
        .values_list("image", "model", "pk", "created_at")
    )
)
_SECONDS = Prepared(
    lambda annotations: (
        RegionRevision.objects.filter(region__annotation__pk__in=[annotations])
        .order_by()
        .values("region")
        .annotate(sum=Sum("seconds"))
        .values_list("region", "sum")
    )
)
_SUBMITTED = Prepared(
    lambda images: Annotation.objects.filter(
        image__pk__in=[images], status__in=COUNTED, submitted_at__isnull=False
    ).order_by("annotator_id")
)
_SENT_BACK = Prepared(
    lambda annotations: (
        Review.objects.filter(annotation__pk__in=[annotations], verdict=Review.Verdict.SEND_BACK)
        .order_by()
        .values("annotation")
        .annotate(number=Count("pk"))
        .values_list("annotation", "number")
    )
)


class _Stored:
    """What the database holds of some annotations and their images: each kind in one query."""

    def __init__(self, annotations: Sequence[Annotation]) -> None:
        ids = [annotation.pk for annotation in annotations]
        images = list({annotation.image_id for annotation in annotations})
        self.truths = {gold.image_id: gold.truth for gold in _TRUTHS.instances(images)}
        self.regions: dict[int, list[Region]] = defaultdict(list)
        self.used: dict[int, set[int]] = defaultdict(set)
        for region in _REGIONS.instances(ids):
            if region.deleted_at is None:
                self.regions[region.annotation_id].append(region)
            if region.proposal_id is not None:
                self.used[region.annotation_id].add(region.proposal_id)
        self.seconds: dict[int, float] = dict(_SECONDS(ids))
        self.predictions: dict[int, list[tuple[str, int, datetime]]] = defaultdict(list)
        for image, *prediction in _PREDICTIONS(images):
            self.predictions[image].append(tuple(prediction))
        self.submitted: dict[int, list[Annotation]] = defaultdict(list)
        for annotation in _SUBMITTED.instances(images):
            self.submitted[annotation.image_id].append(annotation)
        self.sent_back: dict[int, int] = dict(_SENT_BACK(ids))

    def offered(self, annotation: Annotation) -> list[int]:
        """The newest prediction of each model that was there when it was submitted."""
        at = annotation.submitted_at
        found = self.predictions[annotation.image_id]
        return list({model: pk for model, pk, made in found if at and made <= at}.values())


def _region_facts(
    annotation: Annotation, truth: Annotation | None, stored: _Stored
) -> list[RegionFact]:
    """What is true of the annotation's regions, of the proposals it left out, of what it missed."""
    regions, used = stored.regions[annotation.pk], stored.used[annotation.pk]
    offered = stored.offered(annotation)
    wanted = Proposal.objects.filter(Q(pk__in=used) | Q(prediction__in=offered))
    rows = wanted.select_related("prediction") if used or offered else ()
    proposals = {proposal.pk: proposal for proposal in rows}
    shapes = {}
    if used or truth:
        whole = annotation.regions.filter(pk__in=[region.pk for region in regions])
        found = {region.pk: shape_of(region, annotation.image) for region in whole}
        shapes = {region.pk: found[region.pk] for region in regions}
    made = {
        region.pk: _region_fact(annotation, region, shapes.get(region.pk), proposals)
        for region in regions
    }
    for pk, fact in made.items():
        fact.seconds = stored.seconds.get(pk, 0.0)
    left_out: list[RegionFact] = []
    if proposals:
        left_out = _left_out(annotation, proposals, {r.proposal_id for r in regions}, used)
    missed = _against_truth(annotation, truth, made, shapes) if truth else []
    return [*made.values(), *left_out, *missed]


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
    used: set[int],
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


def _pair_facts(image: Image, annotations: Sequence[Annotation]) -> list[PairFact]:
    """How any two people who submitted the image agree; the truth of a gold image counts too."""
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
