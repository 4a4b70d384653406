"""The mask decoder of Segment Anything as ONNX, made from the weights that are installed.

Three models in one file, after a line of JSON, `{"parts": [{name, bytes}]}`: `image` runs once for
an image, `mask` for a previous mask, `click` for each click. Inputs and outputs have the names and
shapes of `sam_browser`.
"""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inference.engines.sam_browser import KNOWN, ClickPart, ImagePart, MaskPart
from inference.engines.sam_decoder import Decoder

WINDOW = ["rows", "columns"]
PROMPTS = ["hidden", "points", "labels", "kinds"]
MASKS = ["masks", "scores"]
MAX_POINTS = 1000


def to_onnx(sam: Any) -> bytes:
    """The decoder of a `segment_anything` model, float32, runnable wherever ONNX is."""
    device = sam.device
    decoder = Decoder(sam.cpu()).eval()
    side = sam.prompt_encoder.image_embedding_size[0]
    image, mask, click = ImagePart(decoder), MaskPart(decoder), ClickPart(decoder)
    window = torch.arange(side), torch.arange(side - 1)
    given = (torch.zeros(1, sam.prompt_encoder.embed_dim, side, side), *window)
    logits = (torch.zeros(1, 1, 4 * side, 4 * side),)
    count = torch.export.Dim("prompts", min=2, max=MAX_POINTS)
    high, wide = (torch.export.Dim(name, min=1, max=side) for name in ("high", "wide"))
    channels = torch.export.Dim("channels", min=1, max=click.masked().shape[0])
    kinds = torch.export.Dim("kinds", min=1, max=decoder.decoder.num_mask_tokens)
    shown = {"features": None, "rows": {0: high}, "columns": {0: wide}}
    try:
        with torch.no_grad():
            known, hidden = image(*given), mask(*logits)
        prompts = (
            hidden[:3],
            torch.full((1, 3, 2), 8.0),
            torch.tensor([[1.0, 0.0, -1.0]]),
            torch.tensor([1, 2]),
        )
        asked: dict[str, Any] = dict.fromkeys([*KNOWN, *PROMPTS])
        asked["quarters"] = {0: high, 1: wide}
        asked |= {"points": {1: count}, "labels": {1: count}}
        asked |= {"hidden": {0: channels}, "kinds": {0: kinds}}
        parts = {
            "image": _export(image, given, ["features", *WINDOW], KNOWN, shown),
            "mask": _export(mask, logits, ["mask"], ["hidden"], None),
            "click": _export(click, (*known, *prompts), [*KNOWN, *PROMPTS], MASKS, asked),
        }
    finally:
        sam.to(device)
    head = [{"name": name, "bytes": len(part)} for name, part in parts.items()]
    return b"\n".join([json.dumps({"parts": head}).encode(), b"".join(parts.values())])


def _export(
    module: nn.Module, example: tuple[Any, ...], inputs: list[str], outputs: list[str], shapes: Any
) -> bytes:
    with torch.no_grad(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), example, input_names=inputs, output_names=outputs,
            dynamic_shapes=shapes, dynamo=True, verbose=False,
        )  # fmt: skip
        if program is None:
            raise RuntimeError("torch made no ONNX program")
        path = Path(folder) / "part.onnx"
        program.save(path, include_initializers=True)
        return path.read_bytes()


def parts(packed: bytes) -> dict[str, bytes]:
    """The models of such a file by name."""
    head, _, rest = packed.partition(b"\n")
    found, at = {}, 0
    for part in json.loads(head)["parts"]:
        found[part["name"]] = rest[at : at + part["bytes"]]
        at += part["bytes"]
    return found
