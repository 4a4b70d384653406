"""The mask decoder in the two parts that browsers run: once for an image, and for each click.

What depends on the image alone leaves the clicks: in the first layer pixels are projected before
any prompt is known. A previous mask adds to every pixel a vector that is linear in the 16 channels
of the prompt encoder's last hidden layer, so its projections are added too instead of made anew.
And only pixels that the image has are enlarged, not the padding of the encoder's square.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.engines.sam_decoder import Decoder, _doubled, _heads, _to_pixels, _to_tokens


class ImagePart(nn.Module):
    """features (1, C, g, g) → pixels (1, N, C) and their projections in the first layer: keys and
    queries (1, heads, d, N), values (1, heads, N, d). N = g · g."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        decoder = self.decoder
        layer = decoder.decoder.transformer.layers[0]
        told, asking = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        none = decoder.prompt_encoder.no_mask_embed.weight
        pixels = features.flatten(2).transpose(1, 2) + none
        placed = pixels + decoder.pe
        keys = functional.linear(placed, told.k_proj.weight)  # softmax does not see its bias
        queries = asking.q_proj(placed)
        values = functional.linear(pixels, told.v_proj.weight)
        return (
            pixels,
            _heads(told, keys).transpose(2, 3),
            _heads(asking, queries).transpose(2, 3),
            _heads(told, values),
        )


class ClickPart(nn.Module):
    """Low-resolution logits (1, 4, 4R, 4S) and predicted IoU (1, 4), the single mask first.

    What ImagePart gives; points, labels, mask and has_mask as `Decoder.forward` takes them; rows
    (R,) and columns (S,) of the grid that are enlarged, int64 from 0 on.
    """

    keys: Tensor
    queries: Tensor
    values: Tensor
    shift: Tensor

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        encoder = decoder.prompt_encoder
        last = encoder.mask_downscaling[-1]
        layer = decoder.decoder.transformer.layers[0]
        told, asking = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        hidden = last.weight[:, :, 0, 0]  # (C, 16)
        shift = last.bias - encoder.no_mask_embed.weight[0]
        matrix = torch.cat([hidden, shift[:, None]], 1)  # (C, 17): the last channel is 1
        self.register_buffer("shift", matrix.T[None])
        self.register_buffer("keys", told.k_proj.weight @ matrix)
        self.register_buffer("queries", asking.q_proj.weight @ matrix)
        values = (told.v_proj.weight @ matrix).unflatten(0, (told.num_heads, -1))
        self.register_buffer("values", values.transpose(1, 2))

    def forward(
        self,
        pixels: Tensor,
        keys: Tensor,
        queries: Tensor,
        values: Tensor,
        points: Tensor,
        labels: Tensor,
        mask: Tensor,
        has_mask: Tensor,
        rows: Tensor,
        columns: Tensor,
    ) -> tuple[Tensor, Tensor]:
        decoder = self.decoder
        hidden = decoder.prompt_encoder.mask_downscaling[:-1](mask).flatten(2)
        hidden = torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1) * has_mask  # (1, 17, N)
        across = hidden.transpose(1, 2)
        pixels = pixels + across @ self.shift
        keys = keys + (self.keys @ hidden).reshape(keys.shape)
        queries = queries + (self.queries @ hidden).reshape(queries.shape)
        values = values + across[:, None] @ self.values
        own = torch.cat([decoder.decoder.iou_token.weight, decoder.decoder.mask_tokens.weight])
        tokens = torch.cat([own[None], decoder._prompts(points, labels)], 1)
        found, pixels = self._transform(tokens, pixels, keys, queries, values)
        return self._masks(found, pixels, rows, columns)

    def _transform(
        self, tokens: Tensor, pixels: Tensor, keys: Tensor, asked: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `Decoder._transform`, its first layer with what is known of the pixels."""
        transformer, pe = self.decoder.decoder.transformer, self.decoder.pe
        first, second = transformer.layers
        queries = first.norm1(first.self_attn(tokens, tokens, tokens))
        queries = first.norm2(
            queries + _seen(first.cross_attn_token_to_image, queries + tokens, keys, values)
        )
        queries = first.norm3(queries + first.mlp(queries))
        told = _told(first.cross_attn_image_to_token, asked, queries + tokens, queries)
        pixels = first.norm4(pixels + told)
        placed = queries + tokens
        queries = second.norm1(queries + second.self_attn(placed, placed, queries))
        placed_pixels = pixels + pe
        queries = second.norm2(
            queries
            + _to_pixels(second.cross_attn_token_to_image, queries + tokens, placed_pixels, pixels)
        )
        queries = second.norm3(queries + second.mlp(queries))
        told = _to_tokens(
            second.cross_attn_image_to_token, placed_pixels, queries + tokens, queries
        )
        pixels = second.norm4(pixels + told)
        last = transformer.final_attn_token_to_image
        queries = queries + _to_pixels(last, queries + tokens, pixels + pe, pixels)
        return transformer.norm_final_attn(queries), pixels

    def _masks(
        self, queries: Tensor, pixels: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        decoder = self.decoder.decoder
        side = self.decoder.prompt_encoder.image_embedding_size[0]
        kinds = decoder.num_mask_tokens
        scores = decoder.iou_prediction_head(queries[:, 0])
        heads = [mlp(queries[:, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)]
        grid = pixels[0].unflatten(0, (side, side))
        kept = grid.index_select(0, rows).index_select(1, columns)  # (R, S, C)
        high, wide = kept.shape[0], kept.shape[1]
        first, norm, activation, second, last = decoder.output_upscaling
        quarters = functional.layer_norm(
            _doubled(first, kept.flatten(0, 1)), norm.weight.shape, norm.weight, norm.bias, norm.eps
        )
        fine = last(_doubled(second, activation(quarters)))  # (R · S, 4, 4, C / 8)
        masks = fine.flatten(0, 2) @ torch.stack(heads, 1)[0].T
        # The two factors of 2 are (row, column) within a pixel, the coarse first.
        masks = masks.reshape(high, wide, 2, 2, 2, 2, kinds).permute(6, 0, 2, 4, 1, 3, 5)
        return masks.reshape(1, kinds, 4 * high, 4 * wide), scores


def _seen(attention: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Tokens attend to known pixels: (1, T, C), (1, heads, d, N), (1, heads, N, d) → (1, T, C)."""
    asked = _heads(attention, attention.q_proj(queries)) * keys.shape[2] ** -0.5
    seen = (asked @ keys).softmax(-1) @ values
    return attention.out_proj(seen.transpose(1, 2).flatten(2) + attention.v_proj.bias)


def _told(attention: Any, asked: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Known pixels attend to tokens: (1, heads, d, N), twice (1, T, C) → (1, N, C)."""
    key = _heads(attention, attention.k_proj(keys)) * asked.shape[2] ** -0.5
    weights = (key @ asked).softmax(2).flatten(1, 2)
    out = attention.out_proj.weight.unflatten(1, (attention.num_heads, -1)).permute(1, 2, 0)
    told = (_heads(attention, attention.v_proj(values)) @ out).flatten(1, 2)
    return weights.transpose(1, 2) @ told + attention.out_proj.bias
