"""From low-resolution logits of Segment Anything to masks of the image.

What `Sam.postprocess_masks` and `SamAutomaticMaskGenerator` do with each mask: two bilinear steps,
a stability score, a box, and suppression of what is there already. Both bilinear steps along one
axis are one matrix.
"""

from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from inference.engines.base import CropMask, Detection, RunMask

MARGIN = 2
"""Low-resolution pixels around a mask that its enlargement may reach."""
TOGETHER = 2**26
"""Pixels of masks that a GPU enlarges together."""


class Thresholds(Protocol):
    @property
    def stability_score_thresh(self) -> float: ...
    @property
    def stability_score_offset(self) -> float: ...
    @property
    def box_nms_thresh(self) -> float: ...


def stability(logits: Tensor, offset: float) -> Tensor:
    """IoU of the masks above +offset and above -offset, (n,)."""
    high = (logits > offset).sum((1, 2), dtype=torch.int32)
    return high / (logits > -offset).sum((1, 2), dtype=torch.int32)


@torch.inference_mode()
def finish(
    drafts: Tensor,
    scores: Tensor,
    size: tuple[int, int],
    seen: tuple[int, int],
    settings: Thresholds,
    most: int,
) -> list[Detection]:
    """Masks at full resolution: the unstable and the doubled are dropped, the best come first.

    drafts: logits (n, low, low) of the padded square; scores (n,); size: (height, width) of the
    image; seen: the same when the encoder saw it. On a CPU: each mask is computed where it may be.
    """
    down, across = _enlargements(drafts.shape[-1], size, seen, drafts.device)
    masks: list[CropMask] = []
    boxes, kept_scores = [], []
    for logits, score in zip(drafts.float(), scores.tolist(), strict=True):
        found = _enlarged(logits, down, across, settings)
        if found is None or not found.area:
            continue
        height, width = found.pixels.shape
        masks.append(found)
        # As the package: the last pixel, not the edge behind it.
        boxes.append([found.x, found.y, found.x + width - 1, found.y + height - 1])
        kept_scores.append(score)
    if not masks:
        return []
    kept = nms(torch.tensor(boxes).float(), torch.tensor(kept_scores), settings.box_nms_thresh)
    return [Detection(masks[i], float(np.clip(kept_scores[i], 0, 1))) for i in kept[:most].tolist()]


@torch.inference_mode()
def finish_together(
    drafts: Tensor,
    scores: Tensor,
    size: tuple[int, int],
    seen: tuple[int, int],
    settings: Thresholds,
    most: int,
) -> list[Detection]:
    """As `finish`, on a GPU: many masks whole, twice. The first time tells their stability and
    boxes; the second time, for those that stay, the runs, which alone leave the device."""
    whole = _enlargements(drafts.shape[-1], size, seen, drafts.device)
    down, across = (matrix.to(drafts.dtype) for matrix in whole)
    share = max(1, TOGETHER // (size[0] * size[1]))
    boxes, kept = [], []
    for logits in drafts.split(share):
        full = down @ logits @ across.T
        box, there = _boxes(full > 0)
        if settings.stability_score_thresh > 0:
            stable = stability(full, settings.stability_score_offset)
            there &= stable >= settings.stability_score_thresh
        boxes.append(box)
        kept.append(there)
    places = torch.cat(kept).nonzero()[:, 0]
    if not len(places):
        return []
    box = torch.cat(boxes)[places]
    best = nms(box.float(), scores[places].float(), settings.box_nms_thresh)[:most]
    places = places[best]
    certain = scores[places].float().clamp(0, 1).tolist()
    masks = [
        RunMask(runs, size)
        for some in drafts[places].split(share)
        for runs in _runs(down @ some @ across.T > 0)
    ]
    return [Detection(mask, score) for mask, score in zip(masks, certain, strict=True)]


def _runs(masks: Tensor) -> list[np.ndarray]:
    """The lengths of the runs of each of (n, height, width), as `RunMask` has them."""
    flat = masks.transpose(1, 2).flatten(1)
    changes = flat[:, 1:] != flat[:, :-1]
    ends = changes.nonzero()[:, 1].int().cpu().numpy().astype(np.int64) + 1
    shares = np.cumsum(changes.sum(1).cpu().numpy())[:-1]
    found = []
    for on, places in zip(flat[:, 0].tolist(), np.split(ends, shares), strict=True):
        # A mask that begins with a one has no zeros before it.
        bounds = ([0, 0] if on else [0], places, [flat.shape[1]])
        found.append(np.diff(np.concatenate(bounds)))
    return found


def _boxes(masks: Tensor) -> tuple[Tensor, Tensor]:
    """First and last column and row (n, 4) as left, top, right, bottom, and whether there is any
    pixel (n,)."""
    columns, rows = masks.any(1).int(), masks.any(2).int()
    sides = [
        columns.argmax(1),
        rows.argmax(1),
        columns.shape[1] - 1 - columns.flip(1).argmax(1),
        rows.shape[1] - 1 - rows.flip(1).argmax(1),
    ]
    return torch.stack(sides, 1), columns.any(1)


@lru_cache(maxsize=8)
def _enlargements(
    low: int, size: tuple[int, int], seen: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """(height, low) and (width, low): both bilinear steps along each axis."""
    square = max(seen)
    down, across = (
        (_bilinear(inner, outer) @ _bilinear(low, square)[:inner]).to(device)
        for inner, outer in zip(seen, size, strict=True)
    )
    return down, across


def _bilinear(source: int, target: int) -> Tensor:
    """Bilinear without aligned corners along one axis, (target, source)."""
    at = ((torch.arange(target) + 0.5) * (source / target) - 0.5).clamp(min=0)
    left = at.long().clamp(max=source - 1)
    share = at - left
    matrix = torch.zeros(target, source)
    matrix.scatter_add_(1, left[:, None], (1 - share)[:, None])
    matrix.scatter_add_(1, (left + 1).clamp(max=source - 1)[:, None], share[:, None])
    return matrix


def _enlarged(
    logits: Tensor, down: Tensor, across: Tensor, settings: Thresholds
) -> CropMask | None:
    """One mask, computed where it may be; None where it is not stable."""
    offset = settings.stability_score_offset
    may = logits > min(0.0, -offset)
    rows, columns = _span(may.any(1)), _span(may.any(0))
    if rows is None or columns is None:
        return None
    top, bottom = _reached(down, *rows)
    left, right = _reached(across, *columns)
    part = down[top:bottom, slice(*rows)] @ logits[slice(*rows), slice(*columns)]
    part = part @ across[left:right, slice(*columns)].T
    if settings.stability_score_thresh > 0:
        stable = float(stability(part[None], offset)[0])
        if not stable >= settings.stability_score_thresh:
            return None
    return CropMask.of((part > 0).numpy(), left, top)


def _span(there: Tensor) -> tuple[int, int] | None:
    """From the first to behind the last, with a margin."""
    places = there.nonzero()[:, 0]
    if not len(places):
        return None
    return max(0, int(places[0]) - MARGIN), min(len(there), int(places[-1]) + 1 + MARGIN)


def _reached(matrix: Tensor, start: int, end: int) -> tuple[int, int]:
    """The pixels that depend on no low-resolution pixel outside of start…end."""
    outside = matrix[:, :start].any(1) | matrix[:, end:].any(1)
    places = (~outside).nonzero()[:, 0]
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
