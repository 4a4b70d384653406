"""The engine without weights, on drawn pictures and, where they are there, on real ones."""

import time

import numpy as np
import pytest

from bench.assist import (
    Figures,
    engine_predict,
    evaluate,
    iou,
    next_click,
    read_image,
    read_objects,
)
from inference.engines.base import BoolMask, Image, MaskCandidate, Point, Prompts
from inference.engines.classic import Classic
from inference.engines.classic.cut import minimum_cut
from inference.engines.classic.foveate import look, pyramid
from inference.engines.classic.superpixels import superpixels


def scene(height: int, width: int, shapes: list[tuple[float, float, float]]) -> tuple[Image, list]:
    """Discs (x, y, radius in pixels) of their own colours on a noisy ground, and their masks."""
    rng = np.random.default_rng(1)
    pixels = np.full((height, width, 3), 110.0)
    rows, columns = np.indices((height, width), dtype=np.float32)
    masks = []
    for x, y, radius in shapes:
        mask = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < radius**2
        pixels[mask] = rng.integers(30, 230, 3)
        masks.append(mask)
    noise = rng.normal(0, 4, (height, width, 1))
    return np.clip(pixels + noise, 0, 255).astype(np.uint8), masks


def best(image: Image, prompts: Prompts) -> list[MaskCandidate]:
    engine = Classic.load(None, {})
    return engine.segment(engine.embed(image), prompts)


def full(candidate: MaskCandidate, image: Image) -> BoolMask:
    return candidate.mask.full(*image.shape[:2])


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((200, 300), (150.0, 100.0, 40.0)),
        ((200, 300), (20.0, 180.0, 6.0)),
        ((1500, 2000), (1800.0, 300.0, 12.0)),
        ((1500, 2000), (900.0, 700.0, 500.0)),
    ],
)
def test_one_click_finds_an_object_of_any_size(size, shape):
    image, (truth,) = scene(size[0], size[1], [shape])
    candidates = best(image, Prompts((Point(shape[0], shape[1]),)))
    assert max(iou(full(candidate, image), truth) for candidate in candidates) > 0.85


def test_a_box_finds_the_object_in_it():
    image, (truth, _) = scene(200, 300, [(150, 100, 40), (240, 60, 25)])
    candidates = best(image, Prompts(box=(105, 55, 90, 90)))
    assert iou(full(candidates[0], image), truth) > 0.9


def test_a_mask_holds_every_positive_click_and_no_negative_one():
    image, _ = scene(120, 160, [(80, 60, 30)])
    rng = np.random.default_rng(5)
    points = tuple(
        Point(float(x), float(y), bool(number % 3))
        for number, (x, y) in enumerate(rng.uniform((0, 0), (160, 120), (12, 2)), 1)
    )
    for count in range(1, len(points) + 1):
        for candidate in best(image, Prompts(points[:count])):
            for point in points[:count]:
                assert candidate.mask.holds(point.x, point.y) == point.positive, (count, point)


def test_clicks_one_pixel_apart_are_told_apart():
    image, _ = scene(60, 60, [])
    points = (Point(30.5, 30.5), Point(31.5, 30.5, False))
    for candidate in best(image, Prompts(points)):
        assert candidate.mask.holds(30.5, 30.5)
        assert not candidate.mask.holds(31.5, 30.5)


def test_a_correction_changes_nothing_far_from_it():
    image, (one, two) = scene(200, 300, [(80, 100, 40), (220, 100, 40)])
    previous = one.copy()
    previous[80:120, 110:] = False
    prompts = Prompts((Point(80, 100), Point(118.5, 100)), mask=previous & one)
    after = full(best(image, prompts)[0], image)
    assert iou(after, one) > 0.9
    assert not (after & two).any()


def test_the_same_prompts_give_the_same_masks():
    image, _ = scene(120, 160, [(80, 60, 30)])
    prompts = Prompts((Point(80, 60), Point(20, 20, False)))
    first, second = best(image, prompts), best(image, prompts)
    assert [c.score for c in first] == [c.score for c in second]
    assert all(
        np.array_equal(full(a, image), full(b, image)) for a, b in zip(first, second, strict=True)
    )


def test_candidates_are_three_at_most_and_differ():
    image, _ = scene(200, 300, [(150, 100, 60), (150, 100, 25)])
    candidates = best(image, Prompts((Point(150, 100),)))
    assert 1 <= len(candidates) <= 3
    masks = [full(candidate, image) for candidate in candidates]
    assert all(iou(a, b) < 1 for i, a in enumerate(masks) for b in masks[:i])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (5, 4), (3000, 3)])
def test_odd_sizes_are_answered(size):
    image = np.full((*size, 3), 90, np.uint8)
    middle = Point(size[1] / 2, size[0] / 2)
    for candidate in best(image, Prompts((middle,))):
        assert candidate.mask.holds(middle.x, middle.y)
    assert isinstance(
        Classic.load(None, {}).detect([image], min_score=0, max_detections=5)[0], list
    )


