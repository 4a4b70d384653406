from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco
from scipy import ndimage

from annotations.masks import metrics
from annotations.masks.metrics import Panoptic
from tests.masks.strategies import same_size_masks


@given(same_size_masks(2))
def test_iou_and_dice(stack):
    first, second = stack
    encoded = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in stack]
    if first.any() or second.any():
        expected = coco.iou([encoded[0]], [encoded[1]], [0])[0, 0]
        assert metrics.iou(first, second) == pytest.approx(expected)
        assert metrics.dice(first, second) == pytest.approx(2 * expected / (1 + expected))
    else:
        assert metrics.iou(first, second) == metrics.dice(first, second) == 1


@given(arrays(bool, (17, 13)), st.integers(1, 4))
def test_the_boundary_band_is_what_is_within_d_of_the_outside(mask, distance):
    ratio = distance / np.hypot(*mask.shape)
    away = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    assert (metrics.boundary(mask, ratio) == (mask & (away <= distance))).all()


def test_boundary_iou_sees_what_iou_does_not():
    ys, xs = np.mgrid[0:400, 0:400]
    disc = np.hypot(xs - 200, ys - 200) < 150
    smaller = np.hypot(xs - 200, ys - 200) < 144
    assert metrics.iou(disc, smaller) > 0.92
    assert metrics.boundary_iou(disc, smaller) < 0.5
    assert metrics.boundary_iou(disc, disc) == 1


labels = arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 3, 255]))


@given(labels, labels)
def test_mean_iou_against_sets(predicted, truth):
    counted = truth != 255
    values = []
    for label in range(4):
        a, b = (predicted == label) & counted, (truth == label) & counted
        if (a | b).any():
            values.append((a & b).sum() / (a | b).sum())
    got = metrics.mean_iou(predicted, truth, 4)
    assert np.isnan(got) if not values else got == pytest.approx(np.mean(values))


def test_confusion_adds_up_over_images():
    truth, predicted = np.array([[0, 1], [1, 255]]), np.array([[0, 0], [1, 1]])
    one = metrics.confusion(predicted, truth, 2)
    assert one.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert metrics.class_iou(one + one).tolist() == [0.5, 0.5]
    unknown = metrics.confusion(np.full((2, 2), 255), truth, 2)
    assert unknown[:, 2].sum() == 3


matrices = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: arrays(float, shape, elements=st.floats(0, 1))
)


@given(matrices, st.sampled_from([0.0, 0.5, 0.75]))
def test_greedy_matches_are_one_to_one_and_cannot_be_extended(matrix, threshold):
    matches = metrics.greedy_match(matrix, threshold)
    rows, columns = {m.predicted for m in matches}, {m.truth for m in matches}
    assert len(rows) == len(columns) == len(matches)
    assert all(m.iou >= threshold for m in matches)
    assert sorted((m.iou for m in matches), reverse=True) == [m.iou for m in matches]
    for row in set(range(matrix.shape[0])) - rows:
        for column in set(range(matrix.shape[1])) - columns:
            assert matrix[row, column] < threshold


def test_above_one_half_the_matching_is_the_best_one():
    matrix = np.array([[0.6, 0.3, 0.0], [0.2, 0.55, 0.1], [0.0, 0.1, 0.9]])
    best = max(sum(matrix[i, p[i]] for i in range(3)) for p in permutations(range(3)))
    assert sum(m.iou for m in metrics.greedy_match(matrix)) == pytest.approx(best)


def test_scores_choose_first():
    matrix = np.array([[0.9, 0.6], [0.95, 0.0]])
    by_iou = {(m.predicted, m.truth) for m in metrics.greedy_match(matrix)}
    by_score = {(m.predicted, m.truth) for m in metrics.greedy_match(matrix, 0.5, [0.9, 0.8])}
    assert by_iou == {(1, 0), (0, 1)}
    assert by_score == {(0, 0)}


def test_iou_matrix():
    eye = np.eye(4, dtype=bool)
    assert metrics.iou_matrix([eye, ~eye], [eye]).tolist() == [[1.0], [0.0]]
    assert metrics.iou_matrix([], [eye]).shape == (0, 1)


def reference_quality(predicted: Panoptic, truth: Panoptic) -> dict[int, tuple]:
    """Straight from the definition, with masks."""
    void = ~np.isin(truth.labels, list(truth.categories))
    result: dict[int, list] = {}
    used_truth, used_predicted = set(), set()
    for p, category in predicted.categories.items():
        for t, other in truth.categories.items():
            if category != other or t in truth.crowds:
                continue
            a, b = (predicted.labels == p) & ~void, truth.labels == t
            if (a | b).any() and (value := (a & b).sum() / (a | b).sum()) > 0.5:
                row = result.setdefault(category, [0.0, 0, 0, 0])
                row[0] += value
                row[1] += 1
                used_predicted.add(p)
                used_truth.add(t)
    for t, category in truth.categories.items():
        if (truth.labels == t).any() and t not in used_truth and t not in truth.crowds:
            result.setdefault(category, [0.0, 0, 0, 0])[3] += 1
    for p, category in predicted.categories.items():
        mask = predicted.labels == p
        if not mask.any() or p in used_predicted:
            continue
        crowd = [t for t in truth.crowds if truth.categories[t] == category]
        ignored = mask & (void | np.isin(truth.labels, crowd))
        if ignored.sum() <= mask.sum() / 2:
            result.setdefault(category, [0.0, 0, 0, 0])[2] += 1
    return {category: tuple(row) for category, row in result.items()}


blocks = arrays(np.uint16, (3, 3), elements=st.integers(0, 4)).map(
    lambda small: np.kron(small, np.ones((2, 3), np.uint16))
)


@given(blocks, blocks, st.booleans())
def test_panoptic_quality(predicted_labels, truth_labels, crowd):
    categories = {1: 10, 2: 10, 3: 20, 4: 20}
    predicted = Panoptic(predicted_labels, categories)
    truth = Panoptic(truth_labels, categories, frozenset({4} if crowd else ()))
    got = {
        category: (s.iou_sum, s.true_positives, s.false_positives, s.false_negatives)
        for category, s in metrics.panoptic_quality(predicted, truth).items()
    }
    expected = reference_quality(predicted, truth)
    assert got.keys() == expected.keys()
    for category, row in expected.items():
        assert got[category] == pytest.approx(row)


def test_panoptic_quality_over_images():
    truth = Panoptic(np.array([[1, 1, 1, 2]]), {1: 10, 2: 10})
    scores = metrics.panoptic_quality(truth, truth)
    other = Panoptic(np.array([[1, 1, 0, 0]]), {1: 10})
    metrics.panoptic_quality(other, truth, scores)
    score = scores[10]
    assert (score.true_positives, score.false_positives, score.false_negatives) == (3, 0, 1)
    assert score.segmentation_quality == pytest.approx((2 + 2 / 3) / 3)
    assert score.quality == pytest.approx((2 + 2 / 3) / 3.5)
