"""The mask decoder in three parts that browsers run: for an image, a previous mask, a click.

Whatever a click does to the pixels is of low rank: the two-way transformer adds to each pixel a
mixture of one vector for each head and prompt token, a previous mask one of the 16 channels that it
was shrunk to. So a click never makes the pixels themselves. Before a layer norm they are

    pixels + known.T @ added        known (R, N), added (R, C), R = heads · tokens + channels

and every linear layer goes through both terms: what it makes of `pixels`, N · C numbers, depends on
the image alone and is computed when that is opened; what it makes of `added`, R · C, is little. The
lengths that a layer norm divides by are inner products, which are sums of the same kind; the mean
is linear and taken away beforehand; scale and shift go into the layers that follow. A layer norm
forgets any factor of its input but for epsilon, so the second one and that of the enlarging get
theirs without the division before.

Only masks that are asked for are made, and only where the image is, not in the padding of the
encoder's square. Results are those of `Decoder` up to rounding.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.engines.sam_decoder import Decoder, _by_head, _heads

KNOWN = [
    "keys_1", "queries_1", "values_1", "length_1", "told_1", "masked_1",
    "keys_2", "queries_2", "values_2", "length_2", "told_2", "masked_2", "told_3", "along",
    "keys_3", "values_3", "quarters",
]  # fmt: skip
"""What `ImagePart` gives, in this order.

keys_i, queries_i (heads, d, N) and values_i (heads, N, d): projections of the pixels as they are
before the i-th attention. length_i (N,): their squared lengths. told_i (heads, d, N) and masked_i
(channels, N): twice their inner products with what attentions and previous masks may add; along
(N,): with what is always added. quarters (R, S, C): after the first enlarging.
"""


class _Part(nn.Module):
    """What parts use of a decoder."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.first, self.second = decoder.decoder.transformer.layers
        self.last = decoder.decoder.transformer.final_attn_token_to_image
        self.side = decoder.prompt_encoder.image_embedding_size[0]

    def masked(self) -> Tensor:
        """What each channel of a previous mask adds to a pixel (channels, C); the last one is 1."""
        encoder = self.decoder.prompt_encoder
        last = encoder.mask_downscaling[-1]
        shift = last.bias - encoder.no_mask_embed.weight[0]
        return torch.cat([last.weight[:, :, 0, 0].T, shift[None]])

    def enlarging(self) -> tuple[Tensor, Tensor]:
        """Matrix (C, C) and bias (C,) of the first enlarging, without the mean of each quarter."""
        layer = self.decoder.decoder.output_upscaling[0]
        matrix = _centred(layer.weight.permute(0, 2, 3, 1).flatten(1, 2))
        return matrix.flatten(1), _centred(layer.bias).repeat(4)


class ImagePart(_Part):
    """features (1, C, g, g), rows (R,) and columns (S,) of the grid that are enlarged, int64 from 0
    on → KNOWN. N = g · g."""

    def forward(self, features: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, ...]:
        pixels = features[0].flatten(1).T + self.decoder.prompt_encoder.no_mask_embed.weight
        placed = pixels + self.decoder.pe[0]
        ask, tell = self.first.cross_attn_token_to_image, self.first.cross_attn_image_to_token
        scale = self.first.norm4.weight
        begun = _centred(pixels + tell.out_proj.bias)
        one = (
            _across(ask, ask.k_proj, placed),
            _across(tell, tell.q_proj, placed) + tell.q_proj.bias.reshape(tell.num_heads, -1, 1),
            _along(ask, ask.v_proj, pixels),
            begun.square().sum(1),
            2 * _centred(_out(tell)) @ begun.T,
            2 * _centred(self.masked()) @ begun.T,
        )
        ask, after = self.second.cross_attn_token_to_image, self.second.cross_attn_image_to_token
        pixels = begun * scale
        begun = _centred(pixels)
        two = (
            _across(ask, ask.k_proj, pixels),
            _across(after, after.q_proj, pixels),
            _along(ask, ask.v_proj, pixels),
            begun.square().sum(1),
            2 * _centred(_centred(_out(tell)) * scale) @ begun.T,
            2 * _centred(_centred(self.masked()) * scale) @ begun.T,
            2 * _centred(_out(after)) @ begun.T,
            2 * begun @ _centred(self.first.norm4.bias + after.out_proj.bias),
        )
        pixels = begun * self.second.norm4.weight
        grid = pixels.unflatten(0, (self.side, self.side))
        kept = grid.index_select(0, rows).index_select(1, columns)
        three = (
            _across(self.last, self.last.k_proj, pixels),
            _along(self.last, self.last.v_proj, pixels),
            kept @ self.enlarging()[0],
        )
        return (*one, *two, *three)


class MaskPart(_Part):
    """A previous mask, logits (1, 1, 4g, 4g) → its channels (channels, N), the last one of ones."""

    def forward(self, mask: Tensor) -> Tensor:
        hidden = self.decoder.prompt_encoder.mask_downscaling[:-1](mask)[0].flatten(1)
        return torch.cat([hidden, torch.ones_like(hidden[:1])])


