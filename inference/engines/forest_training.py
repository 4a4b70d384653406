"""Training of the random forest: pixels drawn from every image, trees added a few at a time."""

import warnings
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from safetensors.numpy import save_file
from sklearn.ensemble import RandomForestClassifier

from inference.engines.forest import ARRAYS, FORMAT, filtered, shrunk
from inference.engines.training import WEIGHTS, Example, Step, Task

PIXELS = 50_000
"""That are learned from, in all images together."""
STEPS = 4
NOTHING = -1


class ForestTrainer:
    score_name = "out-of-bag accuracy"
    validates = False

    def train(self, task: Task, stop: Callable[[], bool]) -> Iterator[Step]:
        side, trees = int(task.options["side"]), int(task.options["trees"])
        random = np.random.default_rng(task.seed)
        features, labels = [], []
        for number, example in enumerate(task.train, 1):
            each = PIXELS // len(task.train)
            found, known = _pixels(example, side, each, len(task.categories), random)
            features.append(found)
            labels.append(known)
            yield Step(0.5 * number / len(task.train))
        x, y = np.concatenate(features), np.concatenate(labels)
        forest = RandomForestClassifier(
            max_depth=20,
            min_samples_leaf=3,
            max_features="sqrt",
            n_jobs=-1,
            warm_start=True,
            oob_score=True,
            random_state=task.seed,
        )
        for step in range(1, STEPS + 1):
            forest.n_estimators = max(1, trees * step // STEPS)
            with warnings.catch_warnings():  # about pixels that few trees have not seen yet
                warnings.simplefilter("ignore", UserWarning)
                forest.fit(x, y)
            score = float(forest.oob_score_)
            yield Step(0.5 + 0.5 * step / STEPS, loss=1 - score, score=score)
            if stop():
                break
        _save(forest, task, side)


def _pixels(
    example: Example, side: int, count: int, classes: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of at most `count` labeled pixels; rare classes are drawn more often, by
    the root of their share."""
    small = shrunk(example.image, side)
    labels = label_map(example, small.shape[:2]).ravel()
    shares = np.bincount(labels[labels >= 0], minlength=classes)
    weights = np.sqrt(shares)
    wanted = count * weights / max(weights.sum(), 1)
    chosen = [
        random.choice(found, min(len(found), max(1, round(wanted[label]))), replace=False)
        for label in np.flatnonzero(shares)
        for found in [np.flatnonzero(labels == label)]
    ]
    picked = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    features = filtered(small)
    return features.reshape(-1, features.shape[2])[picked], labels[picked]


def label_map(example: Example, size: tuple[int, ...]) -> np.ndarray:
    """int16 of `size` (height, width): the label of each pixel, NOTHING where there is none."""
    height, width = example.image.shape[:2]
    labels = np.full((height, width), NOTHING, np.int16)
    for target in example.targets:
        rows, columns = target.mask.pixels.shape
        y, x = target.mask.y, target.mask.x
        labels[y : y + rows, x : x + columns][target.mask.pixels] = target.label
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)


def _save(forest: RandomForestClassifier, task: Task, side: int) -> None:
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
    nodes = leaves = 0
    for estimator in forest.estimators_:
        tree = estimator.tree_
        order, child = _side_by_side(tree.children_left, tree.children_right)
        is_leaf = tree.children_left[order] < 0
        votes = np.zeros((int(is_leaf.sum()), len(task.categories)), np.float32)
        # sklearn numbers the classes that it saw.
        votes[:, forest.classes_] = tree.value[order[is_leaf], 0]
        votes /= votes.sum(1, keepdims=True)
        parts["feature"].append(np.where(is_leaf, 0, tree.feature[order]))
        parts["threshold"].append(np.where(is_leaf, 0, tree.threshold[order]))
        parts["child"].append(child + nodes)
        parts["leaf"].append(np.where(is_leaf, np.cumsum(is_leaf) - 1 + leaves, -1))
        parts["roots"].append(np.array([nodes]))
        parts["votes"].append(votes)
        nodes, leaves = nodes + len(order), leaves + len(votes)
    arrays = {
        name: np.ascontiguousarray(np.concatenate(parts[name]).astype(dtype))
        for name, dtype in ARRAYS.items()
    }
    about = {"format": FORMAT, "categories": "\n".join(task.categories), "side": str(side)}
    save_file(arrays, task.folder / WEIGHTS, about)


def _side_by_side(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in an order in which the children of each lie beside each other, level by level, and
    the place of each node's first child; a leaf's is its own."""
    order, level, child = [np.array([0])], np.array([0]), []
    begin = 1
    while len(level):
        inner = left[level] >= 0
        places = np.arange(begin - len(level), begin)
        places[inner] = begin + 2 * np.arange(int(inner.sum()))
        child.append(places)
        level = np.stack([left[level[inner]], right[level[inner]]], 1).ravel()
        order.append(level)
        begin += len(level)
    return np.concatenate(order), np.concatenate(child)
