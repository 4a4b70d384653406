"""How good a model is on held-out images: COCO AP, mIoU and boundary IoU, per category.

AP is pycocotools' (Lin et al., 2014); IoU and boundary IoU (Cheng et al., 2021) are of a category's
pixels in all images together. Where unlabeled pixels mean nothing (semantic, panoptic) they do not
count; in instance projects crowds do not.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from annotations.masks import polygons, rle
from annotations.masks.metrics import boundary
from annotations.models import Image, Project
from annotations.records import ImageRecord
from inference.engines.base import Detector
from inference.services.rasters import raster
from inference.services.resolve import Found, resolve

LEAST_SCORE = 0.05
"""Of detections that AP looks at."""
MOST = 100
"""Detections in an image, as in COCO."""
SHOWN = 8
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Truth:
    """An image of the project and what a release says is on it."""

    image: Image
    record: ImageRecord


@dataclass(frozen=True, slots=True)
class Quality:
    """`metrics`: {score, score_name, images, ap, ap50, miou, boundary_iou, categories: [{name, ap,
    iou, boundary_iou, regions}]}, None where there is nothing to measure. `examples`: of some
    images {image: id in exports, name, iou, regions: [[category's id in exports, counts, score]]}.
    """

    metrics: dict[str, Any]
    examples: list[dict[str, Any]]


def evaluate(
    engine: Detector,
    classes: Sequence[str],
    truths: Sequence[Truth],
    categories: dict[int, str],
    kind: str,
    *,
    min_score: float,
    progress: Progress = lambda done, total: None,
) -> Quality:
    """Runs the engine, whose labels are `classes`, over the images of `truths`.

    categories: id in exports → name; only these are measured. A class is the category of its name.
    """
    ids = {name.casefold(): id for id, name in categories.items()}
    labels = {i: ids[name.casefold()] for i, name in enumerate(classes) if name.casefold() in ids}
    overlaps = {id: np.zeros(4, np.int64) for id in categories}  # shared, joined; of boundaries too
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    examples: list[dict[str, Any]] = []
    for number, (truth, found) in enumerate(_found(engine, truths, labels, kind), 1):
        _add_coco(truth, found, set(categories), annotations, results)
        sure = [one for one in found if one.score >= min_score]
        ious = _add_pixels(truth, sure, overlaps, kind)
        if len(examples) < SHOWN:
            examples.append(
                {
                    "image": truth.record.id,
                    "name": truth.record.file_name,
                    "iou": float(np.mean(ious)) if ious else None,
                    "regions": [[one.category_id, one.counts, one.score] for one in sure],
                }
            )
        progress(number, len(truths))
    aps = None
    if kind != Project.Kind.SEMANTIC:
        aps = _average_precision(truths, list(categories), annotations, results)
    return Quality(_metrics(categories, overlaps, aps, annotations, len(truths)), examples)


def _found(
    engine: Detector, truths: Sequence[Truth], labels: dict[int, int], kind: str
) -> Iterator[tuple[Truth, list[Found]]]:
    size = max(1, engine.batch_size)
    for batch in (truths[start : start + size] for start in range(0, len(truths), size)):
        outcomes = engine.detect(
            [raster(truth.image) for truth in batch], min_score=LEAST_SCORE, max_detections=MOST
        )
        for truth, outcome in zip(batch, outcomes, strict=True):
            shape = (truth.record.height, truth.record.width)
            yield truth, resolve(outcome, size=shape, kind=kind, labels=labels)


def _add_coco(
    truth: Truth,
    found: list[Found],
    categories: set[int],
    annotations: list[dict[str, Any]],
    results: list[dict[str, Any]],
) -> None:
    image, size = truth.record.id, [truth.record.height, truth.record.width]
    for region in truth.record.regions:
        if region.category_id in categories:
            counts = region.geometry.counts
            if counts is None:
                counts = rle.encode(polygons.geometry_mask(region.geometry))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": region.category_id,
                    "segmentation": {"size": size, "counts": counts},
                    "area": float(region.area or 0),
                    "bbox": list(region.bbox or ()),
                    "iscrowd": int(region.is_crowd),
                }
            )
    results += [
        {
            "image_id": image,
            "category_id": one.category_id,
            "segmentation": {"size": size, "counts": one.counts},
            "score": one.score,
        }
        for one in found
    ]


def _add_pixels(
    truth: Truth, found: list[Found], overlaps: dict[int, np.ndarray], kind: str
) -> list[float]:
    """Adds an image's pixels to `overlaps`; the IoU of each category that is in it."""
    size = (truth.record.height, truth.record.width)
    nothing = np.zeros(size, bool)
    wanted: dict[int, np.ndarray] = {}
    counted = np.full(size, kind == Project.Kind.INSTANCE)
    for region in truth.record.regions:
        mask = polygons.geometry_mask(region.geometry)
        if kind != Project.Kind.INSTANCE:
            counted |= mask
        elif region.is_crowd:
            counted &= ~mask
        wanted[region.category_id] = wanted.get(region.category_id, nothing) | mask
    given: dict[int, np.ndarray] = {}
    for one in found:
        assert one.category_id is not None
        mask = rle.decode(one.counts, size)
        given[one.category_id] = given.get(one.category_id, nothing) | mask
    ious: list[float] = []
    for id, sums in overlaps.items():
        if id not in wanted and id not in given:
            continue
        a, b = wanted.get(id, nothing) & counted, given.get(id, nothing) & counted
        edge_a, edge_b = boundary(a), boundary(b)
        pairs = [(a, b), (edge_a, edge_b)]
        numbers = [np.count_nonzero(n) for x, y in pairs for n in (x & y, x | y)]
        sums += np.array(numbers)
        if numbers[1]:
            ious.append(float(numbers[0] / numbers[1]))
    return ious


def _average_precision(
    truths: Sequence[Truth],
    categories: list[int],
    annotations: list[dict[str, Any]],
    results: list[dict[str, Any]],
) -> np.ndarray:
    """(thresholds, categories): AP at IoU 0.5, 0.55 … 0.95; NaN where there is no object."""
    if not results or not annotations:
        there = {one["category_id"] for one in annotations if not one["iscrowd"]}
        row = [0.0 if id in there else np.nan for id in categories]
        return np.array([row] * 10)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        truth = COCO()
        truth.dataset = {
            "images": [
                {"id": one.record.id, "width": one.record.width, "height": one.record.height}
                for one in truths
            ],
            "categories": [{"id": id} for id in categories],
            "annotations": annotations,
            "info": {},
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.catIds = categories
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # all areas, most detections
    return np.where((precision < 0).all(1), np.nan, precision.mean(1))


def _metrics(
    categories: dict[int, str],
    overlaps: dict[int, np.ndarray],
    aps: np.ndarray | None,
    annotations: list[dict[str, Any]],
    images: int,
) -> dict[str, Any]:
    rows = []
    for column, (id, name) in enumerate(categories.items()):
        shared, joined, edge_shared, edge_joined = (int(number) for number in overlaps[id])
        ap = float(aps[:, column].mean()) if aps is not None else np.nan
        rows.append(
            {
                "name": name,
                "ap": None if np.isnan(ap) else ap,
                "iou": shared / joined if joined else None,
                "boundary_iou": edge_shared / edge_joined if edge_joined else None,
                "regions": sum(one["category_id"] == id for one in annotations),
            }
        )
    metrics: dict[str, Any] = {
        "images": images,
        "ap": _mean([row["ap"] for row in rows]),
        "ap50": None if aps is None else _mean([float(v) for v in aps[0] if not np.isnan(v)]),
        "miou": _mean([row["iou"] for row in rows]),
        "boundary_iou": _mean([row["boundary_iou"] for row in rows]),
        "categories": rows,
    }
    name = "miou" if aps is None else "ap"
    return {"score": metrics[name] or 0.0, "score_name": name, **metrics}


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
