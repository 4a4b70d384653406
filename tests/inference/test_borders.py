"""Borders follow the image: nearer the truth on drawn images, and harmless everywhere else."""

import time

import cv2
import numpy as np
import pytest

from inference.engines.base import CropMask, Detection, RunMask
from inference.engines.borders import Following, follow
from tests.inference.conftest import disc


def iou(a, b) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def rough(mask, step: int = 7):
    """The mask as a model with few cells would draw it: coarse, and a bit off."""
    height, width = mask.shape
    small = cv2.resize(mask.astype(np.float32), (width // step, height // step))
    return np.roll(cv2.resize(small, (width, height)) > 0.45, 2, 1)


def spotted(pixels, seed: int = 0):
    noise = np.random.default_rng(seed).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("radius", [12, 40])
def test_the_border_moves_to_the_edge_of_the_object(radius):
    pixels, truth = disc(150, 200, 90, 70, radius)
    before = rough(truth)
    found = follow(spotted(pixels), CropMask.of(before)).full(150, 200)
    assert iou(found, truth) > max(0.9, iou(before, truth) + 0.04)


def test_grey_is_as_good_as_colour_and_without_an_edge_little_moves():
    pixels, truth = disc(150, 200, 90, 70, 40)
    gray = np.repeat(spotted(pixels).mean(2, keepdims=True).astype(np.uint8), 3, 2)
    before = rough(truth)
    assert iou(follow(gray, CropMask.of(before)).full(150, 200), truth) > iou(before, truth) + 0.04
    plain = np.full_like(pixels, 120)
    assert iou(follow(plain, CropMask.of(before)).full(150, 200), before) > 0.9


def test_masks_of_nothing_of_a_pixel_and_beyond_the_image_come_back():
    pixels = disc(150, 200, 90, 70, 40)[0]
    empty = CropMask(np.zeros((0, 0), bool), 3, 4)
    assert follow(pixels, empty) is empty
    assert follow(pixels, CropMask(np.ones((1, 1), bool), 199, 149)).area >= 1
    outside = CropMask(np.ones((9, 9), bool), 400, 400)
    assert follow(pixels, outside) is outside
    for x, y in ((-20, -20), (190, 140), (-5, 60)):
        found = follow(spotted(pixels), CropMask(np.ones((40, 40), bool), x, y))
        height, width = found.pixels.shape
        assert (found.x >= 0) & (found.y >= 0)
        assert (found.x + width <= 200) & (found.y + height <= 150)
    whole = follow(pixels, CropMask(np.ones((150, 200), bool)))
    assert whole.area > 0.9 * 150 * 200


def test_it_takes_milliseconds_whatever_the_size():
    small, mask = disc(150, 200, 90, 70, 20)
    large = cv2.resize(small, (3000, 2250), interpolation=cv2.INTER_NEAREST)
    wide = cv2.resize(mask.astype(np.uint8), (3000, 2250)) > 0
    for pixels, one, most in ((small, mask, 0.02), (large, wide, 1.0)):
        given = CropMask.of(rough(one))
        begun = time.process_time()
        found = follow(pixels, given)
        assert time.process_time() - begun < most
        assert iou(found.full(*one.shape), one) > 0.95


def test_a_detector_that_follows_keeps_scores_labels_and_order():
    pixels, truth = disc(150, 200, 90, 70, 40)

    class Fixed:
        device, batch_size = "a fake", 3

        def detect(self, images, **options):
            assert options == {"min_score": 0.1, "max_detections": 7}
            one = Detection(CropMask.of(rough(truth)), 0.9, 2)
            other = Detection(RunMask(np.array([30, 4, 150 * 200 - 34]), (150, 200)), 0.4)
            return [[one, other] for _ in images]

    engine = Following(Fixed())  # type: ignore[arg-type]  # all it is asked for
    assert (engine.device, engine.batch_size) == ("a fake", 3)
    found = engine.detect([spotted(pixels), pixels], min_score=0.1, max_detections=7)
    rows = [[(one.score, one.label) for one in row] for row in found]
    assert rows == [[(0.9, 2), (0.4, None)]] * 2
    assert iou(found[0][0].mask.full(150, 200), truth) > 0.95
