"""Training of Mask R-CNN: a slim one from scratch, or further from weights that are there.

From scratch it is a ResNet-18 with a pyramid of 96 channels, small enough for a CPU, and normalised
by batches. Weights to begin with keep their shape; only heads for other classes are new, and those
with the statistics of many images keep them. Minutes, not epochs, say when it is over. What is
measured and kept is the running average of the weights (Polyak and Juditsky, 1992), which is less
noisy than the last ones.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import BatchNorm2d
from torchvision.ops import FrozenBatchNorm2d

from inference.engines import device, state
from inference.engines.base import CropMask
from inference.engines.mask_rcnn import build, shape_of
from inference.engines.training import CHECKPOINT, WEIGHTS, Example, Step, Target, Task

CHECKS = 12
"""How often it is measured on the images apart."""
WARM_UP = 0.05
AVERAGED, AVERAGE_EVERY = 200, 4
"""The average reaches so many steps back, and is taken so often."""
NAME = "torchvision's Mask R-CNN"
LEAST_SIDE = 3.0
"""Of an object, in pixels: smaller ones are not learned from."""
CROP = 128
"""Small objects are learned from squares of this side, pixels, which is as good and quicker."""


class MaskRCNNTrainer:
    score_name = "IoU of objects found"
    validates = True

    def train(self, task: Task, stop: Callable[[], bool]) -> Iterator[Step]:
        with device.memory_errors():
            yield from _train(task, stop)


def _train(task: Task, stop: Callable[[], bool]) -> Iterator[Step]:
    torch.manual_seed(task.seed)
    random = np.random.default_rng(task.seed)
    where = device.best()
    model, config = _model(task)
    model.to(where)
    heads: Any = model.roi_heads
    heads.fg_bg_sampler.batch_size_per_image = 64
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        1e-4,
        weight_decay=1e-4,
        fused=where.type in ("cpu", "cuda"),
    )
    rate = 1e-4 if task.start else 1e-3
    average = copy.deepcopy(model)
    best, before = -1.0, 0.0
    if (task.folder / CHECKPOINT).exists():
        saved = torch.load(task.folder / CHECKPOINT, weights_only=True, map_location=where)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved.get("average", saved["model"]))  # none was kept before
        optimizer.load_state_dict(saved["optimizer"])
        best, before = saved["best"], saved["done"]
        random = np.random.default_rng([task.seed, int(before * 1000)])
    sizes = _sizes(task, config["side"])
    crop = CROP if len(sizes) and np.quantile(sizes, 0.9) < CROP / 4 < config["side"] / 4 else 0
    budget = 60 * float(task.options["minutes"])
    begun = time.monotonic()
    paused = 0.0
    _see(model, crop or config["side"])
    _see(average, config["side"])
    done, losses, checked = before, [], before
    while done < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(done / WARM_UP, 1.0, 0.05 + 1.9 * (1 - done) / 2) + 1e-6
        losses.append(_learn(model, optimizer, _batch(task, config["side"], crop, random), where))
        if len(losses) % AVERAGE_EVERY == 0:
            _average(average, model, max(AVERAGE_EVERY / AVERAGED, 5 / (5 + len(losses))))
        done = min(1.0, before + (time.monotonic() - begun - paused) / budget)
        stopped = stop()
        if done - checked < 1 / CHECKS and done < 1 and not stopped:
            if len(losses) % 5 == 0:
                yield Step(done, loss=float(np.mean(losses[-5:])))
            continue
        start = time.monotonic()
        score, error = validate(average, task.validation, where)
        best = max(best, score)
        # Of weights that so few images cannot tell apart the later ones, which have seen more.
        if score >= best - error:
            _save(average, task, config)
        torch.save(
            {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "best": best,
                "done": done,
            },
            task.folder / CHECKPOINT,
        )
        yield Step(done, float(np.mean(losses[-20:])), score, checkpoint=True)
        paused += time.monotonic() - start
        checked = done
        if stopped:
            return


def _model(task: Task) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network and its shape, with whatever of `task.start` fits."""
    classes = len(task.categories) + 1
    side = int(task.options["side"])
    if task.start is None:
        config: dict[str, Any] = {
            "backbone": "resnet18",
            "version": 1,
            "classes": classes,
            "channels": int(task.options["channels"]),
            "hidden": 512,
            "side": side,
            "anchor": _anchor(task, side),
        }
        model = build(config, norm=BatchNorm2d)
        _calm(model)
        return model, config
    read = state.read(task.start)
    config = {**shape_of(read), "classes": classes}
    own = config["side"] > 0
    config["side"] = config["side"] or side
    model = build(config, norm=BatchNorm2d if own else FrozenBatchNorm2d)
    current = model.state_dict()
    same = read.categories == task.categories
    fitting = {
        name: tensor
        for name, tensor in read.tensors.items()
        if name in current
        and tensor.shape == current[name].shape
        and (same or "predictor.cls" not in name)
    }
    model.load_state_dict({**current, **fitting})
    return model, config


