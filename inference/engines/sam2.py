"""Segment Anything 2.1 (Ravi et al., 2024) for single images, by Hugging Face's transformers.

Weights are safetensors in the layout of transformers (the repositories `facebook/sam2.1-hiera-*`);
what they hold for videos is left out. The size of the encoder is read off the weights. Needs
requirements/sam2.txt.
"""

import re
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch.nn import functional

from inference.engines import device, state
from inference.engines.base import (
    CropMask,
    Embedding,
    Image,
    MaskCandidate,
    Prompts,
    WeightsError,
    WeightsInfo,
)

SIDE = 1024
"""Pixels of the square that every image is squeezed into."""
SIZES: dict[tuple[int, int], dict[str, Any]] = {
    (96, 12): {"variant": "Hiera-T", "stages": [1, 2, 7, 2], "global": [5, 7, 9]},
    (96, 16): {"variant": "Hiera-S", "stages": [1, 2, 11, 2], "global": [7, 10, 13]},
    (112, 24): {
        "variant": "Hiera-B+", "stages": [2, 3, 16, 3], "global": [12, 16, 20], "heads": 2,
        "background": 14,
    },
    (144, 48): {
        "variant": "Hiera-L", "stages": [2, 6, 36, 4], "global": [23, 33, 43], "heads": 2,
        "windows": [8, 4, 16, 8],
    },
}  # fmt: skip
"""The official encoders by width and number of blocks."""
LEVELS = ("fine", "middle", "coarse")
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LOGIT = 8.0
"""How sure a previous mask is: its low-resolution logits are this or its negative."""
NOT_IT = "The weights are not those of Segment Anything 2 in the layout of transformers."


class Sam2:
    """A PromptSegmenter."""

    def __init__(self, model: Any) -> None:
        self._device = device.best()
        self.device = device.name(self._device)
        self._model = model.to(self._device).eval()

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        read = state.read(weights)
        config = _shape(read.tensors)
        _load(config, read)
        return WeightsInfo(config)

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        if weights is None:
            raise WeightsError("Segment Anything 2 needs weights.")
        read = state.read(weights)
        return cls(_load(_shape(read.tensors), read))

    def embed(self, image: Image) -> Embedding:
        """`fine`, `middle`, `coarse`: float16 (channels, side, side), each half as wide."""
        pixels = torch.as_tensor(np.array(image), device=self._device).permute(2, 0, 1)[None]
        with device.memory_errors(), torch.inference_mode():
            square = functional.interpolate(
                pixels.float() / 255, (SIDE, SIDE), mode="bilinear", antialias=True
            )
            mean, deviation = (
                torch.tensor(values, device=self._device)[:, None, None]
                for values in (MEAN, DEVIATION)
            )
            features = self._model.get_image_embeddings((square - mean) / deviation)
        arrays = {
            name: one[0].to(torch.float16).cpu().numpy()
            for name, one in zip(LEVELS, features, strict=True)
        }
        return Embedding(arrays, image.shape[:2])

    def segment(self, embedding: Embedding, prompts: Prompts) -> list[MaskCandidate]:
        height, width = embedding.size
        scale = torch.tensor([SIDE / width, SIDE / height], device=self._device)
        asked: dict[str, Any] = {}
        if prompts.points:
            places = [[point.x, point.y] for point in prompts.points]
            signs = [int(point.positive) for point in prompts.points]
            asked["input_points"] = torch.tensor(places, device=self._device)[None, None] * scale
            asked["input_labels"] = torch.tensor(signs, device=self._device)[None, None]
        box = prompts.box
        if box is None and not prompts.points and prompts.mask is not None:
            crop = CropMask.of(prompts.mask)
            box = (crop.x, crop.y, crop.pixels.shape[1], crop.pixels.shape[0])
        if box:
            x, y, w, h = box
            corners = torch.tensor([x, y, x + w, y + h], device=self._device)
            asked["input_boxes"] = (corners * scale.repeat(2))[None, None]
        if prompts.mask is not None:
            soft = torch.as_tensor(prompts.mask, dtype=torch.float32, device=self._device)
            low = functional.interpolate(soft[None, None], (SIDE // 4, SIDE // 4), mode="area")
            asked["input_masks"] = (low - 0.5) * 2 * LOGIT
        features = [
            torch.as_tensor(embedding.arrays[name], dtype=torch.float32, device=self._device)[None]
            for name in LEVELS
        ]
        # One click may mean a part, an object or the whole; more prompts leave little doubt.
        several = len(prompts.points) == 1 and box is None and prompts.mask is None
        with device.memory_errors(), torch.inference_mode():
            out = self._model(image_embeddings=features, multimask_output=several, **asked)
            logits = functional.interpolate(
                out.pred_masks[0], (height, width), mode="bilinear", align_corners=False
            )
        masks, scores = (logits[0] > 0).cpu().numpy(), out.iou_scores[0, 0].tolist()
        found = [
            MaskCandidate(CropMask.of(mask), float(np.clip(score, 0, 1)))
            for mask, score in zip(masks, scores, strict=True)
            if mask.any()
        ]
        return sorted(found, key=lambda candidate: -candidate.score)


def _shape(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Which of SIZES the weights are."""
    try:
        width = tensors["vision_encoder.backbone.patch_embed.projection.weight"].shape[0]
        places = (re.match(r"vision_encoder\.backbone\.blocks\.(\d+)\.", key) for key in tensors)
        depth = 1 + max(int(found[1]) for found in places if found)
        size = SIZES[width, depth]
    except (KeyError, ValueError, IndexError):
        raise WeightsError(NOT_IT) from None
    parameters = sum(tensor.numel() for tensor in tensors.values())
    return {"width": int(width), "parameters": parameters, **size}


def _build(config: dict[str, Any]) -> Any:
    try:
        from transformers import Sam2Config, Sam2Model
    except ModuleNotFoundError:
        raise WeightsError(
            "Segment Anything 2 needs the packages of requirements/sam2.txt on this machine."
        ) from None
    width, heads = config["width"], config.get("heads", 1)
    widths = [width * 2**stage for stage in range(4)]
    backbone = {
        "hidden_size": width,
        "num_attention_heads": heads,
        "image_size": [SIDE, SIDE],
        "window_positional_embedding_background_size": [config.get("background", 7)] * 2,
        "blocks_per_stage": config["stages"],
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [heads * 2**stage for stage in range(4)],
        "window_size_per_stage": config.get("windows", [8, 4, 14, 7]),
        "global_attention_blocks": config["global"],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": {"model_type": "sam2_hiera_det_model", **backbone},
        "backbone_channel_list": widths[::-1],
        "backbone_feature_sizes": [[SIDE // part] * 2 for part in (4, 8, 16)],
    }
    return Sam2Model(Sam2Config(vision_config=vision, prompt_encoder_config={"image_size": SIDE}))


def _load(config: dict[str, Any], read: state.State) -> Any:
    """The model with every one of its weights in place."""
    model = _build(config)
    videos = [re.compile(one) for one in model._keys_to_ignore_on_load_unexpected or ()]
    kept = {
        name: tensor
        for name, tensor in read.tensors.items()
        if not any(pattern.search(name) for pattern in videos)
    }
    state.load_strictly(model, state.State(kept), "Segment Anything 2")
    return model
