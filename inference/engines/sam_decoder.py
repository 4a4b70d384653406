"""Segment Anything's mask decoder with the same weights and results, and about half the arithmetic.

The package projects every pixel of the image embedding for every prompt (Kirillov et al., 2023,
appendix A). There are few prompt tokens T and many pixels N, and a product of matrices may be
computed in any order: here the projections of the pixels are moved to the tokens, so that one
attention costs N·C·heads·T instead of N·C·C/2 twice. Transposed convolutions of stride 2 are linear
layers on pixels, which leaves layer norms on the last, contiguous axis. Results are those of
`segment_anything` up to rounding.
"""

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class Decoder(nn.Module):
    """Prompt encoder and mask decoder of a `segment_anything` model, as one module.

    It keeps the model's own layers and copies nothing.
    """

    pe: Tensor

    def __init__(self, sam: Any) -> None:
        super().__init__()
        self.prompt_encoder = sam.prompt_encoder
        self.decoder = sam.mask_decoder
        self.image_size = sam.image_encoder.img_size
        self.register_buffer(
            "pe", sam.prompt_encoder.get_dense_pe().flatten(2).transpose(1, 2), persistent=False
        )

    def halved(self) -> Self:
        """A copy that computes in half precision; only where a prompt is stays exact."""
        other = copy.deepcopy(self).half()
        other.prompt_encoder.pe_layer.float()
        return other

    def forward(
        self, features: Tensor, points: Tensor, labels: Tensor, mask: Tensor, has_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Low-resolution logits (B, 4, 4g, 4g) and predicted IoU (B, 4), the single mask first.

        features (1, C, g, g) of one image; points (B, P, 2), pixels of the encoder's input; labels
        (B, P): 1 positive, 0 negative, 2 and 3 corners of a box, -1 padding; mask (1, 1, 4g, 4g)
        logits, used where has_mask (1,) is 1.
        """
        encoder = self.prompt_encoder
        none = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        given = encoder.mask_downscaling(mask)
        return self.decode(
            features + none + has_mask * (given - none), self._prompts(points, labels)
        )

    def from_points(self, features: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, for B prompts of one positive point each: points (B, 2)."""
        padded = functional.pad(points[:, None], (0, 0, 0, 1))
        labels = torch.tensor([[1.0, -1.0]], device=points.device).expand(len(points), 2)
        none = self.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        prompts = self._prompts(padded, labels).to(self.pe.dtype)
        return self.decode(features.to(self.pe.dtype) + none, prompts)

    def _prompts(self, points: Tensor, labels: Tensor) -> Tensor:
        """Prompt tokens (B, P, C)."""
        encoder = self.prompt_encoder
        place = encoder.pe_layer._pe_encoding((points + 0.5) / self.image_size)
        kinds = labels[..., None]
        tokens = torch.where(kinds == -1, encoder.not_a_point_embed.weight, place)
        for kind, embedding in enumerate(encoder.point_embeddings):
            tokens = tokens + (kinds == kind) * embedding.weight
        return tokens

    def decode(self, image: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """image (1, C, g, g) with the dense prompt added; prompts (B, P, C)."""
        decoder, side = self.decoder, image.shape[-1]
        count, kinds = prompts.shape[0], decoder.num_mask_tokens
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(count, -1, -1), prompts], 1)
        queries, pixels = self._transform(tokens, image.flatten(2).transpose(1, 2))
        scores = decoder.iou_prediction_head(queries[:, 0])
        heads = [mlp(queries[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)]
        fine = self._upscaled(pixels, side)  # (B, N, 4, 4, C / 8)
        masks = fine.flatten(1, 3) @ torch.stack(heads, 1).transpose(1, 2)
        # N is (row, column); the two factors of 2 are (row, column) within it, the coarse first.
        masks = masks.reshape(count, side, side, 2, 2, 2, 2, kinds).permute(0, 7, 1, 3, 5, 2, 4, 6)
        return masks.reshape(count, kinds, 4 * side, 4 * side), scores

    def _transform(self, tokens: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The two-way transformer: (B, T, C) and (1, N, C) → (B, T, C) and (B, N, C)."""
        transformer = self.decoder.transformer
        queries = tokens
        for layer in transformer.layers:
            if layer.skip_first_layer_pe:
                queries = layer.self_attn(queries, queries, queries)
            else:
                placed = queries + tokens
                queries = queries + layer.self_attn(placed, placed, queries)
            queries = layer.norm1(queries)
            placed_pixels = pixels + self.pe
            queries = layer.norm2(
                queries
                + _to_pixels(
                    layer.cross_attn_token_to_image, queries + tokens, placed_pixels, pixels
                )
            )
            queries = layer.norm3(queries + layer.mlp(queries))
            pixels = layer.norm4(
                pixels
                + _to_tokens(
                    layer.cross_attn_image_to_token, placed_pixels, queries + tokens, queries
                )
            )
        last = transformer.final_attn_token_to_image
        queries = queries + _to_pixels(last, queries + tokens, pixels + self.pe, pixels)
        return transformer.norm_final_attn(queries), pixels

    def _upscaled(self, pixels: Tensor, side: int) -> Tensor:
        """(B, N, C) → (B, N, 4, 4, C / 8): each pixel's four quarters, and theirs."""
        first, norm, activation, second, last = self.decoder.output_upscaling
        quarters = activation(
            functional.layer_norm(
                _doubled(first, pixels), norm.weight.shape, norm.weight, norm.bias, norm.eps
            )
        )
        return last(_doubled(second, quarters))


def _doubled(layer: nn.ConvTranspose2d, pixels: Tensor) -> Tensor:
    """A transposed convolution of kernel and stride 2: (…, C) → (…, 4, C')."""
    matrix = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    assert layer.bias is not None
    out = functional.linear(pixels, matrix, layer.bias.repeat(4))
    return out.unflatten(-1, (4, layer.out_channels))


def _heads(attention: Any, values: Tensor) -> Tensor:
    """(B, T, heads · d) → (B, heads, T, d)."""
    return values.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)


def _by_head(attention: Any, layer: nn.Linear) -> Tensor:
    """A projection's weights, (heads, d, C)."""
    return layer.weight.unflatten(0, (attention.num_heads, -1))


def _product(rows: Tensor, pixels: Tensor) -> Tensor:
    """(B, R, C) · (B or 1, N, C) → (B, R, N)."""
    if pixels.shape[0] == 1:
        return rows @ pixels[0].transpose(0, 1)
    return rows @ pixels.transpose(1, 2)


def _to_pixels(attention: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Tokens attend to pixels: (B, T, C), twice (B or 1, N, C) → (B, T, C).

    The bias of the keys adds the same to all pixels, which softmax does not see.
    """
    asked = _heads(attention, attention.q_proj(queries))
    rows = (asked @ _by_head(attention, attention.k_proj)) * asked.shape[-1] ** -0.5
    count, heads, length, width = rows.shape
    weights = _product(rows.reshape(count, heads * length, width), keys).softmax(-1)
    seen = weights @ (values[0] if values.shape[0] == 1 else values)
    seen = seen.unflatten(1, (heads, length))
    out = seen @ _by_head(attention, attention.v_proj).transpose(1, 2)
    return attention.out_proj(out.transpose(1, 2).flatten(2) + attention.v_proj.bias)


def _to_tokens(attention: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Pixels attend to tokens: (B or 1, N, C), twice (B, T, C) → (B, N, C)."""
    key = _heads(attention, attention.k_proj(keys))
    scale = key.shape[-1] ** -0.5
    rows = (key @ _by_head(attention, attention.q_proj)) * scale
    bias = (key @ attention.q_proj.bias.reshape(attention.num_heads, -1, 1)) * scale
    count, heads, length, width = rows.shape
    scores = _product(rows.reshape(count, heads * length, width), queries)
    scores = scores.unflatten(1, (heads, length)) + bias
    weights = scores.softmax(2).flatten(1, 2)
    out = attention.out_proj.weight.unflatten(1, (heads, -1)).permute(1, 2, 0)
    told = (_heads(attention, attention.v_proj(values)) @ out).flatten(1, 2)
    return weights.transpose(1, 2) @ told + attention.out_proj.bias