def _calm(model: torch.nn.Module) -> None:
    """What a network from scratch says first is near zero, so that the first steps are no waste."""
    heads: Any = model.roi_heads
    for layer, spread in (
        (heads.box_predictor.cls_score, 0.01),
        (heads.box_predictor.bbox_pred, 0.001),
        (heads.mask_predictor.mask_fcn_logits, 0.001),
    ):
        torch.nn.init.normal_(layer.weight, std=spread)
        torch.nn.init.zeros_(layer.bias)
    for name, norm in model.named_modules():
        if name.endswith("bn2"):  # each block begins as its shortcut
            torch.nn.init.zeros_(norm.weight)


def _see(model: torch.nn.Module, side: int) -> None:
    """Have the network see images with a shorter side of `side` pixels."""
    transform: Any = model.transform
    transform.min_size, transform.max_size = (side,), 2 * side


def _sizes(task: Task, side: int) -> list[float]:
    """How long objects of some of the images are, pixels of the shrunk image."""
    sizes = []
    for index in range(min(len(task.train), 30)):
        example = task.train[index]
        scale = side / min(example.image.shape[:2])
        sizes += [scale * np.sqrt(np.prod(t.mask.pixels.shape)) for t in example.targets]
    return sizes


def _anchor(task: Task, side: int) -> int:
    """The smallest anchor, pixels of the shrunk image: so that the least tenth of objects fits."""
    sizes = _sizes(task, side)
    smallest = float(np.quantile(sizes, 0.1)) if sizes else 32.0
    return int(np.clip(2 ** round(np.log2(max(smallest, 1.0))), 8, 32))


