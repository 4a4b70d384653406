"""Mask R-CNN (He et al., 2017) of torchvision: its COCO weights, or the project's own.

The backbone (ResNet-18 to 101), the version and the number of classes are read off the weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torchvision.models.detection import (
    MaskRCNN as Network,
)
from torchvision.models.detection import (
    MaskRCNN_ResNet50_FPN_Weights,
    maskrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from inference.engines import device, state
from inference.engines.base import CropMask, Detection, Image, WeightsError, WeightsInfo

RESNETS: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
}
NOT_IT = "The weights are not those of torchvision's Mask R-CNN."


class MaskRCNN:
    """A detector. Labels count from 0; the background class is left out."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._device = device.best()
        self.device = device.name(self._device)
        self.batch_size = 8 if self._device.type == "cuda" else 2
        self._model = model.to(self._device).eval()

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        read = state.read(weights)
        config = _shape(read.tensors)
        state.load_strictly(_build(config), read, "torchvision's Mask R-CNN")
        return WeightsInfo(config, _categories(config["classes"], read.categories))

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        if weights is None:
            raise WeightsError("Mask R-CNN needs weights.")
        read = state.read(weights)
        model = _build(_shape(read.tensors))
        state.load_strictly(model, read, "torchvision's Mask R-CNN")
        return cls(model)

    def detect(
        self, images: Sequence[Image], *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        heads: Any = self._model.roi_heads
        heads.score_thresh, heads.detections_per_img = min_score, max_detections
        with device.memory_errors(), torch.inference_mode():
            tensors = [
                torch.as_tensor(np.array(image), device=self._device).permute(2, 0, 1).float() / 255
                for image in images
            ]
            outputs = self._model(tensors)
            return [_detections(output) for output in outputs]


def _detections(output: dict[str, torch.Tensor]) -> list[Detection]:
    found = []
    for soft, score, label in zip(
        output["masks"], output["scores"].tolist(), output["labels"].tolist(), strict=True
    ):
        mask = CropMask.of((soft[0] >= 0.5).cpu().numpy())
        if mask.area:
            found.append(Detection(mask, score, label - 1))
    return found


def _categories(classes: int, given: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the classes without the background, which comes first in torchvision's lists."""
    official = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    if given:
        if len(given) != classes - 1:
            raise WeightsError(
                f"The file names {len(given)} classes and its weights know {classes - 1}."
            )
        return given
    if classes == len(official):
        return tuple(official[1:])
    return tuple(f"class {number}" for number in range(1, classes))


def _shape(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Backbone, version and number of classes (with the background), read off the weights."""
    try:
        classes = tensors["roi_heads.box_predictor.cls_score.weight"].shape[0]
        blocks = tuple(
            sum(f"backbone.body.layer{layer}.{i}.conv1.weight" in tensors for i in range(50))
            for layer in (1, 2, 3, 4)
        )
        kind = "bottleneck" if "backbone.body.layer1.0.conv3.weight" in tensors else "basic"
        backbone = RESNETS[kind, blocks]
    except (KeyError, IndexError):
        raise WeightsError(NOT_IT) from None
    newer = "roi_heads.box_head.0.0.weight" in tensors
    if newer and backbone != "resnet50":
        raise WeightsError(NOT_IT)
    return {
        "variant": f"{backbone}{' v2' if newer else ''}",
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "backbone": backbone,
        "version": 2 if newer else 1,
        "classes": int(classes),
    }


def _build(config: dict[str, Any]) -> torch.nn.Module:
    if config["version"] == 2:
        return maskrcnn_resnet50_fpn_v2(
            weights=None, weights_backbone=None, num_classes=config["classes"]
        )
    backbone = resnet_fpn_backbone(backbone_name=config["backbone"], weights=None)
    return Network(backbone, num_classes=config["classes"])
