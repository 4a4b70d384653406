"""Small learned models in the official layouts, made by the tests that need them."""

from functools import partial
from pathlib import Path
from typing import Any


def sam(
    image_size: int = 64, width: int = 32, depth: int = 2, heads: int = 2, meta: bool = False
) -> Any:
    """A Segment Anything model in the official layout, built without `inference.engines`."""
    import torch
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    torch.manual_seed(0)
    grid = image_size // 16
    with torch.device("meta" if meta else "cpu"):
        return Sam(
            image_encoder=ImageEncoderViT(
                depth=depth,
                embed_dim=width,
                img_size=image_size,
                mlp_ratio=4,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                num_heads=heads,
                patch_size=16,
                qkv_bias=True,
                use_rel_pos=True,
                global_attn_indexes=[depth - 1],
                window_size=2,
                out_chans=256,
            ),
            prompt_encoder=PromptEncoder(
                embed_dim=256,
                image_embedding_size=(grid, grid),
                input_image_size=(image_size, image_size),
                mask_in_chans=16,
            ),
            mask_decoder=MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(
                    depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8
                ),
                transformer_dim=256,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
            ),
            pixel_mean=[123.675, 116.28, 103.53],
            pixel_std=[58.395, 57.12, 57.375],
        )


def trained_sam(path: Path, steps: int = 40, batch: int = 6) -> Path:
    """A tiny model that was briefly shown bright discs on dark ground, and finds them."""
    import numpy as np
    import torch
    from torch.nn import functional

    model = sam(image_size=128, width=64)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model loses by more
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-4)
    ys, xs = np.mgrid[:128, :128] + 0.5
    place = model.prompt_encoder.get_dense_pe()
    for _ in range(steps):
        centres = random.uniform([24, 24], [104, 72], (batch, 2))
        radii = random.uniform(10, 24, batch)
        distances = np.hypot(xs - centres[:, :1, None], ys - centres[:, 1:, None])
        truth = distances < radii[:, None, None]
        images = np.where(
            truth[..., None],
            random.integers(100, 250, (batch, 1, 1, 3)),
            random.integers(20, 70, (batch, 1, 1, 3)),
        )
        pixels = torch.tensor(images).permute(0, 3, 1, 2).float()
        encoded = model.image_encoder(torch.stack([model.preprocess(one) for one in pixels]))
        wanted = functional.interpolate(torch.tensor(truth).float()[:, None], (32, 32), mode="area")
        centre = torch.tensor(centres).float()
        radius = torch.tensor(radii).float()[:, None]
        loss = torch.zeros(())
        for index, features in enumerate(encoded):
            here = slice(index, index + 1)
            point = (centre[here, None], torch.ones(1, 1))
            box = torch.cat([centre - radius, centre + radius], 1)[here]
            shown = (None, box) if index % 2 else (point, None)
            sparse, dense = model.prompt_encoder(*shown, None)
            logits, scores = model.mask_decoder.predict_masks(features[None], place, sparse, dense)
            target = wanted[here].expand_as(logits)
            weight = torch.where(target > 0.5, 5.0, 1.0)
            loss = loss + functional.binary_cross_entropy_with_logits(logits, target, weight)
            found, true = logits.detach() > 0, target > 0.5
            iou = (found & true).sum((2, 3)) / (found | true).sum((2, 3)).clamp(min=1)
            loss = loss + functional.mse_loss(scores, iou)
        optimizer.zero_grad()
        (loss / batch).backward()
        optimizer.step()
    torch.set_num_threads(threads)
    torch.save(model.state_dict(), path)
    return path


def save_sam(path: Path, **sizes: Any) -> Path:
    """The state dict alone, as the official files hold it; safetensors by the file's name."""
    import torch
    from safetensors.torch import save_file

    state = sam(**sizes).state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def save_mask_rcnn(path: Path, classes: int = 3, names: list[str] | None = None) -> Path:
    """A Mask R-CNN on a ResNet-18, untrained; `classes` with the background."""
    import torch
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    torch.manual_seed(0)
    model = MaskRCNN(resnet_fpn_backbone(backbone_name="resnet18", weights=None), classes)
    state: Any = model.state_dict()
    torch.save({"model": state, "categories": names} if names else state, path)
    return path


def save_semantic(path: Path, classes: int = 3, names: list[str] | None = None) -> Path:
    """An LR-ASPP, untrained; `classes` with the background."""
    import torch
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    torch.manual_seed(0)
    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
    state: Any = model.state_dict()
    torch.save({"model": state, "categories": names} if names else state, path)
    return path
