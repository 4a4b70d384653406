"""An image as a graph of superpixels: small patches of one colour, and how hard their borders are.

Superpixels are the basins of a watershed of the colour gradient, seeded at its lowest point in each
cell of a grid (the idea of Machairas et al., "Waterpixels", 2015).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from inference.engines.base import Image

CELL = 7
"""Pixels along a cell of the seeding grid."""
SOFTNESS = 0.5
"""Borders this many times the image's mean strength lose a factor e of their affinity."""


@dataclass(frozen=True, slots=True, eq=False)
class Superpixels:
    """n superpixels and the m pairs that share a border. Colours are CIE Lab (L 0…100)."""

    labels: NDArray[np.int32]
    """(h, w), 0…n-1."""
    size: NDArray[np.float64]
    """(n,) in cells of the grid: about 1 each."""
    color: NDArray[np.float64]
    """(n, 3) mean Lab."""
    centre: NDArray[np.float64]
    """(n, 2) mean (x, y), pixels."""
    pairs: NDArray[np.int64]
    """(m, 2), ascending in each row."""
    strength: NDArray[np.float64]
    """(m,) how hard the border is, roughly in units of Lab."""
    length: NDArray[np.float64]
    """(m,) the border's length in pixels."""
    affinity: NDArray[np.float64]
    """(m,) the border's length in cells, less where it is hard."""

    def __len__(self) -> int:
        return len(self.size)

    def mean(self, values: NDArray) -> NDArray[np.float64]:
        """The mean of a (h, w) map in each superpixel, (n,)."""
        flat = self.labels.ravel()
        totals = np.bincount(flat, values.ravel(), len(self))
        return totals / np.bincount(flat, minlength=len(self))


def superpixels(
    image: Image, seeds: list[tuple[int, int]] | None = None, cell: int = CELL
) -> Superpixels:
    """The graph of an uint8 RGB image. Each of `seeds` (x, y) starts a superpixel of its own, so
    that two clicks never share one."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    fine = _gradient(cv2.GaussianBlur(lab, (0, 0), 1.0))
    coarse = 2 * _gradient(cv2.GaussianBlur(lab, (0, 0), 2.5))
    labels = watershed(fine, _markers(fine, seeds or [], cell)).astype(np.int32) - 1
    count = int(labels.max()) + 1
    flat = labels.ravel()
    pixels = np.bincount(flat, minlength=count)
    rows, columns = np.indices(labels.shape)

    def mean(values: NDArray) -> NDArray[np.float64]:
        return np.bincount(flat, values.ravel(), count) / pixels

    color = np.stack([mean(lab[..., channel]) for channel in range(3)], 1)
    centre = np.stack([mean(columns), mean(rows)], 1) + 0.5
    pairs, strength, length = _borders(labels, count, fine + coarse)
    strength = 2 * strength + np.linalg.norm(color[pairs[:, 0]] - color[pairs[:, 1]], axis=1)
    softness = SOFTNESS * (strength.mean() if len(strength) else 0) + 1
    return Superpixels(
        labels=labels,
        size=pixels / cell**2,
        color=color,
        centre=centre,
        pairs=pairs,
        strength=strength,
        length=length,
        affinity=np.exp(-strength / softness) * length / cell,
    )


def _gradient(lab: NDArray) -> NDArray[np.float32]:
    """How fast the colour changes at each pixel, Lab per pixel, (h, w)."""
    across, down = cv2.Scharr(lab, cv2.CV_32F, 1, 0), cv2.Scharr(lab, cv2.CV_32F, 0, 1)
    return np.sqrt((across**2 + down**2).sum(2)) / 16


def _markers(
    gradient: NDArray[np.float32], seeds: list[tuple[int, int]], cell: int
) -> NDArray[np.int32]:
    """One marker per cell, at its lowest gradient, and one per seed; numbered from 1."""
    height, width = gradient.shape
    padded = np.pad(
        gradient,
        ((0, -height % cell), (0, -width % cell)),
        constant_values=np.inf,
    )
    down, across = padded.shape[0] // cell, padded.shape[1] // cell
    cells = (
        padded.reshape(down, cell, across, cell).transpose(0, 2, 1, 3).reshape(down * across, -1)
    )
    lowest = cells.argmin(1)
    rows = np.repeat(np.arange(down) * cell, across) + lowest // cell
    columns = np.tile(np.arange(across) * cell, down) + lowest % cell
    marked = np.zeros(gradient.shape, bool)
    marked[rows, columns] = True
    for x, y in seeds:
        marked[y, x] = True
    markers = np.zeros(gradient.shape, np.int32)
    markers[marked] = np.arange(1, marked.sum() + 1)
    return markers


def _borders(
    labels: NDArray[np.int32], count: int, gradient: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The pairs of neighbours (m, 2), the mean gradient along their border and its length."""
    keys, values = [], []
    for first, second in (
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:], np.s_[:-1]),
    ):
        a, b = labels[first], labels[second]
        border = a != b
        low = np.minimum(a[border], b[border]).astype(np.int64)
        keys.append(low * count + np.maximum(a[border], b[border]))
        values.append(np.maximum(gradient[first][border], gradient[second][border]))
    unique, inverse, length = np.unique(
        np.concatenate(keys), return_inverse=True, return_counts=True
    )
    strength = np.bincount(inverse, np.concatenate(values), len(unique)) / length
    return np.stack([unique // count, unique % count], 1), strength, length.astype(float)
