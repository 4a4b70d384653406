"""Looking at an image as an eye does: finely where the prompts are, coarsely far from them.

Each axis is resampled by itself, so that the result is a plain small image in which neighbours stay
neighbours, whatever the size of the original. What follows costs the same for every image, and an
object of 10 pixels gets as many samples as one of 1,000.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines.base import BoolMask, Image

SAMPLES = 260
"""Along the longer side of the resampled image."""
MIN_SAMPLES = 60
ZOOM = 4.0
"""Samples per pixel at the prompts, at most."""
FOVEA = 12.0
"""Pixels from a prompt over which the density stays near its greatest."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One resampled axis. `centres`: the pixel coordinate of each sample, (n,) float64; `ends`: the
    sample coordinate of each pixel's edges, (length + 1,) float64, increasing."""

    centres: NDArray[np.float64]
    ends: NDArray[np.float64]

    @classmethod
    def around(
        cls, length: int, samples: int, points: list[float], span: tuple[float, float] | None
    ) -> "Axis":
        """An axis of `length` pixels that is dense near `points` and within `span`."""
        x = np.arange(length) + 0.5
        distance = np.full(length, np.inf)
        for point in points:
            np.minimum(distance, np.abs(x - point), out=distance)
        if span:
            outside = np.maximum(np.maximum(span[0] - x, x - span[1]), 0)
            np.minimum(distance, outside, out=distance)
        samples = min(samples, int(length * ZOOM))

        def density(reach: float) -> NDArray[np.float64]:
            return ZOOM / (1 + np.maximum(0, distance - reach) / (reach + FOVEA))

        low, high = 1e-3, 1e7
        for _ in range(30):  # the reach at which the samples are used up
            middle = (low * high) ** 0.5
            low, high = (low, middle) if density(middle).sum() > samples else (middle, high)
        weights = density(low)
        ends = np.concatenate([[0.0], np.cumsum(weights * (samples / weights.sum()))])
        centres = np.interp(np.arange(samples) + 0.5, ends, np.arange(length + 1))
        return cls(centres, ends)

    def to_sample(self, pixel: float) -> float:
        return float(np.interp(pixel, np.arange(len(self.ends)), self.ends))

    def to_pixel(self, sample: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(sample, self.ends, np.arange(len(self.ends)))

    def index(self, pixel: float) -> int:
        """The sample that holds the pixel coordinate."""
        return min(len(self.centres) - 1, max(0, int(self.to_sample(pixel))))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The two axes of a resampled image."""

    x: Axis
    y: Axis

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y.centres), len(self.x.centres)

    def image(self, pyramid: list[Image]) -> Image:
        """The resampled image, uint8 (h, w, 3); each sample comes from the pyramid's level (each
        half the one before) that is as coarse as the sampling is there."""
        stride = np.maximum(
            np.gradient(self.y.centres)[:, None], np.gradient(self.x.centres)[None, :]
        )
        level = np.clip(np.log2(np.maximum(stride, 1)) + 0.5, 0, len(pyramid) - 1).astype(int)
        result = np.zeros((*self.shape, 3), np.uint8)
        height, width = pyramid[0].shape[:2]
        for number in range(int(level.max()) + 1):
            source = pyramid[number]
            xs = self.x.centres * (source.shape[1] / width) - 0.5
            ys = self.y.centres * (source.shape[0] / height) - 0.5
            sampled = cv2.remap(
                source, *_grid(xs, ys), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            chosen = level == number
            result[chosen] = sampled[chosen]
        return result

    def mask(self, mask: BoolMask) -> BoolMask:
        """The resampled mask of the whole image."""
        return mask[np.ix_(self.y.centres.astype(int), self.x.centres.astype(int))]

    def restore(self, soft: NDArray) -> tuple[BoolMask, int, int]:
        """Where `soft` (a resampled map, 0…1) is above a half in the image's own pixels: a window
        of it and the window's top left pixel (x, y)."""
        rows = np.flatnonzero((soft > 0.01).any(1))
        columns = np.flatnonzero((soft > 0.01).any(0))
        if not len(rows):
            return np.zeros((0, 0), bool), 0, 0
        x0, x1 = _extent(self.x, columns)
        y0, y1 = _extent(self.y, rows)
        xs = (self.x.ends[x0:x1] + self.x.ends[x0 + 1 : x1 + 1]) / 2 - 0.5
        ys = (self.y.ends[y0:y1] + self.y.ends[y0 + 1 : y1 + 1]) / 2 - 0.5
        levels = np.rint(soft * 255).astype(np.uint8)
        restored = cv2.remap(
            levels, *_grid(xs, ys), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return restored > 127, x0, y0


def pyramid(image: Image) -> list[Image]:
    """The image and its halves, down to about the resampled size."""
    levels = [image]
    while max(levels[-1].shape[:2]) > 2 * SAMPLES and min(levels[-1].shape[:2]) > 1:
        height, width = levels[-1].shape[:2]
        size = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
        smaller = cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(smaller, np.uint8))
    return levels


def look(
    shape: tuple[int, int],
    points: list[tuple[float, float]],
    box: tuple[float, float, float, float] | None,
) -> View:
    """A view of an image of `shape` (height, width), dense at the points (x, y) and in the box
    (x, y, width, height)."""
    height, width = shape
    longest = max(height, width)
    across = box and (box[0], box[0] + box[2])
    down = box and (box[1], box[1] + box[3])

    def axis(length: int, centres: list[float], span: tuple[float, float] | None) -> Axis:
        samples = max(MIN_SAMPLES, round(SAMPLES * length / longest))
        return Axis.around(length, samples, centres, span)

    return View(
        axis(width, [x for x, _ in points], across), axis(height, [y for _, y in points], down)
    )


def _grid(
    xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shape = (len(ys), len(xs))
    across = np.broadcast_to(xs.astype(np.float32)[None, :], shape)
    down = np.broadcast_to(ys.astype(np.float32)[:, None], shape)
    return np.ascontiguousarray(across), np.ascontiguousarray(down)


def _extent(axis: Axis, samples: NDArray[np.intp]) -> tuple[int, int]:
    """The pixels that the samples from the first to the last touch: [start, end)."""
    low, high = axis.to_pixel(np.array([samples[0] - 1.0, samples[-1] + 2.0]))
    return max(0, int(low)), min(len(axis.ends) - 1, int(np.ceil(high)))
