"""How many clicks the prompt engines need.

    script/bench assist FOLDER... [--engines NAME,...] [--data FOLDER] [--objects 60]
                        [--half held-out|tuning] [--min-area PIXELS]

Every installed model that answers clicks, or those of --engines; --data is the data folder in which
they are installed (default: LABELER_DATA). `grabCut` is OpenCV's, for comparison. The images are
halved by the hash of their names: engines are tuned on one half, figures come from the other.

FOLDER holds `images/` and either `instances.json` (COCO) or `masks/` (PNG, one id per object, 0
background, named like the images). A simulated annotator clicks at the centre of the largest error,
at most 20 times, as in the papers on interactive segmentation (Sofiiuk et al., "Reviving iterative
training", 2021). NoC85 and NoC90 are the mean clicks to that IoU, 20 where it is never reached.
`cv2.grabCut` (with two windows; the better one counts) answers the clicks that its own errors lead
to, as every engine does.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow
from pycocotools import mask as coco_mask

from inference.engines.base import BoolMask, Image, Point, Prompts, PromptSegmenter
from inference.engines.classic import Classic

MAX_CLICKS = 20
CLASSIC = "classic"
GRABCUT_SIDE = 256
"""Pixels along the longer side of what grabCut sees: fast, and no worse here than more."""
GRABCUT_FIRST = (0.12, 0.3)
"""Windows of its first click: the best for small and for large objects on the tuning half."""
Predict = Callable[[Prompts], BoolMask]


@dataclass
class Figures:
    """IoU after each click (MAX_CLICKS per object), from a box, and seconds per answer,
    by the clock and of the processor (all threads)."""

    clicks: list[list[float]] = field(default_factory=list)
    boxes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)

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
            f"{name:12} NoC85 {self.noc(0.85):5.2f}  NoC90 {self.noc(0.9):5.2f}  "
            f"IoU after 1/3/5/10 " + " ".join(f"{v:.3f}" for v in after) + "  "
            f"box {np.mean(self.boxes):.3f}  "
            f"ms p50 {1000 * np.median(self.seconds):.0f} p95 "
            f"{1000 * np.percentile(self.seconds, 95):.0f}"
            f"  processor p50 {1000 * np.median(self.computed):.0f} p95 "
            f"{1000 * np.percentile(self.computed, 95):.0f}"
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


def held_out(path: Path) -> bool:
    """Which half an image is in, by the hash of its name."""
    return hashlib.sha256(path.stem.encode()).digest()[0] % 2 == 0


def read_objects(folder: Path, min_area: int, held: bool) -> list[tuple[Path, BoolMask]]:
    """Every object of one half of the images, in an order drawn with seed 0."""
    objects = [
        (path, mask)
        for path, masks in read_folder(folder, min_area)
        if held_out(path) == held
        for mask in masks
    ]
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
        start, computed = time.perf_counter(), time.process_time()
        mask = predict(prompts)
        figures.seconds.append(time.perf_counter() - start)
        figures.computed.append(time.process_time() - computed)
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

    def predict(prompts: Prompts) -> BoolMask:
        found = engine.segment(embedding, prompts)
        return found[0].mask.full(*image.shape[:2]) if found else np.zeros(image.shape[:2], bool)

    return predict


def grabcut_predict(image: Image, first: float) -> Predict:
    """`cv2.grabCut`, three rounds, in a window around the prompts at a bounded resolution.

    The window of a first click is `first` of the image's longer side, later windows have the mask's
    extent around the mask and the clicks. Where nothing is known, the middle third of the window is
    probably object.
    """
    height, width = image.shape[:2]

    def predict(prompts: Prompts) -> BoolMask:
        spans = [(point.x, point.y, point.x, point.y) for point in prompts.points]
        if prompts.box:
            x, y, w, h = prompts.box
            spans.append((x, y, x + w, y + h))
        if prompts.mask is not None:
            x, y, w, h = cv2.boundingRect(prompts.mask.astype(np.uint8))
            spans.append((x, y, x + w, y + h))
        low, high = np.min(spans, 0)[:2], np.max(spans, 0)[2:]
        known = prompts.mask is not None or prompts.box
        margin = max(16.0, max(high - low) / 2) if known else first * max(height, width) / 2
        left, top = (max(0, int(v - margin)) for v in low)
        right, bottom = (int(v + margin) + 1 for v in high)
        part = image[top:bottom, left:right]
        scale = min(1.0, GRABCUT_SIDE / max(part.shape[:2]))
        small = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        marks = np.full(small.shape[:2], cv2.GC_PR_BGD, np.uint8)

        def place(x: float, y: float) -> tuple[int, int]:
            return int((x - left) * scale), int((y - top) * scale)

        if prompts.mask is not None:
            shrunk = prompts.mask[top:bottom, left:right].astype(np.uint8)
            marks[cv2.resize(shrunk, small.shape[1::-1]) > 0] = cv2.GC_PR_FGD
        elif prompts.box:
            (x0, y0), (x1, y1) = place(x, y), place(x + w, y + h)
            marks[:] = cv2.GC_BGD
            marks[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = cv2.GC_PR_FGD
        else:
            for point in prompts.points:
                radius = max(3, max(small.shape[:2]) // 6)
                if point.positive:
                    cv2.circle(marks, place(point.x, point.y), radius, cv2.GC_PR_FGD, -1)
        for point in prompts.points:
            sure = cv2.GC_FGD if point.positive else cv2.GC_BGD
            cv2.circle(marks, place(point.x, point.y), 2, sure, -1)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        with contextlib.suppress(cv2.error):  # too few pixels for its colour models
            cv2.grabCut(small, marks, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
        mask = np.zeros((height, width), bool)
        size = part.shape[1::-1]
        mask[top:bottom, left:right] = cv2.resize(marks & 1, size, interpolation=cv2.INTER_NEAREST)
        return mask

    return predict


def engines(names: list[str]) -> dict[str, Callable[[], PromptSegmenter]]:
    """How to load the installed models that answer clicks, by name; all of them, or `names`."""
    if names == [CLASSIC]:  # needs no database
        return {CLASSIC: lambda: Classic.load(None, {})}
    import django

    django.setup()
    from inference.selectors import installed_models
    from inference.services.loading import engine_of

    ready = {model.name: model for model in installed_models("prompt")}
    if missing := [name for name in names if name not in ready]:
        sys.exit(f"Not installed: {', '.join(missing)}. There are: {', '.join(ready)}.")
    return {name: partial(engine_of, ready[name]) for name in names or ready}


def run(objects: list[tuple[Path, BoolMask]], predictor: Callable[[Image], Predict]) -> Figures:
    figures = Figures()
    for path, truth in objects:
        evaluate(predictor(read_image(path)), truth, figures)
    return figures


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--engines", default="", help="names, with commas; default: all")
    parser.add_argument("--data", help="the data folder; default: LABELER_DATA")
    parser.add_argument("--objects", type=int, default=60, help="per folder, drawn with seed 0")
    parser.add_argument("--half", choices=["held-out", "tuning"], default="held-out")
    parser.add_argument("--min-area", type=int, default=0, help="pixels; 0: 1000 (COCO), 100")
    parser.add_argument("--no-grabcut", action="store_true")
    options = parser.parse_args(arguments)
    if options.data:
        os.environ["LABELER_DATA"] = options.data
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
    found = engines([name for name in options.engines.split(",") if name])
    for folder in options.folders:
        least = options.min_area or (1000 if (folder / "instances.json").exists() else 100)
        objects = read_objects(folder, least, options.half == "held-out")[: options.objects]
        print(f"{folder.name}: {len(objects)} objects, {options.half} images", flush=True)
        for name, load in found.items():
            engine = load()
            print(" ", run(objects, partial(engine_predict, engine)).line(name), flush=True)
        if not options.no_grabcut:
            for first in GRABCUT_FIRST:
                figures = run(objects, partial(grabcut_predict, first=first))
                print(" ", figures.line(f"grabCut {first}"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
