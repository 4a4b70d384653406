"""Semantic segmentation of torchvision: DeepLabV3 (Chen et al., 2017), FCN (Long et al., 2015) and
LR-ASPP (Howard et al., 2019), with the official COCO weights (VOC's 20 classes) or one's own.

Which of them it is, its backbone and the number of classes are read off the weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import torch
from torchvision.models import segmentation
from torchvision.transforms import functional

from inference.engines import device, state
from inference.engines.base import CropMask, Detection, Image, WeightsError, WeightsInfo

NETWORKS: dict[tuple[str, str], tuple[str, Any]] = {
    ("fcn", "resnet50"): ("FCN ResNet-50", segmentation.fcn_resnet50),
    ("fcn", "resnet101"): ("FCN ResNet-101", segmentation.fcn_resnet101),
    ("deeplabv3", "resnet50"): ("DeepLabV3 ResNet-50", segmentation.deeplabv3_resnet50),
    ("deeplabv3", "resnet101"): ("DeepLabV3 ResNet-101", segmentation.deeplabv3_resnet101),
    ("deeplabv3", "mobilenet"): (
        "DeepLabV3 MobileNetV3",
        segmentation.deeplabv3_mobilenet_v3_large,
    ),
    ("lraspp", "mobilenet"): ("LR-ASPP MobileNetV3", segmentation.lraspp_mobilenet_v3_large),
}
SIDE = 520
"""Pixels along the shorter side of what the network sees, as in its training."""
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NOT_IT = "The weights are not those of torchvision's semantic segmentation models."


class Semantic:
    """A detector of stuff: one region per class. Labels count from 0 without the background."""

    def __init__(self, model: torch.nn.Module, background: bool) -> None:
        self._device = device.best()
        self.device = device.name(self._device)
        self.batch_size = 8 if self._device.type == "cuda" else 2
        self._model = model.to(self._device).eval()
        self._background = background

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        read = state.read(weights)
        config = _shape(read)
        state.load_strictly(_build(config), read, config["variant"])
        return WeightsInfo(config, _categories(config, read.categories))

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        if weights is None:
            raise WeightsError("Semantic segmentation needs weights.")
        read = state.read(weights)
        config = _shape(read)
        model = _build(config)
        state.load_strictly(model, read, config["variant"])
        return cls(model, config["background"])

    def detect(
        self, images: Sequence[Image], *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        """The score of a class is its mean probability over the pixels where it is the likeliest.
        Images of one size run together."""
        alike: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            alike.setdefault(image.shape, []).append(index)
        found: list[list[Detection]] = [[] for _ in images]
        with device.memory_errors(), torch.inference_mode():
            for indices in alike.values():
                batch = torch.stack([self._seen(images[index]) for index in indices])
                chances = self._model(batch)["out"].softmax(1).float().cpu().numpy()
                for index, one in zip(indices, chances, strict=True):
                    regions = self._regions(one, images[index].shape[:2])
                    kept = sorted(
                        (region for region in regions if region.score >= min_score),
                        key=lambda region: -region.score,
                    )
                    found[index] = kept[:max_detections]
        return found

    def _seen(self, image: Image) -> torch.Tensor:
        """(3, h, w), normalized; the shorter side has SIDE pixels, the longer at most thrice it."""
        height, width = image.shape[:2]
        scale = min(SIDE / min(height, width), 3 * SIDE / max(height, width))
        size = [max(1, round(height * scale)), max(1, round(width * scale))]
        pixels = torch.as_tensor(np.array(image), device=self._device).permute(2, 0, 1)
        smaller = functional.resize(pixels, size, antialias=True)
        return functional.normalize(smaller.float() / 255, MEAN, DEVIATION)

    def _regions(self, chances: np.ndarray, size: tuple[int, int]) -> list[Detection]:
        """One region for each class that is anywhere the likeliest; chances (classes, h, w)."""
        height, width = size
        best = np.full(size, -1, np.float32)
        labels = np.zeros(size, np.int32)
        for number, one in enumerate(chances):  # class by class: large images fit in memory
            enlarged = cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR)
            better = enlarged > best
            best[better], labels[better] = enlarged[better], number
        first = 1 if self._background else 0
        found = []
        for number in np.unique(labels[labels >= first]).tolist():
            mask = labels == number
            found.append(Detection(CropMask.of(mask), float(best[mask].mean()), number - first))
        return found


def _categories(config: dict[str, Any], given: tuple[str, ...]) -> tuple[str, ...]:
    official = segmentation.FCN_ResNet50_Weights.DEFAULT.meta["categories"]
    if given:
        return given
    if config["classes"] == len(official):
        return tuple(official[1:])
    return tuple(f"class {number}" for number in range(1, config["classes"]))


def _shape(read: state.State) -> dict[str, Any]:
    """Network, backbone and number of classes (with the background, where there is one)."""
    tensors = read.tensors
    try:
        if "classifier.low_classifier.weight" in tensors:
            head, last = "lraspp", "classifier.low_classifier.weight"
        else:
            head = "deeplabv3" if "classifier.0.convs.0.0.weight" in tensors else "fcn"
            last = "classifier.4.weight"
        if "backbone.layer1.0.conv1.weight" in tensors:
            deep = "backbone.layer3.22.conv1.weight" in tensors
            backbone = "resnet101" if deep else "resnet50"
        else:
            backbone = "mobilenet"
        classes = int(tensors[last].shape[0])
        variant = NETWORKS[head, backbone][0]
    except (KeyError, IndexError):
        raise WeightsError(NOT_IT) from None
    named = len(read.categories)
    if named and named not in (classes, classes - 1):
        raise WeightsError(f"The file names {named} classes and its weights know {classes}.")
    return {
        "variant": variant,
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "network": head,
        "backbone": backbone,
        "classes": classes,
        "background": named != classes,
        "auxiliary": any(name.startswith("aux_classifier.") for name in tensors),
    }


def _build(config: dict[str, Any]) -> torch.nn.Module:
    build = NETWORKS[config["network"], config["backbone"]][1]
    options: dict[str, Any] = {}
    if config["network"] != "lraspp":
        options["aux_loss"] = config["auxiliary"]
    model: torch.nn.Module = build(
        weights=None, weights_backbone=None, num_classes=config["classes"], **options
    )
    return model
