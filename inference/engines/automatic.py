"""Automatic masks of Segment Anything for many images at once.

The masks are those of `segment_anything.SamAutomaticMaskGenerator` (a grid of points, one crop, the
same thresholds), in another order of work: images are encoded together, points are decoded in large
batches by `sam_decoder`, what is doubtful is dropped at low resolution, and only what is left is
enlarged, and only where it is. That last step runs on other threads while the device goes on.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from segment_anything.utils.amg import build_point_grid
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor
from torchvision.ops import nms

from inference.engines.base import CropMask, Detection, Image
from inference.engines.sam_decoder import Decoder

log = logging.getLogger(__name__)

SLACK = 0.05
"""A stability score at low resolution may be that much below the one at full resolution."""
MARGIN = 2
"""Low-resolution pixels around a mask that its enlargement may reach."""
FINISHERS = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """As the arguments of the same names of `SamAutomaticMaskGenerator`; `points_per_batch` 0 lets
    the device decide."""

    points_per_side: int = 32
    points_per_batch: int = 0
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7

    @property
    def batch(self) -> int:
        return self.points_per_batch or (256 if torch.cuda.is_available() else 4)


@dataclass(frozen=True, slots=True, eq=False)
class _Drafts:
    """What the device found in an image, on the CPU: logits (n, low, low), predicted IoU (n,)."""

    logits: Tensor
    scores: Tensor
    size: tuple[int, int]
    seen: tuple[int, int]


class AutomaticMasks:
    """Finds everything in images. `sam` is a model of `segment_anything`, on its device."""

    def __init__(self, sam: Any, settings: Settings) -> None:
        self._sam = sam
        self._settings = settings
        self._device = sam.device
        self._half = self._device.type == "cuda"
        self._decoder = Decoder(sam).to(self._device).eval()
        self._encode, self._decode = sam.image_encoder, self._decoder.from_points
        if self._half:  # on CPUs compiling takes longer than it saves
            torch._dynamo.config.suppress_errors = True  # without a compiler: as it is
            self._encode = torch.compile(self._encode)
            self._decode = torch.compile(self._decode)
        self._transform = ResizeLongestSide(sam.image_encoder.img_size)
        self._grid = build_point_grid(settings.points_per_side)

    def detect(
        self, images: Sequence[Image], min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        """For each image its masks by predicted IoU, which is above `min_score`."""
        finished: list[Future[list[Detection]]] = []
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, dtype=torch.float16, enabled=self._half),
            ThreadPoolExecutor(FINISHERS) as pool,
        ):
            inputs = [self._transform.apply_image(image) for image in images]
            features = self._encode(torch.stack([self._normal(one) for one in inputs]))
            for image, seen, one in zip(images, inputs, features, strict=True):
                drafts = self._drafts(one[None], image.shape[:2], seen.shape[:2], min_score)
                finished.append(pool.submit(_finish, drafts, self._settings, max_detections))
            return [future.result() for future in finished]

    def _normal(self, pixels: Image) -> Tensor:
        """(3, side, side), normalized and padded."""
        tensor = torch.as_tensor(pixels, device=self._device).permute(2, 0, 1).contiguous()
        return self._sam.preprocess(tensor.float())

    def _drafts(
        self, features: Tensor, size: tuple[int, int], seen: tuple[int, int], min_score: float
    ) -> _Drafts:
        settings = self._settings
        points = self._transform.apply_coords(self._grid * np.array(size)[::-1], size)
        every = torch.as_tensor(points, dtype=torch.float32, device=self._device)
        side = 4 * features.shape[-1]
        rows, columns = (-(-part * side // max(seen)) for part in seen)
        logits, scores = [], []
        for some in every.split(settings.batch):
            masks, iou = self._decode(features, some)
            masks, iou = masks[:, 1:].flatten(0, 1), iou[:, 1:].flatten()
            kept = iou > min_score if min_score > 0 else torch.ones_like(iou, dtype=torch.bool)
            masks, iou = masks[kept], iou[kept]
            inside = masks[:, :rows, :columns]  # the rest is padding
            stable = _stability(inside, settings.stability_score_offset)
            kept = stable.nan_to_num(1) >= settings.stability_score_thresh - SLACK
            logits.append(masks[kept].float().cpu())
            scores.append(iou[kept].float().cpu())
        return _Drafts(torch.cat(logits), torch.cat(scores), size, seen)


def _stability(logits: Tensor, offset: float) -> Tensor:
    """IoU of the masks above +offset and above -offset, (n,)."""
    high = (logits > offset).sum((1, 2), dtype=torch.int32)
    return high / (logits > -offset).sum((1, 2), dtype=torch.int32)


def _finish(drafts: _Drafts, settings: Settings, most: int) -> list[Detection]:
    """Masks at full resolution: the unstable and the doubled are dropped, the best come first."""
    low, square = drafts.logits.shape[-1], max(drafts.seen)
    down, across = (
        _enlargement(low, square, seen, size)
        for seen, size in zip(drafts.seen, drafts.size, strict=True)
    )
    masks: list[CropMask] = []
    boxes, scores = [], []
    with torch.inference_mode():
        for logits, score in zip(drafts.logits, drafts.scores.tolist(), strict=True):
            found = _enlarged(logits, down, across, settings)
            if found is None or not found.area:
                continue
            height, width = found.pixels.shape
            masks.append(found)
            # As the package: the last pixel, not the edge behind it.
            boxes.append([found.x, found.y, found.x + width - 1, found.y + height - 1])
            scores.append(score)
    if not masks:
        return []
    kept = nms(torch.tensor(boxes).float(), torch.tensor(scores), settings.box_nms_thresh)
    return [Detection(masks[i], float(np.clip(scores[i], 0, 1))) for i in kept[:most].tolist()]


def _enlargement(low: int, square: int, seen: int, size: int) -> Tensor:
    """(size, low): both bilinear steps of `Sam.postprocess_masks` along one axis, as one matrix."""
    first = _bilinear(low, square)[:seen]
    return _bilinear(seen, size) @ first


def _bilinear(source: int, target: int) -> Tensor:
    """Bilinear without aligned corners along one axis, (target, source)."""
    at = ((torch.arange(target) + 0.5) * (source / target) - 0.5).clamp(min=0)
    left = at.long().clamp(max=source - 1)
    share = at - left
    matrix = torch.zeros(target, source)
    matrix.scatter_add_(1, left[:, None], (1 - share)[:, None])
    matrix.scatter_add_(1, (left + 1).clamp(max=source - 1)[:, None], share[:, None])
    return matrix


def _enlarged(logits: Tensor, down: Tensor, across: Tensor, settings: Settings) -> CropMask | None:
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
        stable = float(_stability(part[None], offset)[0])
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
