"""Automatic masks of Segment Anything beside `SamAutomaticMaskGenerator`, in one run.

    script/bench prelabel [--weights FILE] [--images FOLDER] [--count 2] [--side 1024]
                          [--points 16] [--rounds 1] [--model vit_b] [--batch 4]

Both get the same model, images and settings and take turns. Without --weights the model is a ViT of
the official ViT-B's shape with random numbers; then the thresholds are set so that a third of the
masks pass the predicted IoU and half of those are stable, which is about what trained weights do,
masks are as smooth as theirs, and no mask is dropped for its neighbours, so that all of them are
compared. Both hand over runs, which is what is stored. Without --images it draws discs. A GPU is
used where there is one. Processor seconds are those of all threads: other work on the machine
changes them less than it changes the clock's.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw
from pycocotools import mask as mask_tools

from annotations.masks import rle

Runs = np.ndarray
"""Lengths of the runs of a mask, int64: what both hand over, as it is what would be stored."""

COMPARED = 2
"""Images: every pair of masks is compared, which takes longer than finding them."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="in the official layout")
    parser.add_argument("--images", type=Path, help="a folder")
    parser.add_argument("--count", type=int, default=1, help="images")
    parser.add_argument("--batch", type=int, default=4, help="images that we take at once")
    parser.add_argument("--model", default="vit_b", help="without weights: vit_b, vit_l or vit_h")
    parser.add_argument("--side", type=int, default=1024, help="of drawn images, pixels")
    parser.add_argument("--points", type=int, default=16, help="per side; the paper uses 32")
    parser.add_argument("--rounds", type=int, default=1, help="of each, in turns")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own choice")
    options = parser.parse_args(arguments)

    import torch
    from segment_anything import SamAutomaticMaskGenerator, sam_model_registry

    from inference.engines import device
    from inference.engines.automatic import AutomaticMasks, Settings
    from inference.engines.base import RunMask
    from inference.engines.sam import Sam

    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    where = device.best()
    if options.weights:
        model = Sam.load(options.weights, {})._model
    else:
        model = sam_model_registry[options.model]().eval()
        smooth(model)
    model.to(where)
    images = list(pictures(options))
    settings: dict[str, Any] = {"points_per_side": options.points}
    if not options.weights:
        settings |= thresholds(model, images[0], options.points)
    score = settings.pop("pred_iou_thresh", 0.88)
    theirs = SamAutomaticMaskGenerator(
        model, pred_iou_thresh=score, output_mode="uncompressed_rle", **settings
    )
    ours = AutomaticMasks(model, Settings(**settings), options.batch)

    def by_package() -> list[list[Runs]]:
        return [
            [np.array(one["segmentation"]["counts"]) for one in theirs.generate(image)]
            for image in images
        ]

    def by_us() -> list[list[Runs]]:
        found = [
            masks
            for start in range(0, len(images), options.batch)
            for masks in ours.detect(images[start : start + options.batch], score, 10**6)
        ]
        return [
            [
                one.mask.runs
                if isinstance(one.mask, RunMask)
                else rle.to_runs(one.mask.counts(image.shape[:2]))
                for one in masks
            ]
            for image, masks in zip(images, found, strict=True)
        ]

    if where.type == "cuda":
        began = time.perf_counter()
        ours.compile()
        ours.detect(images[: options.batch], score, 10**6)
        compiling = time.perf_counter() - began
        print(f"compiled in {compiling:.0f} s, which is not counted below", flush=True)
        theirs.generate(images[0])
    seconds: dict[str, list[tuple[float, float]]] = {"package": [], "ours": []}
    results: dict[str, list[list[Runs]]] = {}
    for _ in range(options.rounds):
        for name, run in (("package", by_package), ("ours", by_us)):
            results[name], took = timed(run)
            seconds[name].append(took)
    clock, processor = (
        [min(one[kind] for one in seconds[name]) / len(images) for name in ("package", "ours")]
        for kind in (0, 1)
    )
    found, wanted, matched = agreement(results["ours"], results["package"], images)
    print(f"{device.name(where)}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{len(images)} images, {options.points} × {options.points} points, {settings}")
    for name, index, count in (("SamAutomaticMaskGenerator", 0, wanted), ("ours", 1, found)):
        print(
            f"{name:26}{clock[index]:8.2f} s an image, {processor[index]:8.2f} s of processors, "
            f"{count} masks"
        )
    print(
        f"{clock[0] / clock[1]:.2f} times as fast by the clock, {processor[0] / processor[1]:.2f} "
        f"times by processor time; mean IoU of matched masks {matched:.4f}"
    )
    return 0