class ClickPart(_Part):
    """Low-resolution logits (K, 4R, 4S) and predicted IoU (K,).

    KNOWN of an image; what MaskPart gives, or zeros (1, N) without a previous mask; points (1, P,
    2) and labels (1, P) as `Decoder.forward` takes them; kinds (K,), int64: which of the masks, the
    single one first.
    """

    keys_at: Tensor
    queries_at: Tensor
    last_at: Tensor

    def __init__(self, decoder: Decoder) -> None:
        super().__init__(decoder)
        self.own = nn.Parameter(
            torch.cat([decoder.decoder.iou_token.weight, decoder.decoder.mask_tokens.weight])
        )
        ask, tell = self.second.cross_attn_token_to_image, self.second.cross_attn_image_to_token
        pe = decoder.pe[0]
        placed = functional.linear(pe + self.first.norm4.bias, tell.q_proj.weight, tell.q_proj.bias)
        self.register_buffer("keys_at", _across(ask, ask.k_proj, pe))
        self.register_buffer("queries_at", placed.T.unflatten(0, (tell.num_heads, -1)))
        self.register_buffer("last_at", _across(self.last, self.last.k_proj, pe))
        mlps = decoder.decoder.output_hypernetworks_mlps
        layers = [[mlp.layers[depth] for mlp in mlps] for depth in range(len(mlps[0].layers))]
        self.heads = nn.ParameterList(
            torch.stack([torch.cat([one.weight.T, one.bias[None]]) for one in row])
            for row in layers
        )

    def forward(
        self,
        keys_1: Tensor,
        queries_1: Tensor,
        values_1: Tensor,
        length_1: Tensor,
        told_1: Tensor,
        masked_1: Tensor,
        keys_2: Tensor,
        queries_2: Tensor,
        values_2: Tensor,
        length_2: Tensor,
        told_2: Tensor,
        masked_2: Tensor,
        told_3: Tensor,
        along: Tensor,
        keys_3: Tensor,
        values_3: Tensor,
        quarters: Tensor,
        hidden: Tensor,
        points: Tensor,
        labels: Tensor,
        kinds: Tensor,
    ) -> tuple[Tensor, Tensor]:
        first, second = self.first, self.second
        channels = hidden.shape[0]
        tokens = torch.cat([self.own[None], self.decoder._prompts(points, labels)], 1)

        added = self.masked()[:channels]
        queries = first.norm1(first.self_attn(tokens, tokens, tokens))
        ask = first.cross_attn_token_to_image
        seen = _seen(ask, queries + tokens, keys_1, values_1, hidden, added)
        queries = first.norm2(queries + seen)
        queries = first.norm3(queries + first.mlp(queries))
        tell = first.cross_attn_image_to_token
        weights, told = _told(tell, queries + tokens, queries, queries_1, hidden, added)

        known = torch.cat([weights, hidden])
        added = _centred(torch.cat([(told @ _out(tell)).flatten(0, 1), added]))
        inner = torch.cat([(told @ told_1).flatten(0, 1), masked_1[:channels]])
        scale = _scale(first.norm4, length_1, known, added, inner)
        added = added * first.norm4.weight

        shift = first.norm4.bias
        placed = queries + tokens
        queries = second.norm1(queries + second.self_attn(placed, placed, queries))
        ask = second.cross_attn_token_to_image
        at = scale, self.keys_at, shift
        seen = _seen(ask, queries + tokens, keys_2, values_2, known, added, at)
        queries = second.norm2(queries + seen)
        queries = second.norm3(queries + second.mlp(queries))
        after = second.cross_attn_image_to_token
        at = scale, self.queries_at, shift
        weights, more = _told(after, queries + tokens, queries, queries_2, known, added, at)

        # Weights of the tokens add up to 1 in each head, so what is always added is shared out.
        always = (shift + after.out_proj.bias) / after.num_heads
        known = torch.cat([known, weights / scale])
        added = _centred(torch.cat([added, (more @ _out(after) + always).flatten(0, 1)]))
        inner = torch.cat(
            [(told @ told_2).flatten(0, 1), masked_2[:channels], (more @ told_3).flatten(0, 1)]
        )
        scale = _scale(second.norm4, length_2 + along / scale, known, added, inner, scale)
        added = added * second.norm4.weight

        asked = torch.cat([torch.zeros_like(kinds[:1]), kinds + 1])
        queries, tokens = queries.index_select(1, asked), tokens.index_select(1, asked)
        at = scale, self.last_at, second.norm4.bias
        seen = _seen(self.last, queries + tokens, keys_3, values_3, known, added, at)
        queries = self.decoder.decoder.transformer.norm_final_attn(queries + seen)
        scores = self.decoder.decoder.iou_prediction_head(queries[:, 0])[0].index_select(0, kinds)
        grid = torch.cat([known, 1 / scale[None]]).unflatten(1, (self.side, self.side))
        known = grid[:, : quarters.shape[0], : quarters.shape[1]]
        return self._masks(queries[0, 1:], kinds, quarters, known, added), scores

    def _masks(
        self, queries: Tensor, kinds: Tensor, quarters: Tensor, known: Tensor, added: Tensor
    ) -> Tensor:
        _, norm, _, second, _ = self.decoder.decoder.output_upscaling
        mixed = queries[:, None]
        for depth, layer in enumerate(self.heads):
            chosen = layer.index_select(0, kinds)
            mixed = (mixed if depth == 0 else mixed.relu()) @ chosen[:, :-1] + chosen[:, -1:]
        matrix, bias = self.enlarging()
        bias = bias + self.second.norm4.bias @ matrix
        high, wide = known.shape[1], known.shape[2]
        flat = known.flatten(1)  # its last row is what the bias is of, since nothing was divided
        coarse = torch.addmm(
            quarters.flatten(0, 1), flat.T, torch.cat([added @ matrix, bias[None]])
        )
        coarse = coarse.unflatten(1, (4, -1))
        size = coarse.square().mean(2, keepdim=True) + norm.eps * flat[-1].square()[:, None, None]
        coarse = _gelu(coarse * size.rsqrt() * norm.weight + norm.bias)
        # (C / 4, 4 · C / 8): the four quarters of each quarter.
        matrix = second.weight.permute(0, 2, 3, 1).flatten(1)
        fine = _gelu(coarse.flatten(0, 1) @ matrix + second.bias.repeat(4))
        masks = fine.reshape(16 * high * wide, -1) @ mixed[:, 0].T
        # The two factors of 2 are (row, column) within a pixel, the coarse first.
        masks = masks.reshape(high, wide, 2, 2, 2, 2, -1).permute(6, 0, 2, 4, 1, 3, 5)
        return masks.reshape(-1, 4 * high, 4 * wide)


