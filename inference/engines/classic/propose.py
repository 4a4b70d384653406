"""Regions of a whole image, without learned weights: scenes by merging superpixels, pictures of
many alike blobs (cells, grains, parts) by threshold and distance."""

import heapq
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from inference.engines.base import BoolMask, CropMask, Detection, Image
from inference.engines.classic.superpixels import Superpixels, superpixels

SIDE = 400
"""Pixels along the longer side at which scenes are merged."""
BLOB_SIDE = 1024
SMALLEST, LARGEST = 0.006, 0.7
"""Parts of the image that a scene's region may fill."""
SCENE_REGIONS = 30


def propose(image: Image, min_score: float, max_detections: int) -> list[Detection]:
    """Regions that share no pixel, best first, without labels."""
    found = _blobs(image)
    if found is None:
        found = _scene(image)[:SCENE_REGIONS]
    best = sorted((d for d in found if d.score >= min_score), key=lambda d: -d.score)
    return best[:max_detections]


# --- blobs --------------------------------------------------------------------------------------


def _blobs(image: Image) -> list[Detection] | None:
    """Every blob of a picture that is all blobs on one ground; None when it is not."""
    small = _shrunk(image, BLOB_SIDE)
    contrast = _from_ground(small)
    level = threshold_otsu(contrast)
    above = contrast > level
    if not 0.005 < above.mean() < 0.7 or _separation(contrast, above) < 0.72:
        return None
    # Dim blobs beside bright ones: also what stands out from its own surroundings.
    around = cv2.blur(contrast, (max(contrast.shape) // 8 | 1,) * 2)
    above &= contrast > around * 0.7
    above = ndimage.binary_fill_holes(ndimage.binary_opening(above, iterations=1))
    depth = cv2.distanceTransform(np.pad(above.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    depth = cv2.GaussianBlur(depth, (0, 0), 1.0)
    parts, _ = ndimage.label(above)
    peaks = peak_local_max(
        depth,
        min_distance=max(2, round(float(np.median(depth[above])) * 1.2)),
        threshold_abs=1.0,
        labels=parts,
    )
    markers = np.zeros(above.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-depth, markers, mask=above)
    found = [
        detection
        for number, window in enumerate(ndimage.find_objects(labels), 1)
        if window and (detection := _blob(labels, contrast, number, window, image, level))
    ]
    solid = [d for d in found if d.score > 0.5]
    if len(solid) < 4 or len(solid) < 0.8 * len(found):
        return None
    alike = np.std(np.log([d.mask.area for d in found])) < 1.6
    return found if alike else None


def _from_ground(image: Image) -> NDArray[np.float32]:
    """How far each pixel's colour is from the commonest one, Lab, (h, w)."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    bins = (lab + np.array([0, 128, 128])) // 4
    keys = (bins[..., 0] * 4096 + bins[..., 1] * 64 + bins[..., 2]).astype(int)
    values, counts = np.unique(keys, return_counts=True)
    ground = lab[keys == values[counts.argmax()]].mean(0)
    return np.linalg.norm(lab - ground, axis=2).astype(np.float32)


def _separation(values: NDArray[np.float32], above: BoolMask) -> float:
    """The part of the variance that lies between the two classes, 0…1 (Otsu's criterion)."""
    share = above.mean()
    between = share * (1 - share) * (values[above].mean() - values[~above].mean()) ** 2
    return float(between / max(values.var(), 1e-6))


def _blob(
    labels: NDArray[np.int32],
    contrast: NDArray[np.float32],
    number: int,
    window: tuple[slice, slice],
    image: Image,
    level: float,
) -> Detection | None:
    mask = labels[window] == number
    area = int(mask.sum())
    if area < 12:
        return None
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(contours))
    solid = area / max(area, cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2)
    bright = min(1.0, float(contrast[window][mask].mean()) / (2 * level))
    return Detection(_enlarged(mask, window, labels.shape, image), round(solid * bright, 4))


# --- scenes -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """A node of the tree of merges. `height`: the cost at which it came to be."""

    size: float
    color: NDArray[np.float64]
    height: float = 0.0
    parent: int = -1
    children: tuple[int, ...] = ()
    borders: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Neighbour → (length, length × strength)."""


def _scene(image: Image) -> list[Detection]:
    small = _shrunk(image, SIDE)
    graph = superpixels(small)
    tree = _merged(graph)
    whole = sum(graph.size)
    gains = [_gain(tree, number, whole) for number in range(len(tree))]
    chosen = _best_disjoint(tree, gains)
    owner = np.full(len(tree), -1)
    for number in chosen:
        owner[number] = number
    for number in range(len(tree) - 1, -1, -1):  # parents come after their children
        if owner[number] < 0 and tree[number].parent >= 0:
            owner[number] = owner[tree[number].parent]
    labels = (owner[: len(graph)] + 1)[graph.labels].astype(np.int32)
    found = []
    for number, window in enumerate(ndimage.find_objects(labels), 1):
        if window:
            mask = _enlarged(labels[window] == number, window, labels.shape, image)
            found.append(Detection(mask, round(gains[number - 1] ** 0.25, 4)))
    return sorted(found, key=lambda d: -d.score)


def _cost(a: _Node, b: _Node, length: float, strength: float) -> float:
    """Small for small or like-coloured neighbours with a soft border (after Ward, 1963)."""
    weight = (a.size * b.size / (a.size + b.size)) ** 0.3
    apart = float(np.linalg.norm(a.color - b.color))
    return weight * (apart + strength / length)


def _merged(graph: Superpixels) -> list[_Node]:
    """The binary tree of merges, cheapest first; the first n nodes are the superpixels."""
    nodes = [_Node(float(s), c) for s, c in zip(graph.size, graph.color, strict=True)]
    for (a, b), strength, length in zip(
        graph.pairs.tolist(), graph.strength.tolist(), graph.length.tolist(), strict=True
    ):
        nodes[a].borders[b] = nodes[b].borders[a] = (length, length * strength)
    queue = [
        (_cost(nodes[a], nodes[b], *nodes[a].borders[b]), a, b) for a, b in graph.pairs.tolist()
    ]
    heapq.heapify(queue)
    while queue:
        cost, a, b = heapq.heappop(queue)
        if nodes[a].parent >= 0 or nodes[b].parent >= 0:
            continue
        size = nodes[a].size + nodes[b].size
        color = (nodes[a].size * nodes[a].color + nodes[b].size * nodes[b].color) / size
        height = max(cost, nodes[a].height, nodes[b].height)
        merged, number = _Node(size, color, height, children=(a, b)), len(nodes)
        nodes.append(merged)
        nodes[a].parent = nodes[b].parent = number
        for part in (a, b):
            for other, (length, strength) in nodes[part].borders.items():
                if other in (a, b):
                    continue
                before = merged.borders.get(other, (0.0, 0.0))
                merged.borders[other] = (before[0] + length, before[1] + strength)
        for other, border in merged.borders.items():
            theirs = nodes[other].borders
            theirs.pop(a, None)
            theirs.pop(b, None)
            theirs[number] = border
            heapq.heappush(queue, (_cost(merged, nodes[other], *border), number, other))
    return nodes


def _gain(tree: list[_Node], number: int, whole: float) -> float:
    """How much a node stands out, 0…1: how long it lasted in the tree before it was merged, how
    much of the image it explains, and how hard the picture resisted that merge."""
    node = tree[number]
    part = node.size / whole
    end = tree[node.parent].height if node.parent >= 0 else 0.0
    if not end or not SMALLEST < part < LARGEST:
        return 0.0
    lasted, resisted = 1 - node.height / end, end / tree[-1].height
    return float(lasted * part**0.6 * resisted**0.25)


def _best_disjoint(tree: list[_Node], gains: list[float]) -> list[int]:
    """The nodes that share nothing and gain the most together."""
    best = [0.0] * len(tree)
    for number, node in enumerate(tree):
        best[number] = max(gains[number], sum(best[child] for child in node.children))
    chosen, stack = [], [n for n, node in enumerate(tree) if node.parent < 0]
    while stack:
        number = stack.pop()
        if gains[number] > 0 and gains[number] >= best[number]:
            chosen.append(number)
        else:
            stack.extend(tree[number].children)
    return chosen


# --- sizes --------------------------------------------------------------------------------------


def _shrunk(image: Image, side: int) -> Image:
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _enlarged(
    mask: BoolMask, window: tuple[slice, slice], shape: tuple[int, ...], image: Image
) -> CropMask:
    """A mask within a window of an image of `shape`, in the pixels of the image itself."""
    if shape[:2] == image.shape[:2]:
        return CropMask.of(mask, window[1].start, window[0].start)
    height, width = image.shape[:2]
    down, across = height / shape[0], width / shape[1]
    top, bottom = round(window[0].start * down), round(window[0].stop * down)
    left, right = round(window[1].start * across), round(window[1].stop * across)
    size = (right - left, bottom - top)
    scaled = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return CropMask.of(scaled > 0.5, left, top)