def smooth(model: Any) -> None:
    """Give masks of random weights the smooth borders that masks of trained ones have: the four
    pixels that come from one are alike. Otherwise they are noise, on which the package's RLE takes
    minutes."""
    for layer in (model.mask_decoder.output_upscaling[0], model.mask_decoder.output_upscaling[3]):
        weight = layer.weight.data
        weight.copy_(weight.mean((2, 3), keepdim=True).expand_as(weight))


def timed(run: Callable[[], list[list[Runs]]]) -> tuple[list[list[Runs]], tuple[float, float]]:
    """What `run` gives, and its seconds by the clock and of all processors."""
    clock, processor = time.perf_counter(), time.process_time()
    found = run()
    return found, (time.perf_counter() - clock, time.process_time() - processor)


def pictures(options: argparse.Namespace) -> Any:
    """uint8 (height, width, 3)."""
    if options.images:
        for path in sorted(options.images.iterdir())[: options.count]:
            yield np.asarray(Pillow.open(path).convert("RGB"))
        return
    random = np.random.default_rng(0)
    for _ in range(options.count):
        image = Pillow.new("RGB", (options.side, options.side * 3 // 4), (30, 40, 50))
        draw = ImageDraw.Draw(image)
        for _ in range(20):
            x, y, radius = random.integers((0, 0, 10), (*image.size, options.side // 8))
            color = tuple(int(value) for value in random.integers(90, 255, 3))
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)
        yield np.asarray(image)


def thresholds(model: Any, image: np.ndarray, points: int) -> dict[str, float]:
    """Those that a third, and of these one half, of what random weights find passes."""
    import torch
    from segment_anything import SamPredictor
    from segment_anything.utils.amg import build_point_grid, calculate_stability_score

    predictor = SamPredictor(model)
    predictor.set_image(image)
    grid = build_point_grid(points)[::4] * np.array(image.shape[1::-1])
    some = torch.as_tensor(predictor.transform.apply_coords(grid, image.shape[:2]))
    with torch.inference_mode():
        _, scores, low = predictor.predict_torch(
            some[:, None].to(model.device), torch.ones(len(some), 1, device=model.device),
            return_logits=True,
        )  # fmt: skip
    logits, flat = low.flatten(0, 1), scores.flatten()
    score = float(flat.float().quantile(2 / 3))
    offset = float(logits.abs().float().mean()) / 10
    stable = calculate_stability_score(logits[flat > score], 0.0, offset)
    return {
        "pred_iou_thresh": score,
        "box_nms_thresh": 1.0,
        "stability_score_offset": offset,
        "stability_score_thresh": float(stable.float().nan_to_num(0).median()),
    }


def agreement(
    mine: list[list[Runs]], theirs: list[list[Runs]], images: list[np.ndarray]
) -> tuple[int, int, float]:
    """Masks of ours, of theirs, and the mean IoU of theirs with the one of ours that is nearest, in
    the first COMPARED images."""
    ious: list[float] = []
    for found, wanted, image in list(zip(mine, theirs, images, strict=True))[:COMPARED]:
        size = image.shape[:2]
        coco = [
            [{"size": list(size), "counts": rle.from_runs(runs).encode()} for runs in masks]
            for masks in (wanted, found)
        ]
        table = np.array(mask_tools.iou(*coco, [0] * len(found))).reshape(len(wanted), len(found))
        ious += table.max(1, initial=0).tolist()
    return sum(map(len, mine)), sum(map(len, theirs)), float(np.mean(ious)) if ious else 1.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