At = tuple[Tensor, Tensor, Tensor]
"""Of pixels that were not divided: their scale (N,), the projected places (heads, d, N) that come
on top, and the shift (C,) of the layer norm."""


def _gelu(values: Tensor) -> Tensor:
    """By tanh, in half the time: at most 5e-4 off."""
    return functional.gelu(values, approximate="tanh")


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(-1, keepdim=True)


def _out(attention: Any) -> Tensor:
    """The last layer of an attention, (heads, d, C)."""
    return attention.out_proj.weight.unflatten(1, (attention.num_heads, -1)).permute(1, 2, 0)


def _across(attention: Any, layer: nn.Linear, pixels: Tensor) -> Tensor:
    """A projection without its bias, (N, C) → (heads, d, N)."""
    return (layer.weight @ pixels.T).unflatten(0, (attention.num_heads, -1))


def _along(attention: Any, layer: nn.Linear, pixels: Tensor) -> Tensor:
    """A projection without its bias, (N, C) → (heads, N, d)."""
    return (pixels @ layer.weight.T).unflatten(1, (attention.num_heads, -1)).transpose(0, 1)


def _scale(
    norm: Any,
    length: Tensor,
    known: Tensor,
    added: Tensor,
    inner: Tensor,
    before: Tensor | None = None,
) -> Tensor:
    """What a layer norm multiplies pixels + known.T @ added with, (N,).

    length (N,) of the pixels, squared; inner (R, N): twice their products with `added`; before
    (N,): what the layer norm before would have multiplied with.
    """
    squared = length + (known * (inner + (added @ added.T) @ known)).sum(0)
    least = norm.eps if before is None else norm.eps / before.square()
    return (squared / added.shape[1] + least).rsqrt()


def _seen(
    attention: Any,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    known: Tensor,
    added: Tensor,
    at: At | None = None,
) -> Tensor:
    """Tokens attend to pixels: (1, T, C) → (1, T, C). The bias of the keys adds the same to all
    pixels, which softmax does not see."""
    asked = _heads(attention, attention.q_proj(queries))[0] * keys.shape[1] ** -0.5
    scores = asked @ keys + (asked @ _by_head(attention, attention.k_proj) @ added.T) @ known
    if at:
        scores = scores * at[0] + asked @ at[1]
    weights = scores.softmax(2)
    if at:
        weights = weights * at[0]
    of_added = added @ _by_head(attention, attention.v_proj).transpose(1, 2)
    seen = weights @ values + (weights @ known.T) @ of_added
    bias = attention.v_proj(at[2]) if at else attention.v_proj.bias
    return attention.out_proj(seen.transpose(0, 1).flatten(1)[None] + bias)


def _told(
    attention: Any,
    keys: Tensor,
    values: Tensor,
    queries: Tensor,
    known: Tensor,
    added: Tensor,
    at: At | None = None,
) -> tuple[Tensor, Tensor]:
    """Pixels attend to tokens, twice (1, T, C): their weights (heads · T, N), and what each head
    and token has to say (heads, T, d), before the last layer."""
    key = _heads(attention, attention.k_proj(keys))[0] * queries.shape[1] ** -0.5
    scores = key @ queries + (key @ _by_head(attention, attention.q_proj) @ added.T) @ known
    if at:
        scores = scores * at[0] + key @ at[1]
    return scores.softmax(1).flatten(0, 1), _heads(attention, attention.v_proj(values))[0]
