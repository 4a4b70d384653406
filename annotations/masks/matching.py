"""Which regions of two annotations are the same thing, on run-length encoded masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotations.masks import metrics, rle

ABOVE_HALF = float(np.nextafter(0.5, 1))
"""Panoptic quality matches above 0.5, so that disjoint segments match at most once."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A region as it is compared; area in pixels, bbox (x, y, width, height)."""

    category: int | None
    counts: str
    area: int
    bbox: rle.Box
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Places in (given, truth). `right` have one category, `wrong` two; `extra` are in given only,
    `missing` in the truth only."""

    right: list[metrics.Match]
    wrong: list[metrics.Match]
    extra: list[int]
    missing: list[int]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How well two masks agree, and in how many pixels they differ."""

    iou: float
    dice: float
    boundary_iou: float
    pixels: int


def shape_iou(first: Shape, second: Shape) -> float:
    """Intersection over union; 0 where the boxes do not meet."""
    ax, ay, aw, ah = first.bbox
    bx, by, bw, bh = second.bbox
    if ax >= bx + bw or bx >= ax + aw or ay >= by + bh or by >= ay + ah:
        return 0.0
    both = rle.intersection_area(first.counts, second.counts)
    return both / (first.area + second.area - both)


def shape_ious(first: Sequence[Shape], second: Sequence[Shape]) -> npt.NDArray[np.float64]:
    """IoU of every pair, (first, second)."""
    pairs = [[shape_iou(a, b) for b in second] for a in first]
    return np.array(pairs, dtype=np.float64).reshape(len(first), len(second))


def compare(given: Sequence[Shape], truth: Sequence[Shape]) -> Comparison:
    """Matches one to one: first those of one category with IoU > 0.5, as panoptic quality counts
    them (Kirillov et al., CVPR 2019), then what is left with IoU ≥ 0.5 whatever its category.

    Crowds of the truth match nothing; what lies in them for more than half is no extra.
    """
    crowds = [shape for shape in truth if shape.is_crowd]
    there = [place for place, shape in enumerate(truth) if not shape.is_crowd]
    ious = shape_ious(given, truth)
    ious[:, [place for place, shape in enumerate(truth) if shape.is_crowd]] = 0
    same = np.array([[a.category == b.category for b in truth] for a in given], dtype=bool)
    right = metrics.greedy_match(np.where(same.reshape(ious.shape), ious, 0), ABOVE_HALF)
    left = ious.copy()
    for match in right:
        left[match.predicted, :] = left[:, match.truth] = 0
    wrong = metrics.greedy_match(left, 0.5)
    matched = {match.predicted for match in (*right, *wrong)}
    found = {match.truth for match in (*right, *wrong)}
    extra = [
        place
        for place, shape in enumerate(given)
        if place not in matched
        and not any(
            2 * rle.intersection_area(shape.counts, crowd.counts) > shape.area for crowd in crowds
        )
    ]
    return Comparison(right, wrong, extra, [place for place in there if place not in found])


def overlap(first: Shape, second: Shape, size: rle.Size) -> Overlap:
    """The measures of `metrics`, on the part of the image where either mask is."""
    boxes = (first.bbox, second.bbox)
    x, y = (min(box[axis] for box in boxes) for axis in (0, 1))
    right, bottom = (max(box[axis] + box[axis + 2] for box in boxes) for axis in (0, 1))
    box = (x, y, right - x, bottom - y)
    one, other = (rle.crop(shape.counts, size, box) for shape in (first, second))
    # The band of a boundary is as wide as the whole image says.
    ratio = 0.02 * float(np.hypot(*size) / np.hypot(*one.shape))
    return Overlap(
        metrics.iou(one, other),
        metrics.dice(one, other),
        metrics.boundary_iou(one, other, ratio),
        int(np.count_nonzero(one ^ other)),
    )


def groups(people: Sequence[Sequence[Shape]], threshold: float = 0.5) -> list[dict[int, int]]:
    """What several people drew as one object: person → place among that person's shapes.

    Pairs are joined from the greatest IoU down to `threshold`; nobody is in a group twice. A shape
    that matches nothing is a group of its own.
    """
    pairs = [
        (float(iou), (one, int(i)), (other, int(j)))
        for one, shapes in enumerate(people)
        for other in range(one + 1, len(people))
        for (i, j), iou in np.ndenumerate(shape_ious(shapes, people[other]))
        if iou >= threshold
    ]
    member = {
        (person, place): {person: place}
        for person, shapes in enumerate(people)
        for place in range(len(shapes))
    }
    for _, first, second in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        one, other = member[first], member[second]
        if one is not other and not one.keys() & other.keys():
            one |= other
            for key in other.items():
                member[key] = one
    return list({id(group): group for group in member.values()}.values())


def label_map(shapes: Sequence[Shape], size: rle.Size) -> npt.NDArray[np.int64]:
    """(height, width): the category of the front-most shape, 0 where there is none."""
    labels = np.zeros(size, dtype=np.int64)
    for shape in shapes:
        rle.paint(labels, shape.counts, shape.category or 0)
    return labels
