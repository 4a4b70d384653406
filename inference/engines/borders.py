"""Borders that follow the image: what a detector found, drawn again where the picture has edges.

A learned mask knows where an object is better than where exactly it ends. So the mask, softened at
its border, is filtered with the picture as guide (He et al., "Guided image filtering", 2013): in
each small window it becomes a linear function of the colours there, so that its border moves to
the edge nearby, and stays where there is none. Windows grow with the object. The functions are
found at a bounded resolution and applied to every pixel (He and Sun, "Fast guided filter", 2015).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.engines.base import BoolMask, CropMask, Detection, Detector, Image, Mask

REACH, LEAST_REACH = 0.15, 3
"""How far a border may look for an edge: parts of the square root of the area, and pixels."""
SOFTNESS, LEAST_SOFTNESS = 0.06, 0.3
"""How softly a mask ends: likewise."""
NOISE = 1.0
"""Variance of colours (Lab) that is not an edge."""
SIDE, LARGEST = 128, 1024
"""Pixels along the longer side at which the functions are found and applied, at most."""
ALIKE = 0.5
"""IoU with the detector's own mask below which that one is kept."""
Values = NDArray[np.float32]


class Following:
    """A detector whose borders follow the image."""

    def __init__(self, engine: Detector) -> None:
        self._engine = engine
        self.device, self.batch_size = engine.device, engine.batch_size

    def detect(self, images: Sequence[Image], **options: Any) -> list[list[Detection]]:
        found = self._engine.detect(images, **options)
        return [
            [replace(one, mask=follow(image, one.mask)) for one in detections]
            for image, detections in zip(images, found, strict=True)
        ]


def follow(image: Image, mask: Mask) -> Mask:
    """The mask with its border at the edges of the image, uint8 (H, W, 3) RGB, near it. What lies
    outside the image is left out. One that the picture says nothing of comes back as it is."""
    height, width = image.shape[:2]
    rows, columns = mask.pixels.shape
    size = float(np.sqrt(mask.area))
    reach = max(LEAST_REACH, round(REACH * size))
    left, top = max(0, mask.x - 2 * reach), max(0, mask.y - 2 * reach)
    right = min(width, mask.x + columns + 2 * reach)
    bottom = min(height, mask.y + rows + 2 * reach)
    if not size or left >= right or top >= bottom:
        return mask
    own = _window(mask, left, top, right, bottom)
    picture = image[top:bottom, left:right]
    moved = _moved(picture, own, reach, SOFTNESS * size + LEAST_SOFTNESS)
    shared, joined = np.count_nonzero(moved & own), np.count_nonzero(moved | own)
    return CropMask.of(moved, left, top) if shared > ALIKE * joined else mask


def _window(mask: Mask, left: int, top: int, right: int, bottom: int) -> BoolMask:
    """The mask within [left, right) × [top, bottom) of the image, (bottom - top, right - left)."""
    result = np.zeros((bottom - top, right - left), bool)
    skipped_x, skipped_y = max(0, left - mask.x), max(0, top - mask.y)
    part = mask.pixels[skipped_y : bottom - mask.y, skipped_x : right - mask.x]
    y, x = mask.y + skipped_y - top, mask.x + skipped_x - left
    result[y : y + part.shape[0], x : x + part.shape[1]] = part
    return result


def _moved(picture: Image, own: BoolMask, reach: int, softness: float) -> BoolMask:
    scale = min(1.0, LARGEST / max(own.shape))
    if scale == 1:
        return _touching(_filtered(picture, _soft(own, softness), reach) >= 0.5, own)
    size = (max(1, round(own.shape[1] * scale)), max(1, round(own.shape[0] * scale)))
    small, levels = (
        np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        for part in (picture, own.astype(np.uint8) * 255)
    )
    mask = levels > 127
    found = _filtered(small, _soft(mask, softness * scale), max(1, round(reach * scale)))
    inside = found >= 0.5
    found[inside & ~_touching(inside, mask)] = 0
    levels = (np.clip(found, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.resize(levels, own.shape[::-1]) > 127)


def _soft(mask: BoolMask, width: float) -> Values:
    """0…1, one half on the border, steep over `width` pixels."""
    inside, outside = (
        cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (mask, ~mask)
    )
    depth = np.where(mask, inside - 0.5, 0.5 - outside)
    return (1 / (1 + np.exp(np.clip(-depth / width, -30, 30)))).astype(np.float32)


def _filtered(picture: Image, soft: Values, reach: int) -> Values:
    """`soft` (h, w) as a function of the colours in windows of 2 · reach + 1 pixels."""
    colors = picture.astype(np.float32) / 255
    lab = np.asarray(cv2.cvtColor(colors, cv2.COLOR_RGB2LAB), np.float32)
    scale = min(1.0, SIDE / max(soft.shape))
    size = (max(1, round(soft.shape[1] * scale)), max(1, round(soft.shape[0] * scale)))
    small, wanted = lab, soft
    if scale < 1:
        small, wanted = (
            np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32)
            for part in (lab, soft)
        )
    slope, offset = _linear(small, wanted, 2 * max(1, round(reach * scale)) + 1)
    if scale < 1:
        slope, offset = (
            np.asarray(cv2.resize(part, soft.shape[::-1]), np.float32) for part in (slope, offset)
        )
    return np.einsum("hwc,hwc->hw", slope, lab) + offset


def _linear(lab: Values, wanted: Values, side: int) -> tuple[Values, Values]:
    """Slopes (h, w, 3) and offsets (h, w) by which colours (h, w, 3) give `wanted` (h, w) best in
    windows of side × side, each the mean of the windows that hold the pixel."""

    def mean(values: Values) -> Values:
        blurred = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32)

    colour, value = mean(lab), mean(wanted)
    shared = mean(lab * wanted[..., None]) - colour * value[..., None]
    products = mean(lab[..., [0, 0, 0, 1, 1, 2]] * lab[..., [0, 1, 2, 1, 2, 2]])
    spread = products[..., [[0, 1, 2], [1, 3, 4], [2, 4, 5]]]
    spread -= colour[..., None] * colour[..., None, :]
    spread += NOISE * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(spread, shared[..., None])[..., 0]
    return mean(slope), mean(value - np.einsum("hwc,hwc->hw", slope, colour))


def _touching(mask: BoolMask, own: BoolMask) -> BoolMask:
    """The pieces of `mask` that share a pixel with `own`."""
    pieces, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    kept = np.zeros(pieces, bool)
    kept[np.unique(labels[own])] = True
    kept[0] = False
    return kept[labels]