def test_a_click_in_a_large_image_is_quick():
    image, _ = scene(3000, 4000, [(2000, 1500, 300)])
    engine = Classic.load(None, {})
    embedding = engine.embed(image)
    prompts = Prompts((Point(2000, 1500),))
    engine.segment(embedding, prompts)
    times = []
    for _ in range(5):
        start = time.process_time()  # of the processor: other work on the machine does not count
        engine.segment(embedding, prompts)
        times.append(time.process_time() - start)
    assert min(times) < 0.3


def test_the_view_is_finest_at_the_prompts_and_covers_the_image():
    view = look((1000, 2000), [(1500.0, 200.0)], None)
    strides = np.diff(view.x.centres)
    assert strides.min() > 0
    assert view.x.centres[strides.argmin()] == pytest.approx(1500, abs=30)
    assert view.x.centres[0] < 60
    assert view.x.centres[-1] > 1940
    mask = np.zeros((1000, 2000), bool)
    mask[150:260, 1450:1580] = True
    window, x, y = view.restore(view.mask(mask).astype(np.float32))
    restored = np.zeros_like(mask)
    restored[y : y + window.shape[0], x : x + window.shape[1]] = window
    assert iou(restored, mask) > 0.95
    assert max(pyramid(np.zeros((1000, 2000, 3), np.uint8))[-1].shape) <= 520


def test_superpixels_keep_to_borders_and_seeds_get_their_own():
    image, (truth,) = scene(140, 140, [(70, 70, 30)])
    graph = superpixels(image, [(70, 70), (71, 70)])
    assert graph.labels[70, 70] != graph.labels[70, 71]
    inside = graph.mean(truth)
    assert np.minimum(inside, 1 - inside).mean() < 0.02
    assert (graph.pairs[:, 0] < graph.pairs[:, 1]).all()


def test_the_cut_is_the_cheapest_of_all():
    rng = np.random.default_rng(2)
    pairs = np.array([(a, b) for a in range(7) for b in range(a + 1, 7) if rng.random() < 0.5])
    for _ in range(20):
        evidence, affinity = rng.normal(0, 1, 7), rng.uniform(0, 1, len(pairs))

        def gain(chosen, evidence=evidence, affinity=affinity):
            apart = chosen[pairs[:, 0]] != chosen[pairs[:, 1]]
            return evidence[chosen].sum() - affinity[apart].sum()

        every = [np.array([bool(n >> bit & 1) for bit in range(7)]) for n in range(128)]
        found = minimum_cut(evidence, pairs, affinity)
        assert gain(found) == pytest.approx(max(map(gain, every)), abs=0.05)


def test_propose_finds_the_objects_of_a_scene_apart():
    shapes = [(60.0, 60.0, 30.0), (200.0, 80.0, 35.0), (120.0, 160.0, 28.0)]
    image, masks = scene(220, 300, shapes)
    found = Classic.load(None, {}).detect([image], min_score=0, max_detections=100)[0]
    assert len(found) <= 30
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    assert all(d.label is None and 0 <= d.score <= 1 for d in found)
    fulls = [d.mask.full(220, 300) for d in found]
    assert np.sum(fulls, axis=0).max() == 1
    for truth in masks:
        assert max(iou(one, truth) for one in fulls) > 0.8


def test_propose_tells_touching_blobs_apart():
    rng = np.random.default_rng(3)
    shapes = [(30.0 + 24 * i, 30.0 + 24 * j, 13.0) for i in range(6) for j in range(5)]
    rows, columns = np.indices((180, 200))
    bright = np.zeros((180, 200))
    for x, y, radius in shapes:
        distance = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
        bright = np.maximum(bright, np.clip(radius - distance, 0, 3) / 3)
    pixels = (20 + 160 * bright + rng.normal(0, 3, bright.shape)).clip(0, 255)
    image = np.repeat(pixels[..., None], 3, 2).astype(np.uint8)
    found = Classic.load(None, {}).detect([image], min_score=0, max_detections=100)[0]
    assert len(found) == 30


def test_simulated_clicks_go_to_the_middle_of_the_largest_error():
    truth = np.zeros((40, 60), bool)
    truth[10:30, 20:40] = True
    click = next_click(truth, np.zeros_like(truth))
    assert click
    assert click.positive
    assert (abs(click.x - 30), abs(click.y - 20)) <= (1, 1)
    too_much = np.ones_like(truth)
    click = next_click(truth, too_much)
    assert click
    assert not click.positive
    assert next_click(truth, truth) is None


@pytest.mark.parametrize(
    ("name", "clicks", "box"), [("coco_sample", 10.5, 0.6), ("nuclei", 6.5, 0.7)]
)
def test_real_objects_need_few_clicks(name, clicks, box, shared_data):
    """A guard against getting worse; `script/bench assist` has the real figures."""
    objects = read_objects(shared_data / name, 1000 if name == "coco_sample" else 100, True)[:6]
    figures = Figures()
    engine = Classic.load(None, {})
    for path, truth in objects:
        evaluate(engine_predict(engine, read_image(path)), truth, figures)
    assert figures.noc(0.85) <= clicks
    assert np.mean(figures.boxes) >= box
