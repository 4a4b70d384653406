"""How many clicks the prompt engines need: `python -m inference.bench_assist FOLDER [FOLDER …]`.

FOLDER holds `images/` and either `instances.json` (COCO) or `masks/` (PNG, one id per object, 0
background, named like the images). A simulated annotator clicks at the centre of the largest error,
at most 20 times, as in the papers on interactive segmentation (Sofiiuk et al., "Reviving iterative
training", 2021). NoC85 and NoC90 are the mean clicks to that IoU, 20 where it is never reached.
`cv2.grabCut` answers the same kind of clicks for comparison.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow
from pycocotools import mask as coco_mask

from inference.engines.base import BoolMask, Image, Point, Prompts, PromptSegmenter
from inference.engines.classic import Classic

MAX_CLICKS = 20
Predict = Callable[[Prompts], BoolMask]


@dataclass
class Figures:
    """IoU after each click (MAX_CLICKS per object), from a box, and seconds per answer."""

    clicks: list[list[float]] = field(default_factory=list)
    boxes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def noc(self, iou: float) -> float:
        """Mean number of clicks to reach `iou`."""
        firsts = [
            next((i + 1 for i, value in enumerate(row) if value >= iou), MAX_CLICKS)
            for row in self.clicks
        ]
        return float(np.mean(firsts))

    def line(self, name: str) -> str:
        after = [np.mean([row[i] for row in self.clicks]) for i in (0, 2, 4, 9)]
        return (
            f"{name:10} NoC85 {self.noc(0.85):5.2f}  NoC90 {self.noc(0.9):5.2f}  "
            f"IoU after 1/3/5/10 " + " ".join(f"{v:.3f}" for v in after) + "  "
            f"box {np.mean(self.boxes):.3f}  "
            f"ms p50 {1000 * np.median(self.seconds):.0f} p95 "
            f"{1000 * np.percentile(self.seconds, 95):.0f}"
        )


def read_folder(folder: Path, min_area: int) -> Iterator[tuple[Path, list[BoolMask]]]:
    """The images with the masks of their objects of at least `min_area` pixels, without crowds."""
    if (folder / "instances.json").exists():
        dataset = json.loads((folder / "instances.json").read_text())
        regions: dict[int, list[dict]] = {}
        for region in dataset["annotations"]:
            if not region.get("iscrowd"):
                regions.setdefault(region["image_id"], []).append(region)
        for image in dataset["images"]:
            h, w = image["height"], image["width"]
            masks = []
            for region in regions.get(image["id"], []):
                rle = coco_mask.merge(coco_mask.frPyObjects(region["segmentation"], h, w))
                mask = coco_mask.decode(rle).astype(bool)
                if mask.sum() >= min_area:
                    masks.append(mask)
            yield folder / "images" / image["file_name"], masks
        return
    for path in sorted((folder / "images").iterdir()):
        labels = np.asarray(Pillow.open(folder / "masks" / f"{path.stem}.png"))
        ids, areas = np.unique(labels[labels > 0], return_counts=True)
        yield path, [labels == i for i, area in zip(ids, areas, strict=True) if area >= min_area]


def read_objects(folder: Path, min_area: int) -> list[tuple[Path, BoolMask]]:
    """Every object with its image, in an order drawn with seed 0."""
    objects = [(path, mask) for path, masks in read_folder(folder, min_area) for mask in masks]
    random.Random(0).shuffle(objects)  # noqa: S311
    return objects


def read_image(path: Path) -> Image:
    return np.asarray(Pillow.open(path).convert("RGB"))


def next_click(truth: BoolMask, mask: BoolMask) -> Point | None:
    """The centre of the largest error, None when there is no error."""
    best, click = 0.0, None
    for positive, error in ((True, truth & ~mask), (False, mask & ~truth)):
        distance = cv2.distanceTransform(
            np.pad(error.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )[1:-1, 1:-1]
        if (value := float(distance.max())) > best:
            y, x = np.unravel_index(int(distance.argmax()), distance.shape)
            best, click = value, Point(float(x) + 0.5, float(y) + 0.5, positive)
    return click


def iou(a: BoolMask, b: BoolMask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def evaluate(predict: Predict, truth: BoolMask, figures: Figures) -> None:
    """Clicks through one object and adds what came out to `figures`."""

    def timed(prompts: Prompts) -> BoolMask:
        start = time.perf_counter()
        mask = predict(prompts)
        figures.seconds.append(time.perf_counter() - start)
        return mask

    points: list[Point] = []
    mask = np.zeros_like(truth)
    values: list[float] = []
    while len(values) < MAX_CLICKS and (click := next_click(truth, mask)):
        points.append(click)
        mask = timed(Prompts(tuple(points), mask=mask if mask.any() else None))
        values.append(iou(mask, truth))
        if values[-1] >= 0.95:
            break
    figures.clicks.append(values + [values[-1]] * (MAX_CLICKS - len(values)))
    ys, xs = np.nonzero(truth)
    left, top = float(xs.min()), float(ys.min())
    box = (left, top, xs.max() + 1 - left, ys.max() + 1 - top)
    figures.boxes.append(iou(timed(Prompts(box=box)), truth))


def engine_predict(engine: PromptSegmenter, image: Image) -> Predict:
    embedding = engine.embed(image)
    return lambda prompts: engine.segment(embedding, prompts)[0].mask.full(
        image.shape[0], image.shape[1]
    )


def grabcut_predict(image: Image, max_side: int = 400) -> Predict:
    """`cv2.grabCut` from the same prompts, three rounds, on at most `max_side` pixels (faster, and
    no worse on these images than at full size)."""
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

    def predict(prompts: Prompts) -> BoolMask:
        marks = np.full(small.shape[:2], cv2.GC_PR_BGD, np.uint8)
        if prompts.mask is not None:
            shrunk = cv2.resize(prompts.mask.astype(np.uint8), small.shape[1::-1])
            marks[shrunk > 0] = cv2.GC_PR_FGD
        if prompts.box:
            x, y, w, h = (round(v * scale) for v in prompts.box)
            marks[:] = cv2.GC_BGD
            marks[y : y + max(h, 1), x : x + max(w, 1)] = cv2.GC_PR_FGD
        for point in prompts.points:
            centre = (int(point.x * scale), int(point.y * scale))
            if point.positive and prompts.mask is None:
                cv2.circle(marks, centre, max(small.shape[:2]) // 10, cv2.GC_PR_FGD, -1)
        for point in prompts.points:
            centre = (int(point.x * scale), int(point.y * scale))
            cv2.circle(marks, centre, 3, cv2.GC_FGD if point.positive else cv2.GC_BGD, -1)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(small, marks, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
        mask = (marks & 1).astype(np.uint8)
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST) > 0

    return predict


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--objects", type=int, default=60, help="per folder, drawn with seed 0")
    parser.add_argument("--min-area", type=int, default=0, help="pixels; 0: 1000 (COCO), 100")
    parser.add_argument("--no-grabcut", action="store_true")
    options = parser.parse_args(arguments)
    for folder in options.folders:
        least = options.min_area or (1000 if (folder / "instances.json").exists() else 100)
        chosen = read_objects(folder, least)[: options.objects]
        results = {"classic": Figures(), "grabCut": Figures()}
        engine = Classic.load(None, {})
        for path, truth in chosen:
            image = read_image(path)
            evaluate(engine_predict(engine, image), truth, results["classic"])
            if not options.no_grabcut:
                evaluate(grabcut_predict(image), truth, results["grabCut"])
        print(f"{folder.name}: {len(chosen)} objects")
        for name, figures in results.items():
            if figures.clicks:
                print(" ", figures.line(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
