"""Which images to label next: those from which a model would learn most.

Unsure ones, and of these such as look neither like what is labeled nor like each other: greedy
k-centers (Sener and Savarese, Active Learning for CNNs, 2018), weighted with uncertainty. Images
are told apart by the colours and edges of their thumbnails.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from django.core.files.storage import default_storage
from PIL import Image as Pillow

from annotations.models import Image, Job, Prediction, Project
from annotations.services import marks
from inference.engines.base import Detection

FLOOR = 0.1
"""Detections with a lower score say nothing."""
MOST = 4000
"""Images that are compared with each other; the surer ones come after them, by uncertainty."""
LABELED = 1000
GRID, DIRECTIONS = 8, 8
ALIKE = 0.25
"""What uncertainty alone counts where an image looks just like another one."""


@dataclass(frozen=True, slots=True)
class Place:
    """An image's place in the queue: the greatest priority first, and why."""

    image: int
    priority: int
    reason: str


def uncertainty(detections: Sequence[Detection], *, exclusive: bool) -> float:
    """0…1. Where every pixel has a category, what is missing to certainty by area; else the mean
    doubt about the objects: 1 at a score of 0.5. An image without any: 0.5."""
    known = [one for one in detections if one.score >= FLOOR]
    if not known:
        return 0.5
    scores = np.array([one.score for one in known])
    if exclusive:
        areas = np.array([one.mask.area for one in known], float)
        return float(np.clip(1 - np.average(scores, weights=np.maximum(areas, 1)), 0, 1))
    return float(np.mean(4 * scores * (1 - scores)))


def plan(job: Job) -> list[Place]:
    """The places of the images that nobody began and that the job has predicted."""
    rows = Prediction.objects.filter(
        job=job, image__status=Image.Status.NEW, uncertainty__isnull=False
    ).order_by("-uncertainty", "image")
    fields = ("image", "image__file__thumbnail", "uncertainty")
    found = [(pk, name, doubt or 0.0) for pk, name, doubt in rows.values_list(*fields)]
    if not found:
        return []
    begun = Image.objects.filter(project=job.project).exclude(status=Image.Status.NEW)
    labeled = begun.order_by("-pk").values_list("file__thumbnail", flat=True)[:LABELED]
    ordered = chosen(
        np.array([doubt for *_, doubt in found[:MOST]]),
        looks([name for _, name, _ in found[:MOST]]),
        looks(labeled),
    )
    ordered += [(index, 0.0) for index in range(len(ordered), len(found))]
    middle = float(np.median([doubt for *_, doubt in found]))
    far = float(np.median([distance for _, distance in ordered]))
    return [
        Place(
            found[index][0],
            len(found) - place,
            reason(found[index][2], middle, distance >= far > 0, bool(labeled)),
        )
        for place, (index, distance) in enumerate(ordered)
    ]


def reason(doubt: float, middle: float, different: bool, labeled: bool) -> str:
    """In words for whoever labels it; `middle` is the median of all doubts."""
    percent, usual = round(100 * doubt), round(100 * middle)
    if percent == usual:
        sure = "as sure here as on most images"
    else:
        sure = f"{'less sure' if percent > usual else 'surer'} here than on most images"
    like = "what is labeled or comes before" if labeled else "the images before it"
    looks = f"it looks {'unlike' if different else 'like'} {like}"
    return f"The model is {sure} ({percent}% doubt), and {looks}."


def chosen(
    doubts: np.ndarray, candidates: np.ndarray, labeled: np.ndarray
) -> list[tuple[int, float]]:
    """(index, distance to what is labeled or chosen before), the most useful first.

    doubts: (n,); candidates: (n, d), labeled: (m, d), rows of length 1.
    """
    nearest = np.full(len(candidates), 2.0)
    for one in labeled:
        nearest = np.minimum(nearest, np.linalg.norm(candidates - one, axis=1))
    left = np.ones(len(candidates), bool)
    weights = doubts / max(float(doubts.max()), 1e-9) + 0.05
    order = []
    for _ in range(len(candidates)):
        value = np.where(left, weights * (ALIKE + nearest), -1.0)
        index = int(value.argmax())
        order.append((index, float(nearest[index])))
        left[index] = False
        nearest = np.minimum(nearest, np.linalg.norm(candidates - candidates[index], axis=1))
    return order


def looks(thumbnails: Iterable[str]) -> np.ndarray:
    """float32 (n, d), rows of length 1: colours on a grid and directions of edges."""
    rows = [_look(name) for name in thumbnails]
    return np.array(rows, np.float32).reshape(len(rows), 3 * GRID**2 + DIRECTIONS)


def _look(thumbnail: str) -> np.ndarray:
    try:
        with default_storage.open(thumbnail) as file:
            picture = Pillow.open(io.BytesIO(file.read())).convert("RGB").resize((64, 64))
    except (OSError, ValueError):  # it is gone: it looks like nothing
        return np.zeros(3 * GRID**2 + DIRECTIONS)
    lab = cv2.cvtColor(np.asarray(picture, np.float32) / 255, cv2.COLOR_RGB2LAB)
    cells = cv2.resize(lab, (GRID, GRID), interpolation=cv2.INTER_AREA) / 100
    dx, dy = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0), cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1)
    angles = (np.arctan2(dy, dx) + np.pi) / (2 * np.pi) * DIRECTIONS
    edges = np.bincount(
        angles.astype(int).ravel() % DIRECTIONS, np.hypot(dx, dy).ravel(), DIRECTIONS
    )
    look = np.concatenate([cells.ravel(), GRID * edges / max(edges.sum(), 1e-6)])
    return look / max(float(np.linalg.norm(look)), 1e-6)


def apply(project: Project, places: Sequence[Place]) -> None:
    """Write the places; images that have none any more lose theirs. Call inside a transaction."""
    rows = Image.objects.filter(project=project)
    rows.exclude(reason="").update(priority=0, reason="")
    changed = rows.in_bulk([place.image for place in places])
    for place in places:
        if image := changed.get(place.image):
            image.priority, image.reason = place.priority, place.reason
    Image.objects.bulk_update(changed.values(), ["priority", "reason"], batch_size=500)
    marks.opened(project.pk)
