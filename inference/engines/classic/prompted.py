"""Prompts → masks on one image, without learned weights.

The first click or box is answered from the picture alone: the label of a superpixel is a Gaussian
process over the superpixel graph (Zhu et al., "Combining active learning and semi-supervised
learning using Gaussian fields", 2003), with colour and place as further kernels, and a cut gives it
clean borders. Every later click is a correction of the mask before it: it counts near itself, out
to a few times its distance from that mask's border, so that fixing one place spoils no other. A
click right beside the border says that the mask is too tight or too loose, and moves all of it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from inference.engines.base import BoolMask, CropMask, Image, MaskCandidate, Point, Prompts
from inference.engines.classic.cut import minimum_cut
from inference.engines.classic.foveate import View, look
from inference.engines.classic.superpixels import Superpixels, superpixels

Values = NDArray[np.float64]

LEAK = 0.005
"""How fast a click's influence fades along the graph."""
PRIOR = -0.5
"""What a superpixel is taken for before anything is known: -1 background, 1 object."""
COLOR_REACH, FAR_REACH, NEAR_REACH = 20.0, 0.3, 0.15
"""Width of the kernels: in Lab, and in parts of the view for like colours and for all."""
COLOR_WEIGHT, NEAR_WEIGHT = 0.4, 1.8
SMOOTHNESS = 1.5
"""What a unit of affinity costs against a unit of evidence."""
TRUST = 0.3
"""How sure the previous mask is of each of its superpixels."""
CORRECTION_REACH = 1.5
"""How far a correction counts, in distances from the click to the previous mask's border."""
BOX_COLOR = 0.3
"""What the colours in and outside a box count, against its shape."""
RETHOUGHT, RETHINK = 4, 0.2
"""Up to so many clicks, what all of them say of the picture alone counts this much."""
SMALL_STEP, SMALL_PART = 3.0, 0.5
SMALL_REACH, SMALL_SPREAD = 3.0, 0.6
"""A click at most so many pixels off the border, and so large a part of the object's depth, moves
all of the border: fully within a few times its own distance, by the second part elsewhere."""
REPLAYED = 8
"""Of more clicks without a mask the earlier ones are taken together."""
SCALES = (0.0, 0.3, -0.3)
"""What is added to the evidence for the object as such, for the whole and for the part."""


def answer(pyramid: list[Image], prompts: Prompts) -> list[MaskCandidate]:
    """Candidates, best first, for an image (given as its pyramid) and at least one prompt.

    Without a previous mask the clicks are gone through one by one, as they were made.
    """
    points, mask = list(prompts.points), prompts.mask
    if mask is not None:
        known = points
    elif prompts.box:
        known = points[: max(0, len(points) - REPLAYED)]
    else:
        known = points[: max(1, len(points) - REPLAYED)]
    if mask is not None and points and (moved := moved_border(mask, points)) is not None:
        return [MaskCandidate(CropMask.of(moved), 0.5)]
    step = _Step(pyramid, prompts.box, known, mask)
    for number in range(len(known) + 1, len(points) + 1):
        mask = step.best()
        step = _Step(pyramid, prompts.box, points[:number], mask)
    return step.candidates()


def moved_border(mask: BoolMask, points: list[Point]) -> BoolMask | None:
    """The mask with its whole border moved to beyond the last point, where that is a small step;
    None where it is a large one. Earlier points stay on their side."""
    point = points[-1]
    height, width = mask.shape
    x0, y0, w, h = cv2.boundingRect(mask.astype(np.uint8))
    margin = int(SMALL_STEP) + 4
    left, top = max(0, x0 - margin), max(0, y0 - margin)
    right, bottom = min(width, x0 + w + margin), min(height, y0 + h + margin)
    column, row = int(point.x) - left, int(point.y) - top
    if not (0 <= column < right - left and 0 <= row < bottom - top):
        return None
    part = mask[top:bottom, left:right]
    if part[row, column] == point.positive:
        return None
    inner = _depth(part)
    outer = _depth(~part)
    signed = np.where(part, inner - 0.5, 0.5 - outer)
    step = -float(signed[row, column])
    if abs(step) > min(SMALL_STEP, SMALL_PART * float(inner.max())):
        return None
    rows, columns = np.indices(part.shape)
    away = np.hypot(columns - column, rows - row)
    near = np.exp(-((away / (SMALL_REACH * abs(step) + 1)) ** 2) / 2)
    everywhere = SMALL_SPREAD + (1 - SMALL_SPREAD) * near
    result = mask.copy()
    result[top:bottom, left:right] = signed + (step + np.sign(step) * 0.6) * everywhere > 0
    for known in points:
        result[int(known.y), int(known.x)] = known.positive
    return result


