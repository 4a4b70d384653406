"""Segment Anything's image encoder with the same weights and results, without attention matrices.

The package adds decomposed relative positions (Li et al., 2022, MViTv2) to a matrix of all pairs of
tokens: 4,096² of them for each head, written and read several times. The same sum is one scaled dot
product of longer vectors: a query carries its products with the relative positions of all rows and
columns, a key the row and the column where it is, as ones among zeros. So any fused attention
computes it, and the matrix is never there.
"""

from typing import Any

import torch
from segment_anything.modeling.image_encoder import (
    get_rel_pos,
    window_partition,
    window_unpartition,
)
from torch import Tensor, nn
from torch.nn import functional

MULTIPLE = 8
"""Fused attention wants vectors of a multiple of this."""


class Encoder(nn.Module):
    """The image encoder of a `segment_anything` model. It keeps the model's own layers."""

    def __init__(self, sam: Any) -> None:
        super().__init__()
        self.encoder = sam.image_encoder

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, side, side), normalized and padded → (B, C, side / patch, side / patch)."""
        encoder = self.encoder
        tokens = encoder.patch_embed(pixels)
        if encoder.pos_embed is not None:
            tokens = tokens + encoder.pos_embed
        for block in encoder.blocks:
            tokens = tokens + _attended(block, block.norm1(tokens))
            tokens = tokens + block.mlp(block.norm2(tokens))
        return encoder.neck(tokens.permute(0, 3, 1, 2))


def _attended(block: Any, tokens: Tensor) -> Tensor:
    """(B, H, W, C) → the same, within windows where the block has them."""
    if not block.window_size:
        return _attention(block.attn, tokens)
    size = tokens.shape[1:3]
    windows, padded = window_partition(tokens, block.window_size)
    return window_unpartition(_attention(block.attn, windows), block.window_size, padded, size)


def _attention(attention: Any, tokens: Tensor) -> Tensor:
    """(B, H, W, C) → (B, H, W, C)."""
    count, height, width, _ = tokens.shape
    heads = attention.num_heads
    parts = attention.qkv(tokens).reshape(count, height * width, 3, heads, -1)
    query, key, value = parts.permute(2, 0, 3, 1, 4)
    size = query.shape[-1]
    asked = [query * attention.scale]
    given = [key]
    if attention.use_rel_pos:
        grid = query.unflatten(2, (height, width))
        rows = get_rel_pos(height, height, attention.rel_pos_h).to(query.dtype)
        columns = get_rel_pos(width, width, attention.rel_pos_w).to(query.dtype)
        asked += [
            torch.einsum("bnhwc,hkc->bnhwk", grid, rows).flatten(2, 3),
            torch.einsum("bnhwc,wkc->bnhwk", grid, columns).flatten(2, 3),
        ]
        places = _places(height, width, key)
        given.append(places.expand(count, heads, -1, -1))
    length = sum(part.shape[-1] for part in asked)
    whole = length + -length % MULTIPLE
    out = functional.scaled_dot_product_attention(
        functional.pad(torch.cat(asked, -1), (0, whole - length)),
        functional.pad(torch.cat(given, -1), (0, whole - length)),
        functional.pad(value, (0, whole - size)),
        scale=1.0,
    )[..., :size]
    return attention.proj(out.transpose(1, 2).reshape(count, height, width, -1))


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """Where each token is: (H·W, H + W), a one for its row and one for its column."""
    rows = torch.eye(height, dtype=like.dtype, device=like.device).repeat_interleave(width, 0)
    columns = torch.eye(width, dtype=like.dtype, device=like.device).repeat(height, 1)
    return torch.cat([rows, columns], 1)
