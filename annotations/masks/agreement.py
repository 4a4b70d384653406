"""How far several people agree, and what they say together. Arrays in, arrays out.

Units are pixels or matched objects; the people who label them are coders.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotations.masks import rle
from annotations.masks.matching import Shape, groups

Matrix = npt.NDArray[np.float64]


def coincidences(codes: npt.NDArray[np.integer], classes: int) -> Matrix:
    """The coincidence matrix (classes, classes) of codes (coders, units); -1: not coded.

    Each ordered pair of codes of a unit counts 1 / (m - 1), m the codes that the unit has; units
    with one code do not count. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.
    """
    present = (codes >= 0).sum(axis=0)
    weight = np.where(present > 1, 1.0 / np.maximum(present - 1, 1), 0.0)
    matrix = np.zeros(classes * classes)
    for one in range(len(codes)):
        for other in range(one + 1, len(codes)):
            both = (codes[one] >= 0) & (codes[other] >= 0)
            pairs = codes[one][both].astype(np.int64) * classes + codes[other][both]
            matrix += np.bincount(pairs, weight[both], classes * classes)
    square = matrix.reshape(classes, classes)
    return square + square.T


def pixel_pairs(
    first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]
) -> list[tuple[int, int, int]]:
    """(label in first, label in second, how many pixels), of two flat label maps."""
    labels, codes = np.unique(np.stack([first, second]), return_inverse=True)
    codes = codes.reshape(2, -1)
    counts = np.bincount(codes[0] * len(labels) + codes[1], minlength=len(labels) ** 2)
    return [
        (int(labels[place // len(labels)]), int(labels[place % len(labels)]), int(counts[place]))
        for place in np.flatnonzero(counts)
    ]


def alpha(coincidence: Matrix) -> float:
    """Krippendorff's alpha for nominal data: 1 - observed / expected disagreement.

    NaN where there is nothing to compare or everything has one label: no chance to disagree.
    """
    totals = coincidence.sum(axis=1)
    n = totals.sum()
    expected = n * n - float((totals**2).sum())
    if n <= 1 or expected <= 1e-9:
        return float("nan")
    observed = n - float(np.trace(coincidence))
    return 1.0 - (n - 1.0) * observed / expected


def fleiss_kappa(coincidence: Matrix) -> float:
    """Fleiss' kappa, of units that all have the same number of codes; NaN as in `alpha`.

    Fleiss, Measuring nominal scale agreement among many raters, Psychological Bulletin, 1971.
    """
    totals = coincidence.sum(axis=1)
    n = totals.sum()
    chance = float((totals**2).sum()) / n**2 if n else 1.0
    if chance >= 1 - 1e-12:
        return float("nan")
    return (float(np.trace(coincidence)) / n - chance) / (1.0 - chance)


def majority(maps: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """The label that more than half of the maps (coders, height, width) have, 0 where none has."""
    result = np.zeros(maps.shape[1:], dtype=maps.dtype)
    for label in np.unique(maps):
        result[2 * (maps == label).sum(axis=0) > len(maps)] = label
    return result


@dataclass(frozen=True, slots=True)
class Staple:
    """probability: of each pixel, shape of a mask; sensitivity and specificity: (coders,)."""

    probability: Matrix
    sensitivity: Matrix
    specificity: Matrix


def staple(masks: npt.NDArray[np.bool_], rounds: int = 100, tolerance: float = 1e-7) -> Staple:
    """The hidden truth behind the masks (coders, …), by expectation maximisation.

    Warfield, Zou, Wells, Simultaneous truth and performance level estimation (STAPLE), IEEE TMI
    2004. The prior is the mean of the masks. Equal columns of decisions are counted once, so the
    cost of a round does not grow with the image.
    """
    columns, place, counts = np.unique(
        masks.reshape(len(masks), -1), axis=1, return_inverse=True, return_counts=True
    )
    place = place.reshape(-1)
    decisions = columns.astype(np.float64)
    share = float((decisions * counts).sum() / (len(masks) * counts.sum()))
    p = np.full(len(masks), 0.99)
    q = np.full(len(masks), 0.99)
    w = np.full(len(counts), share)
    for _ in range(rounds):
        yes = share * np.prod(np.where(decisions > 0, p[:, None], 1 - p[:, None]), axis=0)
        no = (1 - share) * np.prod(np.where(decisions > 0, 1 - q[:, None], q[:, None]), axis=0)
        total = yes + no
        w = np.divide(yes, total, out=np.zeros_like(yes), where=total > 0)
        truth, rest = w * counts, (1 - w) * counts
        before = p.sum() + q.sum()
        p = (decisions @ truth) / truth.sum() if truth.sum() else p
        q = ((1 - decisions) @ rest) / rest.sum() if rest.sum() else q
        if abs(p.sum() + q.sum() - before) < tolerance:
            break
    return Staple(w[place].reshape(masks.shape[1:]), p, q)


def consensus_objects(
    people: Sequence[Sequence[Shape]], size: rle.Size, method: str
) -> list[tuple[int, str, float]]:
    """Objects that more than half of the people drew: (category, counts, share who drew it).

    The category is that of most of them. The pixels: those that more than half of the people who
    drew the object have (`instances`), or those that STAPLE finds likelier than not (`staple`).
    """
    found = []
    for group in groups(people):
        if 2 * len(group) <= len(people):
            continue
        shapes = [people[person][place] for person, place in sorted(group.items())]
        left, top = (min(shape.bbox[axis] for shape in shapes) for axis in (0, 1))
        right, bottom = (max(s.bbox[axis] + s.bbox[axis + 2] for s in shapes) for axis in (0, 1))
        box = (left, top, right - left, bottom - top)
        masks = np.stack([rle.crop(shape.counts, size, box) for shape in shapes])
        if method == "staple" and len(shapes) > 2:
            mask = staple(masks).probability > 0.5
        else:
            mask = 2 * masks.sum(axis=0) > len(shapes)
        categories = [shape.category or 0 for shape in shapes]
        category = max(sorted(set(categories)), key=categories.count)
        if mask.any():
            counts = rle.paste(mask, size, (left, top))
            found.append((category, counts, len(group) / len(people)))
    return found


def consensus_pixels(maps: npt.NDArray[np.integer], method: str) -> dict[int, str]:
    """Category → counts of disjoint masks, from label maps (coders, height, width); 0 is nothing.

    `majority`: what more than half say; `staple`: the category of greatest STAPLE probability
    above one half.
    """
    if method != "staple":
        return _without_nothing(rle.from_labels(majority(maps)))
    result = np.zeros(maps.shape[1:], dtype=np.int64)
    best = np.full(maps.shape[1:], 0.5)
    for category in np.unique(maps):
        if category:
            probability = staple(maps == category).probability
            better = probability > best
            result[better], best[better] = category, probability[better]
    return _without_nothing(rle.from_labels(result))


def _without_nothing(found: dict[int, str]) -> dict[int, str]:
    return {category: counts for category, counts in found.items() if category}
