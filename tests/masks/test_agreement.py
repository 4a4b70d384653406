"""Agreement and consensus against published examples and definitions written out again."""

import itertools

import numpy as np
import pytest
from pycocotools import mask as coco
from sklearn.metrics import cohen_kappa_score, confusion_matrix, jaccard_score

from annotations.masks import agreement, matching, metrics, rle
from annotations.masks.matching import Shape

rng = np.random.default_rng(4)


def shape(mask: np.ndarray, category: int = 1, is_crowd: bool = False) -> Shape:
    counts = rle.encode(mask)
    return Shape(category, counts, rle.area(counts), rle.bbox(counts, mask.shape), is_crowd)


def box(x: int, y: int, w: int, h: int, category: int = 1, size=(40, 50), **more) -> Shape:
    mask = np.zeros(size, bool)
    mask[y : y + h, x : x + w] = True
    return shape(mask, category, **more)


# Krippendorff 2011, section C: nominal data, four observers, missing data; alpha is 0.743.
PUBLISHED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def test_alpha_of_the_published_example():
    rows = [line.split() for line in PUBLISHED.strip().splitlines()]
    codes = np.array([[-1 if code == "." else int(code) - 1 for code in row] for row in rows])
    assert agreement.alpha(agreement.coincidences(codes, 5)) == pytest.approx(0.743, abs=5e-4)


def test_fleiss_kappa_of_a_known_table():
    """Ten subjects, fourteen raters, five categories: 0.210."""
    table = """0 0 0 0 14;0 2 6 4 2;0 0 3 5 6;0 3 9 2 0;2 2 8 1 1;7 7 0 0 0;3 2 6 3 0;2 5 3 2 2
               6 5 2 1 0;0 2 2 3 7""".replace("\n", ";")
    counts = [[int(n) for n in row.split()] for row in table.split(";")]
    codes = np.array([np.repeat(np.arange(5), row) for row in counts]).T
    kappa = agreement.fleiss_kappa(agreement.coincidences(codes, 5))
    assert kappa == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_fleiss_kappa_is_the_definition_on_random_codes(seed):
    """Fleiss 1971: of each unit the share of pairs that agree, and what chance gives."""
    codes = np.random.default_rng(seed).integers(0, 4, (5, 30))
    counts = np.stack([(codes == label).sum(axis=0) for label in range(4)], axis=1)
    agreeing = ((counts**2).sum(axis=1) - 5) / (5 * 4)
    chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    kappa = agreement.fleiss_kappa(agreement.coincidences(codes, 4))
    assert kappa == pytest.approx((agreeing.mean() - chance) / (1 - chance))


