"""Segment Anything (Kirillov et al., 2023), from checkpoints in the official layout.

The size of the image encoder is read off the weights, so that ViT-B, ViT-L, ViT-H and any other
plain ViT in that layout load.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    TwoWayTransformer,
)
from segment_anything.modeling import (
    Sam as SamModel,
)

from inference.engines import device, state
from inference.engines.automatic import AutomaticMasks, Settings
from inference.engines.base import (
    BoolMask,
    CropMask,
    Detection,
    Embedding,
    Image,
    MaskCandidate,
    Prompts,
    WeightsError,
    WeightsInfo,
)
from inference.engines.sam_export import to_onnx

NAMES = {(768, 12): "ViT-B", (1024, 24): "ViT-L", (1280, 32): "ViT-H"}
LOGIT = 8.0
"""How sure a previous mask is: its low-resolution logits are this or its negative."""


class Sam:
    """Both roles. `config` is what `inspect` found, and may hold `automatic.Settings` under
    "automatic"."""

    def __init__(self, model: Any, config: dict[str, Any]) -> None:
        self._device = device.best()
        self.device = device.name(self._device)
        self._model = model.to(self._device).eval()
        self.batch_size = 4 if self._device.type == "cuda" else 1
        self._automatic = AutomaticMasks(
            self._model, Settings(**config.get("automatic", {})), self.batch_size
        )

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        read = state.read(weights)
        config = _shape(read.tensors)
        with torch.device("meta"):
            model = _build(config)
        _check(model, read)
        return WeightsInfo(config)

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        if weights is None:
            raise WeightsError("Segment Anything needs weights.")
        read = state.read(weights)
        model = _build(_shape(read.tensors))
        state.load_strictly(model, read, "Segment Anything")
        return cls(model, config)

    def embed(self, image: Image) -> Embedding:
        """`features`: float16 (256, side, side), and `input`: int32 (2,), the height and width at
        which the encoder saw the image, in the top left corner of a square of the longer one."""
        with device.memory_errors(), torch.inference_mode():
            found, (seen,) = self._automatic.features([image])
            features = found[0].to(torch.float16).cpu().numpy()
        return Embedding({"features": features, "input": np.array(seen, np.int32)}, image.shape[:2])

    def export_decoder(self) -> bytes:
        return to_onnx(self._model)

    def segment(self, embedding: Embedding, prompts: Prompts) -> list[MaskCandidate]:
        predictor = SamPredictor(self._model)
        predictor.features = torch.as_tensor(
            embedding.arrays["features"], dtype=torch.float32, device=self._device
        )[None]
        predictor.original_size = embedding.size
        predictor.input_size = predictor.transform.get_preprocess_shape(
            *embedding.size, self._model.image_encoder.img_size
        )
        predictor.is_image_set = True
        points = np.array([[p.x, p.y] for p in prompts.points], float).reshape(-1, 2)
        box = prompts.box
        if box is None and not len(points) and prompts.mask is not None:
            crop = CropMask.of(prompts.mask)
            box = (crop.x, crop.y, crop.pixels.shape[1], crop.pixels.shape[0])
        # One click may mean a part, an object or the whole; more prompts leave little doubt.
        several = len(points) == 1 and box is None and prompts.mask is None
        with device.memory_errors():
            masks, scores, _ = predictor.predict(
                point_coords=points if len(points) else None,
                point_labels=np.array([int(p.positive) for p in prompts.points])
                if len(points)
                else None,
                box=np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]]) if box else None,
                mask_input=self._low_resolution(prompts.mask, predictor.input_size),
                multimask_output=several,
            )
        found = [
            MaskCandidate(CropMask.of(mask), float(np.clip(score, 0, 1)))
            for mask, score in zip(masks, scores, strict=True)
            if mask.any()
        ]
        return sorted(found, key=lambda candidate: -candidate.score)

    def detect(
        self, images: Sequence[Image], *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        """Automatic masks from a grid of points; the score is the predicted IoU."""
        with device.memory_errors():
            return self._automatic.detect(images, min_score, max_detections)

    def _low_resolution(
        self, mask: BoolMask | None, input_size: tuple[int, int]
    ) -> np.ndarray | None:
        """A mask as the decoder takes it: logits, float32 (1, side, side), padded as the image."""
        if mask is None:
            return None
        resized = torch.nn.functional.interpolate(
            torch.as_tensor(mask, dtype=torch.float32)[None, None], input_size, mode="area"
        )
        side = self._model.image_encoder.img_size
        padded = torch.nn.functional.pad(
            resized, (0, side - input_size[1], 0, side - input_size[0])
        )
        low = torch.nn.functional.interpolate(
            padded, self._model.prompt_encoder.mask_input_size, mode="area"
        )
        return ((low[0] - 0.5) * 2 * LOGIT).numpy()


def _shape(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The image encoder's sizes, read off its weights."""
    try:
        patches = tensors["image_encoder.patch_embed.proj.weight"]
        positions = tensors["image_encoder.pos_embed"]
        out = tensors["image_encoder.neck.0.weight"].shape[0]
        width, _, patch, _ = patches.shape
        grid = positions.shape[1]
        found = {
            int(m[1]) for key in tensors if (m := re.match(r"image_encoder\.blocks\.(\d+)\.", key))
        }
        depth = max(found) + 1
        spans = [
            (tensors[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape[0] + 1) // 2
            for i in range(depth)
        ]
        head = tensors["image_encoder.blocks.0.attn.rel_pos_h"].shape[1]
        hidden = tensors["image_encoder.blocks.0.mlp.lin1.weight"].shape[0]
    except (KeyError, ValueError, IndexError):
        raise WeightsError("The weights are not those of Segment Anything.") from None
    windows = {span for span in spans if span != grid}
    if len(windows) > 1 or not head or width % head or not 0 < depth <= 100:
        raise WeightsError("The weights are not those of Segment Anything.")
    return {
        "variant": NAMES.get((width, depth), f"ViT {width}×{depth}"),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "width": int(width),
        "depth": depth,
        "heads": int(width // head),
        "mlp_ratio": hidden / width,
        "patch": int(patch),
        "image_size": int(grid * patch),
        "window": int(windows.pop()) if windows else 14,
        "global": [i for i, span in enumerate(spans) if span == grid],
        "out": int(out),
    }


def _build(config: dict[str, Any]) -> Any:
    """The model, with the sizes that the official builder leaves fixed."""
    grid = config["image_size"] // config["patch"]
    return SamModel(
        image_encoder=ImageEncoderViT(
            depth=config["depth"],
            embed_dim=config["width"],
            img_size=config["image_size"],
            mlp_ratio=config["mlp_ratio"],
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=config["heads"],
            patch_size=config["patch"],
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=config["global"],
            window_size=config["window"],
            out_chans=config["out"],
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=config["out"],
            image_embedding_size=(grid, grid),
            input_image_size=(config["image_size"], config["image_size"]),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=config["out"], mlp_dim=2048, num_heads=8
            ),
            transformer_dim=config["out"],
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )


def _check(model: torch.nn.Module, read: state.State) -> None:
    """Whether the weights fit a model without memory, name by name and size by size."""
    expected = {key: value.shape for key, value in model.state_dict().items()}
    wrong = [k for k in expected if k not in read.tensors or read.tensors[k].shape != expected[k]]
    wrong += [k for k in read.tensors if k not in expected]
    if wrong:
        raise WeightsError(f"The weights are not those of Segment Anything: {wrong[0]}")
