"""A random forest over multi-scale filters: labels every pixel, learns from few images in seconds.

As in trainable segmentation of microscopy (ilastik: Sommer et al., 2011; Breiman, Random Forests,
2001). Its weights are plain arrays; nothing in them can run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from safetensors import SafetensorError, safe_open

from inference.engines.base import CropMask, Detection, Image, WeightsError, WeightsInfo

FORMAT = "random forest 1"
"""Another one when the filters change: older weights mean other filters."""

SCALES = (1.0, 2.0, 4.0, 8.0, 16.0)
FAR = (12, 30)
"""How far away the colours are that tell what is around a pixel."""
CHUNK = 8192
"""Pixels at a time: what they need stays in a processor's cache."""
NOT_IT = "The weights are not those of a random forest of this product."
ARRAYS = {
    "feature": np.int16,
    "threshold": np.float32,
    "child": np.int32,
    "leaf": np.int32,
    "roots": np.int32,
    "votes": np.float32,
}


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """All trees, one node after the other.

    feature int16, threshold float32: a pixel goes to `child` where its feature is at most the
    threshold, else to the node behind that. A leaf is its own child; `leaf` is its row in `votes`,
    float32 (leaves, classes), -1 elsewhere. `roots`: where each tree begins. `side`: the longer
    side that images are shrunk to, pixels.
    """

    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    leaf: np.ndarray
    roots: np.ndarray
    votes: np.ndarray
    side: int
    depth: int

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 (pixels, classes) of float32 (pixels, features)."""
        found = np.zeros((len(features), self.votes.shape[1]), np.float32)
        width = features.shape[1]
        inner = self.leaf < 0
        for start in range(0, len(features), CHUNK):
            flat = np.ascontiguousarray(features[start : start + CHUNK]).ravel()
            base = np.arange(flat.size // width, dtype=np.int64) * width
            for root in self.roots:
                node = np.full(len(base), root, np.int32)
                for _ in range(self.depth):
                    value = flat.take(base + self.feature.take(node))
                    right = value > self.threshold.take(node)
                    node = self.child.take(node) + (right & inner.take(node))
                found[start : start + CHUNK] += self.votes.take(self.leaf.take(node), axis=0)
        return found / len(self.roots)


class Forest:
    """A detector that gives each category's pixels as one mask; scores are mean probabilities."""

    device = "CPU"
    batch_size = 1

    def __init__(self, trees: Trees) -> None:
        self._trees = trees

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        trees, categories = read(weights)
        return WeightsInfo({"variant": f"{len(trees.roots)} trees"}, categories)

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        if weights is None:
            raise WeightsError("A random forest needs weights.")
        return cls(read(weights)[0])

    def detect(
        self, images: Sequence[Image], *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        return [self._detect(image, min_score)[:max_detections] for image in images]

    def _detect(self, image: Image, min_score: float) -> list[Detection]:
        height, width = image.shape[:2]
        small = shrunk(image, self._trees.side)
        features = filtered(small)
        votes = self._trees.probabilities(features.reshape(-1, features.shape[2]))
        soft = [
            cv2.resize(cv2.GaussianBlur(one, (0, 0), 2.0), (width, height))
            for one in votes.T.reshape(-1, *small.shape[:2])
        ]
        best, labels = soft[0], np.zeros((height, width), np.int16)
        for label, one in enumerate(soft[1:], 1):
            better = one > best
            labels[better] = label
            best = np.where(better, one, best)
        found = []
        for label in np.unique(labels):
            mask = labels == label
            score = float(best[mask].mean())
            if score >= min_score:
                found.append(Detection(CropMask.of(mask), score, int(label)))
        return sorted(found, key=lambda detection: -detection.score)


def shrunk(image: Image, side: int) -> Image:
    """The image with a longer side of at most `side` pixels."""
    scale = min(1.0, side / max(image.shape[:2]))
    size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return small


def filtered(image: Image) -> np.ndarray:
    """float32 (height, width, features): colours, edges, corners and texture at five scales, what
    is above, below, left and right, and the place in the image."""
    height, width = image.shape[:2]
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    light = lab[..., 0]
    planes = [lab]
    for scale in SCALES:
        blurred = cv2.GaussianBlur(lab, (0, 0), scale)
        gray = np.ascontiguousarray(blurred[..., 0])
        dx, dy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
        xx, yy, xy = (cv2.GaussianBlur(p, (0, 0), scale * 2) for p in (dx * dx, dy * dy, dx * dy))
        spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
        square = cv2.GaussianBlur(light * light, (0, 0), scale)
        deviation = np.sqrt(np.maximum(square - gray * gray, 0))
        planes += [blurred, np.hypot(dx, dy), cv2.Laplacian(gray, cv2.CV_32F)]
        planes += [xx + yy + spread, xx + yy - spread, xx - yy, deviation]
    wide = cv2.GaussianBlur(lab, (0, 0), 4.0)
    for far in FAR:
        far = max(1, round(far * max(height, width) / 320))
        padded = cv2.copyMakeBorder(wide, far, far, far, far, cv2.BORDER_REPLICATE)
        for y, x in ((0, far), (2 * far, far), (far, 0), (far, 2 * far)):
            planes.append(padded[y : y + height, x : x + width])
    rows, columns = np.indices((height, width), dtype=np.float32)
    planes += [rows / height, columns / width]
    return np.dstack(planes).astype(np.float32)


def read(path: Path) -> tuple[Trees, tuple[str, ...]]:
    """Trees that cannot lead outside themselves, and the names of the classes. WeightsError."""
    if path.suffix != ".safetensors":
        raise WeightsError(NOT_IT)
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise WeightsError(NOT_IT)
            arrays = {name: file.get_tensor(name) for name in ARRAYS}
            side = int(about["side"])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError("The file is no safetensors file, or only a part of one.") from None
    categories = tuple(filter(None, about.get("categories", "").split("\n")))
    if not 16 <= side <= 4096:
        raise WeightsError(NOT_IT)
    _check(arrays, len(categories))
    return Trees(**arrays, side=side, depth=_depth(arrays["child"], arrays["roots"])), categories


def _check(arrays: dict[str, np.ndarray], classes: int) -> None:
    """WeightsError: something in the arrays leads outside them, or round in a circle."""
    features = filtered(np.zeros((8, 8, 3), np.uint8)).shape[2]
    votes, child, leaf = arrays["votes"], arrays["child"], arrays["leaf"]
    nodes = np.arange(len(child)) if child.ndim == 1 else np.zeros(0)
    inner = leaf < 0
    sound = (
        all(arrays[name].dtype == dtype for name, dtype in ARRAYS.items())
        and all(arrays[name].shape == (len(nodes),) for name in ("feature", "threshold", "leaf"))
        and len(nodes) > 0
        and votes.ndim == 2
        and votes.shape[1] == classes > 0
        and arrays["roots"].size > 0
        and arrays["roots"].ndim == 1
        and bool(np.isfinite(votes).all())
    )
    if not (
        sound
        and ((arrays["feature"] >= 0) & (arrays["feature"] < features)).all()
        and ((arrays["roots"] >= 0) & (arrays["roots"] < len(nodes))).all()
        and (leaf < len(votes)).all()
        and (child[~inner] == nodes[~inner]).all()
        and (child[inner] > nodes[inner]).all()
        and (child[inner] + 1 < len(nodes)).all()
    ):
        raise WeightsError("The trees in the file are damaged.")


def _depth(child: np.ndarray, roots: np.ndarray) -> int:
    """How many steps lead from the roots to the farthest leaf."""
    nodes, depth = roots, 0
    while True:
        inner = nodes[child[nodes] != nodes]
        if not len(inner):
            return depth
        nodes, depth = np.unique(np.concatenate([child[inner], child[inner] + 1])), depth + 1
