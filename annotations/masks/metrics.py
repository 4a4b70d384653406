"""How well masks agree: the field's definitions.

Masks are boolean (height, width) arrays; label maps are integer (height, width) arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from annotations.masks.rle import Mask

Labels = npt.NDArray[np.integer]

IGNORE = 255
"""The label of pixels that do not count."""


def iou(first: Mask, second: Mask) -> float:
    """Intersection over union (Jaccard, 1912); 1 when both masks are empty."""
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def dice(first: Mask, second: Mask) -> float:
    """2 · intersection / sum of areas (Dice, 1945); 1 when both masks are empty."""
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return float(2 * np.count_nonzero(first & second) / total) if total else 1.0


def boundary(mask: Mask, dilation_ratio: float = 0.02) -> Mask:
    """Pixels of the mask within d of its outline, d = dilation_ratio · image diagonal, at least 1.

    The image border counts as outline. Cheng et al., Boundary IoU, CVPR 2021.
    """
    height, width = mask.shape
    distance = max(1, round(dilation_ratio * float(np.hypot(height, width))))
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)
    return mask & (inner[1:-1, 1:-1] == 0)


def boundary_iou(first: Mask, second: Mask, dilation_ratio: float = 0.02) -> float:
    """IoU of the boundary bands of two masks. Cheng et al., Boundary IoU, CVPR 2021."""
    return iou(boundary(first, dilation_ratio), boundary(second, dilation_ratio))


def confusion(
    predicted: Labels, truth: Labels, classes: int, ignore: int = IGNORE
) -> npt.NDArray[np.int64]:
    """Pixel counts (classes + 1, classes + 1): row = truth, column = predicted.

    The last row and column hold labels outside 0 … classes - 1. Pixels whose truth is `ignore`
    are left out. Matrices of several images may be added.
    """
    counted = truth != ignore
    pairs = [
        np.where((labels >= 0) & (labels < classes), labels, classes)[counted].astype(np.int64)
        for labels in (truth, predicted)
    ]
    flat = np.bincount(pairs[0] * (classes + 1) + pairs[1], minlength=(classes + 1) ** 2)
    return flat.reshape(classes + 1, classes + 1)


def class_iou(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """IoU of each class, (classes,), from `confusion`; NaN for a class that occurs nowhere."""
    hits = np.diag(matrix)[:-1].astype(np.float64)
    union = matrix.sum(axis=0)[:-1] + matrix.sum(axis=1)[:-1] - hits
    return np.divide(hits, union, out=np.full(hits.shape, np.nan), where=union > 0)


def mean_iou(predicted: Labels, truth: Labels, classes: int, ignore: int = IGNORE) -> float:
    """Mean over the classes that occur (PASCAL VOC; Everingham et al., 2010); NaN for none."""
    values = class_iou(confusion(predicted, truth, classes, ignore))
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


@dataclass(frozen=True, slots=True)
class Match:
    predicted: int
    truth: int
    iou: float


def iou_matrix(predicted: Sequence[Mask], truth: Sequence[Mask]) -> npt.NDArray[np.float64]:
    """IoU of every pair, (predicted, truth)."""
    pairs = [[iou(mask, other) for other in truth] for mask in predicted]
    return np.array(pairs, dtype=np.float64).reshape(len(predicted), len(truth))


def greedy_match(
    matrix: npt.NDArray[np.float64],
    threshold: float = 0.5,
    scores: Sequence[float] | None = None,
) -> list[Match]:
    """One-to-one matches of a (predicted, truth) IoU matrix with IoU ≥ threshold.

    With scores, predictions choose in order of falling score, each the free truth of greatest
    IoU (COCOeval; Lin et al., 2014). Without, the pair of greatest IoU comes first. Ties go to
    the lower index.
    """
    left = np.where(matrix >= threshold, matrix, -1.0)
    matches = []
    if scores is not None:
        for index in np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable"):
            best = int(left[index].argmax()) if left.shape[1] else -1
            if best >= 0 and left[index, best] >= 0:
                matches.append(Match(int(index), best, float(matrix[index, best])))
                left[:, best] = -1
        return matches
    while left.size and left.max() >= 0:
        index, best = map(int, np.unravel_index(left.argmax(), left.shape))
        matches.append(Match(index, best, float(matrix[index, best])))
        left[index, :] = -1
        left[:, best] = -1
    return matches


@dataclass(slots=True)
class PanopticScore:
    """Sums over images for one category; add images with `panoptic_quality`."""

    iou_sum: float = 0.0
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the matched segments; 0 without any."""
        return self.iou_sum / self.true_positives if self.true_positives else 0.0

    @property
    def recognition_quality(self) -> float:
        """TP / (TP + FP/2 + FN/2); 0 without any segment."""
        total = self.true_positives + (self.false_positives + self.false_negatives) / 2
        return self.true_positives / total if total else 0.0

    @property
    def quality(self) -> float:
        return self.segmentation_quality * self.recognition_quality


@dataclass(frozen=True, slots=True)
class Panoptic:
    """A panoptic labeling: `labels` holds a segment id per pixel, 0 where void.

    categories: segment id → category id. crowds: ids of crowd segments (truth only).
    """

    labels: Labels
    categories: dict[int, int]
    crowds: frozenset[int] = field(default_factory=frozenset)


def panoptic_quality(
    predicted: Panoptic, truth: Panoptic, scores: dict[int, PanopticScore] | None = None
) -> dict[int, PanopticScore]:
    """Panoptic quality by category id. Kirillov et al., Panoptic Segmentation, CVPR 2019.

    Segments of one category match when their IoU, without the pixels that are void in the truth,
    is above 0.5. A prediction that lies for more than half in void or in a crowd of its category
    is no false positive. `scores`: of earlier images, added to in place.
    """
    scores = {} if scores is None else scores
    pairs = predicted.labels.astype(np.int64) * 2**32 + truth.labels.astype(np.int64)
    keys, counts = np.unique(pairs, return_counts=True)
    shared = {
        (int(key >> 32), int(key & (2**32 - 1))): int(count)
        for key, count in zip(keys, counts, strict=True)
    }
    predicted_area: dict[int, int] = {}
    truth_area: dict[int, int] = {}
    for (p, t), count in shared.items():
        predicted_area[p] = predicted_area.get(p, 0) + count
        truth_area[t] = truth_area.get(t, 0) + count
    matched_predicted, matched_truth = set(), set()
    for (p, t), count in shared.items():
        if p not in predicted.categories or t not in truth.categories or t in truth.crowds:
            continue
        category = truth.categories[t]
        if predicted.categories[p] != category:
            continue
        union = predicted_area[p] + truth_area[t] - count - shared.get((p, 0), 0)
        if count / union > 0.5:
            score = scores.setdefault(category, PanopticScore())
            score.true_positives += 1
            score.iou_sum += count / union
            matched_predicted.add(p)
            matched_truth.add(t)
    for t, category in truth.categories.items():
        if t in truth_area and t not in matched_truth and t not in truth.crowds:
            scores.setdefault(category, PanopticScore()).false_negatives += 1
    for p, category in predicted.categories.items():
        if p not in predicted_area or p in matched_predicted:
            continue
        ignored = shared.get((p, 0), 0) + sum(
            shared.get((p, t), 0) for t in truth.crowds if truth.categories.get(t) == category
        )
        if ignored / predicted_area[p] <= 0.5:
            scores.setdefault(category, PanopticScore()).false_positives += 1
    return scores