def _depth(part: BoolMask) -> NDArray[np.float32]:
    """Pixels from each pixel to the nearest outside of the mask, (h, w)."""
    return np.asarray(cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5))


class _Step:
    """One answer: the last of `points` is new, the others led to `mask`."""

    def __init__(
        self,
        pyramid: list[Image],
        box: tuple[float, float, float, float] | None,
        points: list[Point],
        mask: BoolMask | None,
    ) -> None:
        self.shape = pyramid[0].shape[:2]
        self.points = points
        focus = [(point.x, point.y) for point in points]
        extent = box
        if mask is not None and not points and not box:
            crop = CropMask.of(mask)
            extent = (crop.x, crop.y, crop.pixels.shape[1], crop.pixels.shape[0])
        self.view: View = look(self.shape, focus, extent)
        seeds = [(self.view.x.index(x), self.view.y.index(y)) for x, y in focus]
        self.graph: Superpixels = superpixels(self.view.image(pyramid), seeds)
        self.nodes = np.array([self.graph.labels[y, x] for x, y in seeds], int)
        self.signs = np.array([1.0 if point.positive else -1.0 for point in points])
        self.previous = None if mask is None else self.view.mask(mask)
        self.place = np.stack(
            [
                self.view.x.to_pixel(self.graph.centre[:, 0]),
                self.view.y.to_pixel(self.graph.centre[:, 1]),
            ],
            1,
        )
        self.box = box
        self.label = self._label()

    def best(self) -> BoolMask | None:
        """The first candidate as a mask of the whole image; None when it is empty."""
        mask = self._mask(self._kept(self._cut(self.label)))
        return mask.full(*self.shape) if mask.area else None

    def candidates(self) -> list[MaskCandidate]:
        results: list[MaskCandidate] = []
        for scale in SCALES:
            chosen = self._kept(self._cut(self.label + scale))
            mask = self._mask(chosen)
            if mask.area and not any(_same(mask, other.mask) for other in results):
                results.append(MaskCandidate(mask, self._score(chosen, scale)))
        return sorted(results, key=lambda candidate: -candidate.score)

    def _label(self) -> Values:
        """What each superpixel seems to be, about -1…1, (n,)."""
        if self.previous is not None:
            label = TRUST * (2 * self.graph.mean(self.previous) - 1)
            if self.points and len(self.points) <= RETHOUGHT and self.signs.max() > 0:
                label += RETHINK * self._first_click()
            return self._corrected(label)
        if self.box is not None:
            return self._boxed(self.box)
        return self._first_click()

    def _first_click(self) -> Values:
        by_graph = self._graph_kernel(self.nodes)
        by_graph /= np.median(by_graph[self.nodes, range(len(self.nodes))])
        apart = self._squared(self.graph.centre, self.nodes) / max(self.view.shape) ** 2
        by_color = np.exp(
            -self._squared(self.graph.color, self.nodes) / (2 * COLOR_REACH**2)
            - apart / (2 * FAR_REACH**2)
        )
        by_place = np.exp(-apart / (2 * NEAR_REACH**2))
        kernel = by_graph + COLOR_WEIGHT * by_color + NEAR_WEIGHT * by_place
        return self._conditioned(np.full(len(self.graph), PRIOR), kernel, self.nodes, self.signs)

    def _corrected(self, label: Values) -> Values:
        if not self.points:
            return label
        node, point = self.nodes[-1:], self.points[-1]
        by_graph = self._graph_kernel(node)
        by_graph /= by_graph[node, 0]
        by_color = np.exp(-self._squared(self.graph.color, node) / (2 * COLOR_REACH**2))
        apart = ((self.place - [point.x, point.y]) ** 2).sum(1)[:, None]
        reach = CORRECTION_REACH * max(1.5, self._to_border(point))
        kernel = np.exp(-apart / (2 * reach**2)) * (by_graph + 0.5 * by_color + 0.3)
        return self._conditioned(label, kernel, node, self.signs[-1:])

    def _boxed(self, box: tuple[float, float, float, float]) -> Values:
        x, y, width, height = box
        from_middle = np.hypot(
            (self.place[:, 0] - x - width / 2) / max(width / 2, 1),
            (self.place[:, 1] - y - height / 2) / max(height / 2, 1),
        )
        shape = np.clip(1.0 - from_middle, -1, 1)
        chosen = shape > 0
        label = shape
        for _ in range(3):
            label = shape + BOX_COLOR * self._by_color(chosen)
            chosen = self._cut(label)
        return label

    def _by_color(self, chosen: NDArray[np.bool_]) -> Values:
        """The log ratio of the colours in and out of a mask, -2…2, (n,)."""
        bins = np.clip((self.graph.color + np.array([0, 60, 60])) / [8, 10, 10], 0, 11).astype(int)
        key = np.ravel_multi_index(tuple(bins.T), (13, 12, 12))
        ratio = []
        for part in (chosen, ~chosen):
            counts = np.bincount(key, part * self.graph.size, 13 * 12 * 12).reshape(13, 12, 12)
            smooth = np.stack([cv2.GaussianBlur(layer, (0, 0), 0.7) for layer in counts])
            ratio.append((smooth / max(smooth.sum(), 1) + 1e-4).ravel()[key])
        return np.clip(np.log(ratio[0] / ratio[1]), -2, 2)

    def _graph_kernel(self, nodes: NDArray[np.intp]) -> Values:
        """Columns of the inverse of the graph's Laplacian, leaking everywhere, (n, k)."""
        graph, count = self.graph, len(self.graph)
        first, second = graph.pairs.T
        ends, weights = np.concatenate([first, second]), np.tile(graph.affinity, 2)
        degree = np.bincount(ends, weights, count)
        adjacency = csc_matrix((weights, (ends, np.concatenate([second, first]))), (count, count))
        units = np.zeros((count, len(nodes)))
        units[nodes, range(len(nodes))] = 1
        return splu((diags(degree + LEAK * graph.size) - adjacency).tocsc()).solve(units)

    def _squared(self, features: Values, nodes: NDArray[np.intp]) -> Values:
        return ((features[:, None] - features[nodes][None]) ** 2).sum(2)

    def _conditioned(
        self, prior: Values, kernel: Values, nodes: NDArray[np.intp], signs: Values
    ) -> Values:
        """The Gaussian process's mean once `nodes` are known to be `signs`."""
        among = kernel[nodes] + 0.01 * np.eye(len(nodes))
        return prior + kernel @ np.linalg.solve(among, signs - prior[nodes])

    def _to_border(self, point: Point) -> float:
        """Pixels from a click to the nearest of the previous mask that it disagrees with."""
        assert self.previous is not None
        rows, columns = np.nonzero(self.previous == point.positive)
        if not len(rows):
            return float(max(self.shape))
        away = np.hypot(self.view.x.centres[columns] - point.x, self.view.y.centres[rows] - point.y)
        return float(away.min())

    def _cut(self, label: Values) -> NDArray[np.bool_]:
        evidence = np.clip(label, -1.5, 1.5) * self.graph.size
        if self.box is not None:
            x, y, width, height = self.box
            inside = (np.abs(self.place - [x + width / 2, y + height / 2]) * 2).T
            evidence[(inside[0] > width) | (inside[1] > height)] = -100
        evidence[self.nodes] = 100 * self.signs
        return minimum_cut(evidence, self.graph.pairs, SMOOTHNESS * self.graph.affinity)

    def _kept(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A correction adds (a positive click) or takes away, in one piece, where it was made."""
        if self.previous is None or not self.points:
            return chosen
        before = self.graph.mean(self.previous) > 0.5
        positive, node = self.points[-1].positive, self.nodes[-1]
        changed = (chosen & ~before) if positive else (before & ~chosen)
        changed[node] = True
        first, second = self.graph.pairs[changed[self.graph.pairs].all(1)].T
        links = csc_matrix((np.ones(len(first)), (first, second)), (len(before), len(before)))
        _, pieces = connected_components(links, directed=False)
        changed &= pieces == pieces[node]
        return (before | changed) if positive else (before & ~changed)

    def _mask(self, chosen: NDArray[np.bool_]) -> CropMask:
        soft = cv2.GaussianBlur(chosen[self.graph.labels].astype(np.float32), (0, 0), 0.8)
        window = CropMask(*self.view.restore(soft))
        wrong = [p for p in self.points if window.holds(p.x, p.y) != p.positive]
        if wrong:  # smoothing took a click's own pixel
            full = window.full(*self.shape)
            for point in wrong:
                full[int(point.y), int(point.x)] = point.positive
            window = CropMask(full)
        return CropMask.of(window.pixels, window.x, window.y)

    def _score(self, chosen: NDArray[np.bool_], scale: float) -> float:
        """Higher for a border harder than usual here, lower for leaving the view, 0…1."""
        first, second = self.graph.pairs.T
        border = chosen[first] != chosen[second]
        if not border.any():
            return 0.0
        hard = self.graph.strength[border].mean() / (self.graph.strength.mean() + 1)
        labels = self.graph.labels
        rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        quality = hard * np.exp(-4 * chosen[rim].mean() - 2 * abs(scale))
        return round(float(quality / (1 + quality)), 4)


def _same(a: CropMask, b: CropMask) -> bool:
    return (a.x, a.y) == (b.x, b.y) and np.array_equal(a.pixels, b.pixels)
