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


def trained_sam(path: Path, steps: int = 80) -> Path:
    """A tiny model that was briefly shown discs, and finds the one that is clicked or boxed."""
    import numpy as np
    import torch
    from torch.nn import functional

    model = sam(image_size=128, width=64)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    ys, xs = np.mgrid[:128, :128] + 0.5
    place = model.prompt_encoder.get_dense_pe()
    for _ in range(steps):
        image = np.full((128, 128, 3), random.integers(20, 50, 3), float)
        centres = random.uniform([16, 16], [56, 80], (1, 2)) + np.array([[0, 0], [56, 0]])
        radii = random.uniform(10, 22, 2)
        truths = []
        for (x, y), radius in zip(centres, radii, strict=True):
            truth = (xs - x) ** 2 + (ys - y) ** 2 < radius**2
            image[truth] = random.integers(100, 250, 3)
            truths.append(truth)
        pixels = torch.tensor(image).permute(2, 0, 1).float()
        features = model.image_encoder(model.preprocess(pixels)[None])
        centre = torch.tensor(centres).float()
        radius = torch.tensor(radii).float()[:, None]
        points = (centre[:, None], torch.ones(2, 1))
        boxes = torch.cat([centre - radius, centre + radius], 1)
        target = functional.interpolate(
            torch.tensor(np.array(truths)).float()[:, None], (32, 32), mode="area"
        )
        loss = torch.zeros(())
        for shown in ({"points": points, "boxes": None}, {"points": None, "boxes": boxes}):
            sparse, dense = model.prompt_encoder(masks=None, **shown)
            logits, scores = model.mask_decoder.predict_masks(features, place, sparse, dense)
            wanted = target.expand_as(logits)
            loss = loss + functional.binary_cross_entropy_with_logits(logits, wanted)
            found, true = logits.detach() > 0, wanted > 0.5
            iou = (found & true).sum((2, 3)) / (found | true).sum((2, 3)).clamp(min=1)
            loss = loss + functional.mse_loss(scores, iou)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
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
