"""What an engine found, as the proposals that a project of some kind can hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from annotations.masks import rle
from annotations.masks.validation import GeometryError, validate_mask
from annotations.models import Project
from inference.engines.base import Detection

LEAST_LEFT = 0.2
"""A proposal of which others cover more than the rest of this part is left out."""


@dataclass(frozen=True, slots=True)
class Found:
    """One proposal to be stored: counts of the whole image, box in pixels."""

    category_id: int | None
    counts: str
    area: int
    bbox: list[int]
    score: float


def resolve(
    detections: Sequence[Detection],
    *,
    size: tuple[int, int],
    kind: str,
    labels: Mapping[int, int],
) -> list[Found]:
    """Proposals, best first, for an image of `size` (height, width).

    labels: the engine's label → category id; detections with another label are left out, those
    without a label have no category. In instance projects masks may overlap. Elsewhere a pixel goes
    to the best-scored detection that covers it; in semantic projects what is left of a category's
    detections becomes one mask, with the mean score by area.
    """
    known = [d for d in detections if d.mask.area and (d.label is None or d.label in labels)]
    ordered = sorted(known, key=lambda detection: -detection.score)
    categories = [None if d.label is None else labels[d.label] for d in ordered]
    if kind == Project.Kind.INSTANCE:
        masks = [d.mask.counts(size) for d in ordered]
        return _found(masks, categories, [d.score for d in ordered], size)
    shares = _disjoint(ordered, size, keep_slivers=kind == Project.Kind.SEMANTIC)
    scores = [detection.score for detection in ordered]
    if kind == Project.Kind.SEMANTIC:
        shares, categories, scores = _per_category(shares, categories, scores)
    counts = rle.from_labels(shares)
    kept = [number for number in sorted(counts) if number > 0]
    return _found(
        [counts[n] for n in kept],
        [categories[n - 1] for n in kept],
        [scores[n - 1] for n in kept],
        size,
    )


def _disjoint(
    ordered: Sequence[Detection], size: tuple[int, int], keep_slivers: bool
) -> np.ndarray:
    """Which detection (from 1, in order) each pixel goes to, 0 for none; int32 (height, width)."""
    owners = np.zeros(size, np.int32)
    for number, detection in enumerate(ordered, 1):
        mask = detection.mask
        height, width = mask.pixels.shape
        window = owners[mask.y : mask.y + height, mask.x : mask.x + width]
        free = mask.pixels & (window == 0)
        sliver = np.count_nonzero(free) < LEAST_LEFT * mask.area
        if not sliver or (keep_slivers and detection.label is not None):
            window[free] = number
    return owners


def _per_category(
    owners: np.ndarray, categories: list[int | None], scores: list[float]
) -> tuple[np.ndarray, list[int | None], list[float]]:
    """Detections of one category joined; those without a category stay apart."""
    areas = np.bincount(owners.ravel(), minlength=len(categories) + 1)[1:]
    numbers: dict[object, int] = {}
    joined = np.zeros(len(categories) + 1, np.int32)
    for index, category in enumerate(categories):
        key = ("alone", index) if category is None else category
        joined[index + 1] = numbers.setdefault(key, len(numbers) + 1)
    totals, weighted = np.zeros(len(numbers)), np.zeros(len(numbers))
    names: list[int | None] = [None] * len(numbers)
    for index, category in enumerate(categories):
        group = joined[index + 1] - 1
        totals[group] += areas[index]
        weighted[group] += areas[index] * scores[index]
        names[group] = category
    return joined[owners], names, list(weighted / np.maximum(totals, 1))


def _found(
    masks: list[str], categories: list[int | None], scores: list[float], size: tuple[int, int]
) -> list[Found]:
    found = []
    for counts, category, score in zip(masks, categories, scores, strict=True):
        try:
            checked = validate_mask(counts, size, size)
        except GeometryError:  # no pixel is left of it
            continue
        area, bbox = rle.area(checked), list(rle.bbox(checked, size))
        found.append(Found(category, checked, area, bbox, float(np.clip(score, 0, 1))))
    return sorted(found, key=lambda one: -one.score)
