"""Mask R-CNN (He et al., 2017) of torchvision: its COCO weights, or the project's own.

The backbone (ResNet-18 to 101), the version and the number of classes are read off the weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torchvision.models import resnet
from torchvision.models.detection import (
    MaskRCNN as Network,
)
from torchvision.models.detection import (
    MaskRCNN_ResNet50_FPN_Weights,
    maskrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor, resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from inference.engines import device, state
from inference.engines.base import CropMask, Detection, Image, WeightsError, WeightsInfo

RESNETS: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
}
FEW = 600
"""Boxes per level that a slim network looks at more closely; half of them are left in an image."""
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
        config = shape_of(read)
        state.load_strictly(build(config), read, "torchvision's Mask R-CNN")
        return WeightsInfo(config, _categories(config["classes"], read.categories))

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        if weights is None:
            raise WeightsError("Mask R-CNN needs weights.")
        read = state.read(weights)
        model = build(shape_of(read))
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


def shape_of(read: state.State) -> dict[str, Any]:
    """Backbone, version, number of classes (with the background) and widths of the heads, read off
    the weights; the size of images and of the smallest anchors, which trained files tell."""
    tensors = read.tensors
    try:
        side, anchor = int(read.about.get("side", 0)), int(read.about.get("anchor", 32))
        if not (side == 0 or 32 <= side <= 4096) or not 1 <= anchor <= 1024:
            raise WeightsError(NOT_IT)
        classes = tensors["roi_heads.box_predictor.cls_score.weight"].shape[0]
        blocks = tuple(
            sum(f"backbone.body.layer{layer}.{i}.conv1.weight" in tensors for i in range(50))
            for layer in (1, 2, 3, 4)
        )
        kind = "bottleneck" if "backbone.body.layer1.0.conv3.weight" in tensors else "basic"
        backbone = RESNETS[kind, blocks]
        newer = "roi_heads.box_head.0.0.weight" in tensors
        channels = int(tensors["backbone.fpn.inner_blocks.0.0.weight"].shape[0])
        hidden = 1024 if newer else int(tensors["roi_heads.box_head.fc6.weight"].shape[0])
    except (KeyError, IndexError, ValueError):
        raise WeightsError(NOT_IT) from None
    if (newer and backbone != "resnet50") or not 8 <= channels <= 1024 or not 8 <= hidden <= 8192:
        raise WeightsError(NOT_IT)
    return {
        "variant": f"{backbone}{' v2' if newer else ''}",
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "backbone": backbone,
        "version": 2 if newer else 1,
        "classes": int(classes),
        "channels": channels,
        "hidden": hidden,
        "side": side,
        "anchor": anchor,
    }


def build(config: dict[str, Any], *, norm: Any = FrozenBatchNorm2d) -> torch.nn.Module:
    """The network of `shape_of`, not yet trained. With `channels` other than the official 256 it is
    a slim one: the heads are as narrow as the pyramid."""
    size = {"min_size": config["side"], "max_size": 2 * config["side"]} if config["side"] else {}
    if config["version"] == 2:
        return maskrcnn_resnet50_fpn_v2(
            weights=None, weights_backbone=None, num_classes=config["classes"], **size
        )
    if config["channels"] == 256 and norm is FrozenBatchNorm2d:
        backbone = resnet_fpn_backbone(backbone_name=config["backbone"], weights=None)
    else:
        body = getattr(resnet, config["backbone"])(weights=None, norm_layer=norm)
        backbone = _resnet_fpn_extractor(body, 5)
        wide = [body.inplanes // 2**level for level in (3, 2, 1, 0)]
        backbone.fpn = FeaturePyramidNetwork(
            wide, config["channels"], extra_blocks=LastLevelMaxPool()
        )
        backbone.out_channels = config["channels"]
    sizes = tuple((config["anchor"] * 2**level,) for level in range(5))
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)
    if config["channels"] == 256:
        return Network(backbone, config["classes"], rpn_anchor_generator=anchors, **size)
    return Network(
        backbone,
        rpn_anchor_generator=anchors,
        box_head=TwoMLPHead(config["channels"] * 7**2, config["hidden"]),
        box_predictor=FastRCNNPredictor(config["hidden"], config["classes"]),
        mask_head=MaskRCNNHeads(config["channels"], (config["channels"],) * 2, 1),
        rpn_pre_nms_top_n_train=FEW,
        rpn_pre_nms_top_n_test=FEW,
        rpn_post_nms_top_n_train=FEW // 2,
        rpn_post_nms_top_n_test=FEW // 2,
        mask_predictor=MaskRCNNPredictor(config["channels"], config["channels"], config["classes"]),
        **size,
    )