def _batch(
    task: Task, side: int, crop: int, random: np.random.Generator
) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Random images, flipped and with other light, each with what torchvision learns from."""
    chosen = random.integers(0, len(task.train), int(task.options["batch"]))
    examples = (task.train[int(index)] for index in chosen)
    return [_sample(_cropped(one, side, crop, random), random) for one in examples]


def _cropped(example: Example, side: int, crop: int, random: np.random.Generator) -> Example:
    """A random square of `crop` pixels of the shrunk image, with the objects that are mostly in it;
    0: the whole image."""
    height, width = example.image.shape[:2]
    length = round(crop * min(height, width) / side)
    if not crop or length >= min(height, width):
        return example
    top, left = int(random.integers(height - length + 1)), int(random.integers(width - length + 1))
    targets = []
    for target in example.targets:
        mask = target.mask
        y, x = top - mask.y, left - mask.x
        part = mask.pixels[max(y, 0) : max(y + length, 0), max(x, 0) : max(x + length, 0)]
        inside = CropMask.of(part, max(-x, 0), max(-y, 0))
        if inside.area > 0.4 * mask.area:
            targets.append(Target(inside, target.label, target.is_crowd))
    return Example(example.image[top : top + length, left : left + length], tuple(targets))


def _sample(
    example: Example, random: np.random.Generator
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    height, width = example.image.shape[:2]
    kept = [
        target
        for target in example.targets
        if not target.is_crowd and min(target.mask.pixels.shape) >= LEAST_SIDE
    ]
    masks = np.zeros((len(kept), height, width), np.uint8)
    boxes = np.zeros((len(kept), 4), np.float32)
    for index, target in enumerate(kept):
        rows, columns = target.mask.pixels.shape
        x, y = target.mask.x, target.mask.y
        masks[index, y : y + rows, x : x + columns] = target.mask.pixels
        boxes[index] = x, y, x + columns, y + rows
    image = example.image.astype(np.float32) / 255
    if random.random() < 0.5:
        image, masks = image[:, ::-1], masks[:, :, ::-1]
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    image = np.clip(image * random.uniform(0.8, 1.25) + random.uniform(-0.08, 0.08), 0, 1)
    return torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)), dtype=torch.float32), {
        "boxes": torch.as_tensor(boxes),
        "labels": torch.as_tensor([target.label + 1 for target in kept], dtype=torch.int64),
        "masks": torch.as_tensor(np.ascontiguousarray(masks)),
    }


def _learn(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Sequence[tuple[torch.Tensor, dict[str, torch.Tensor]]],
    where: torch.device,
) -> float:
    model.train()
    images = [image.to(where) for image, _ in batch]
    targets = [{name: value.to(where) for name, value in target.items()} for _, target in batch]
    with torch.autocast(where.type, torch.bfloat16, enabled=device.quick_halves(where)):
        loss = sum(model(images, targets).values(), torch.zeros((), device=where))
    optimizer.zero_grad()
    if torch.isfinite(loss):
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def _average(average: torch.nn.Module, model: torch.nn.Module, share: float) -> None:
    """Move `average` by `share` of the way to `model`."""
    for mine, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(new, share)
        else:
            mine.copy_(new)


@torch.inference_mode()
def validate(
    model: torch.nn.Module, examples: Sequence[Example], where: torch.device
) -> tuple[float, float]:
    """The mean over the objects of the IoU with the best detection of the same label and a score
    of at least 0.3, and its standard error; each detection that is over half of no object counts as
    an object of IoU 0."""
    model.eval()
    heads: Any = model.roi_heads
    heads.score_thresh, heads.detections_per_img = 0.3, 100
    all_ious: list[float] = []
    for example in examples:
        tensor = torch.as_tensor(np.array(example.image), device=where)
        output = model([tensor.permute(2, 0, 1).float() / 255])[0]
        found = (output["masks"][:, 0] >= 0.5).cpu().numpy()
        labels = (output["labels"] - 1).tolist()
        areas = found.sum((1, 2)) if len(found) else np.zeros(0)
        good = np.zeros(len(found), bool)
        for target in example.targets:
            if target.is_crowd:
                continue
            rows, columns = target.mask.pixels.shape
            x, y = target.mask.x, target.mask.y
            window = found[:, y : y + rows, x : x + columns]
            shared = (window & target.mask.pixels).sum((1, 2))
            ious = shared / np.maximum(areas + target.mask.area - shared, 1)
            ious[[label != target.label for label in labels]] = 0
            good |= ious > 0.5
            all_ious.append(float(ious.max(initial=0)))
        all_ious += [0.0] * int((~good).sum())
    if not all_ious:
        return 0.0, 0.0
    return float(np.mean(all_ious)), float(np.std(all_ious) / np.sqrt(len(all_ious)))


def _save(model: torch.nn.Module, task: Task, config: dict[str, Any]) -> None:
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    about = {
        "categories": "\n".join(task.categories),
        "side": str(config["side"]),
        "anchor": str(config["anchor"]),
    }
    aside = task.folder / f"{WEIGHTS}.part"
    save_file(tensors, aside, about)
    aside.replace(task.folder / WEIGHTS)