def written_out_alpha(codes: np.ndarray) -> float:
    """1 - Do / De over all ordered pairs of values, the slow way."""
    units = [[c for c in unit if c >= 0] for unit in codes.T]
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    n = len(values)
    observed = sum(
        sum(a != b for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units
    )
    expected = sum(a != b for a, b in itertools.permutations(values, 2)) / (n - 1)
    return 1 - observed / expected


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_the_definition_on_random_codes(seed):
    codes = np.random.default_rng(seed).integers(-1, 4, (4, 30))
    got = agreement.alpha(agreement.coincidences(codes, 4))
    assert got == pytest.approx(written_out_alpha(codes))


def test_kappa_of_two_equal_margins_is_cohens():
    """Where both coders use each category equally often, Fleiss' and Cohen's kappa are one."""
    first = np.repeat([0, 1, 2], 20)
    second = np.random.default_rng(1).permutation(first)
    kappa = agreement.fleiss_kappa(agreement.coincidences(np.stack([first, second]), 3))
    assert kappa == pytest.approx(cohen_kappa_score(first, second))


def test_nothing_to_disagree_about_is_no_agreement():
    same = agreement.coincidences(np.zeros((3, 5), int), 2)
    assert np.isnan(agreement.alpha(same))
    assert np.isnan(agreement.fleiss_kappa(same))


def test_shapes_are_measured_as_pycocotools_and_scikit_learn_do():
    for _ in range(20):
        masks = rng.random((2, 30, 44)) < rng.uniform(0.2, 0.8)
        one, other = (shape(mask) for mask in masks)
        encoded = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
        assert matching.shape_iou(one, other) == pytest.approx(
            coco.iou(encoded[:1], encoded[1:], [0])[0, 0]
        )
        found = matching.overlap(one, other, (30, 44))
        assert found.iou == pytest.approx(jaccard_score(*(mask.ravel() for mask in masks)))
        assert found.boundary_iou == pytest.approx(metrics.boundary_iou(*masks))
        assert found.dice == pytest.approx(metrics.dice(*masks))
        assert found.pixels == np.count_nonzero(masks[0] ^ masks[1])


def test_the_band_of_a_cropped_boundary_is_that_of_the_whole_image():
    one, other = box(5, 5, 40, 40, size=(400, 600)), box(8, 5, 40, 43, size=(400, 600))
    first, second = (rle.decode(s.counts, (400, 600)) for s in (one, other))
    whole = metrics.boundary_iou(first, second)
    assert matching.overlap(one, other, (400, 600)).boundary_iou == pytest.approx(whole)


def test_compare_is_panoptic_quality_on_disjoint_segments():
    """Without void pixels, which `compare` knows nothing of."""
    categories = {1: 10, 2: 10, 3: 20, 4: 30}
    mistaken = categories | {2: 20}
    for seed in range(10):
        random = np.random.default_rng(seed)
        truth = np.kron(random.integers(1, 5, (4, 5)), np.ones((5, 5), int))
        given = np.roll(truth, int(random.integers(0, 5)), axis=1)
        scores = metrics.panoptic_quality(
            metrics.Panoptic(given, mistaken), metrics.Panoptic(truth, categories)
        )
        one = [shape(given == k, c) for k, c in mistaken.items() if (given == k).any()]
        other = [shape(truth == k, c) for k, c in categories.items() if (truth == k).any()]
        found = matching.compare(one, other)
        for category in (10, 20, 30):
            score = scores.get(category, metrics.PanopticScore())
            hits = [m for m in found.right if other[m.truth].category == category]
            lost = [*found.missing, *(m.truth for m in found.wrong)]
            invented = [*found.extra, *(m.predicted for m in found.wrong)]
            assert (len(hits), sum(m.iou for m in hits)) == pytest.approx(
                (score.true_positives, score.iou_sum)
            )
            assert sum(other[t].category == category for t in lost) == score.false_negatives
            assert sum(one[p].category == category for p in invented) == score.false_positives


def test_compare_tells_right_wrong_extra_and_missing():
    truth = [box(0, 0, 10, 10), box(20, 0, 10, 10), box(0, 20, 10, 10, category=2)]
    crowd = box(30, 20, 20, 20, is_crowd=True)
    given = [box(1, 0, 10, 10), box(20, 0, 10, 10, category=2), box(40, 0, 5, 5)]
    inside = box(32, 22, 4, 4)
    found = matching.compare([*given, inside], [*truth, crowd])
    assert [(m.predicted, m.truth) for m in found.right] == [(0, 0)]
    assert [(m.predicted, m.truth) for m in found.wrong] == [(1, 1)]
    assert (found.extra, found.missing) == ([2], [2])


def test_groups_hold_one_shape_of_each_person():
    ann = [box(0, 0, 10, 10), box(20, 0, 10, 10)]
    bob = [box(1, 0, 10, 10)]
    eve = [box(0, 1, 10, 10), box(20, 1, 10, 10), box(40, 30, 5, 5)]
    found = sorted(matching.groups([ann, bob, eve]), key=lambda group: (-len(group), str(group)))
    assert found == [{0: 0, 1: 0, 2: 0}, {0: 1, 2: 1}, {2: 2}]


def test_majority_needs_more_than_half():
    maps = np.array([[[1, 1, 1, 2]], [[1, 2, 0, 2]], [[1, 3, 1, 0]]])
    assert agreement.majority(maps).tolist() == [[1, 0, 1, 2]]


def written_out_staple(masks: np.ndarray, rounds: int = 100) -> tuple[np.ndarray, ...]:
    """The update rules of the paper, pixel by pixel."""
    coders, pixels = masks.shape
    p, q = [0.99] * coders, [0.99] * coders
    prior = masks.mean()
    w = np.zeros(pixels)
    for _ in range(rounds):
        for i in range(pixels):
            a, b = prior, 1 - prior
            for j in range(coders):
                a *= p[j] if masks[j, i] else 1 - p[j]
                b *= 1 - q[j] if masks[j, i] else q[j]
            w[i] = a / (a + b)
        p = [sum(w[i] for i in range(pixels) if masks[j, i]) / w.sum() for j in range(coders)]
        q = [
            sum(1 - w[i] for i in range(pixels) if not masks[j, i]) / (1 - w).sum()
            for j in range(coders)
        ]
    return w, np.array(p), np.array(q)


def test_staple_is_the_paper_and_finds_the_careless_one():
    truth = np.zeros(200, bool)
    truth[60:140] = True
    wrong = np.array([0.02, 0.05, 0.3])[:, None]
    masks = truth ^ (rng.random((3, 200)) < wrong)
    found = agreement.staple(masks, tolerance=0)
    w, p, q = written_out_staple(masks)
    assert found.probability == pytest.approx(w, abs=1e-6)
    assert found.sensitivity == pytest.approx(p, abs=1e-6)
    assert found.specificity == pytest.approx(q, abs=1e-6)
    assert found.sensitivity.argmin() == 2
    assert ((found.probability > 0.5) != truth).mean() < 0.06


def test_consensus_of_objects():
    ann = [box(0, 0, 10, 10), box(20, 0, 10, 10)]
    bob = [box(2, 0, 10, 10, category=2)]
    eve = [box(1, 0, 10, 10), box(40, 30, 5, 5)]
    ((category, counts, share),) = agreement.consensus_objects([ann, bob, eve], (40, 50), "x")
    assert (category, share) == (1, 1)
    assert counts == box(1, 0, 10, 10).counts


def test_consensus_of_pixels_is_disjoint():
    maps = rng.integers(0, 3, (5, 20, 20))
    for method in ("majority", "staple"):
        found = agreement.consensus_pixels(maps, method)
        assert set(found) <= {1, 2}
        assert not rle.overlap(list(found.values()))
    masks = agreement.consensus_pixels(maps, "majority")
    assert np.array_equal(rle.decode(masks[1], (20, 20)), (maps == 1).sum(axis=0) >= 3)


def test_confusion_is_scikit_learns():
    truth, given = rng.integers(0, 4, (2, 500))
    got = metrics.confusion(given, truth, 4)[:4, :4]
    assert np.array_equal(got, confusion_matrix(truth, given, labels=range(4)))
