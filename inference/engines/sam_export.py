"""The mask decoder of Segment Anything as ONNX, made from the weights that are installed.

Names and shapes are those of `sam_decoder.Decoder.forward`, for one prompt of any number of points:
features, points, labels, mask, has_mask → masks, scores.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from inference.engines.sam_decoder import Decoder

INPUTS = ["features", "points", "labels", "mask", "has_mask"]
OUTPUTS = ["masks", "scores"]
MAX_POINTS = 1000


def to_onnx(sam: Any) -> bytes:
    """The decoder of a `segment_anything` model, float32, runnable wherever ONNX is."""
    device = sam.device
    decoder = Decoder(sam.cpu()).eval()
    side = sam.prompt_encoder.image_embedding_size[0]
    example = (
        torch.zeros(1, sam.prompt_encoder.embed_dim, side, side),
        torch.full((1, 3, 2), 8.0),
        torch.tensor([[1.0, 0.0, -1.0]]),
        torch.zeros(1, 1, 4 * side, 4 * side),
        torch.zeros(1),
    )
    points = torch.export.Dim("prompts", min=2, max=MAX_POINTS)
    shapes = dict.fromkeys(INPUTS) | {"points": {1: points}, "labels": {1: points}}
    try:
        with torch.no_grad(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                decoder, example, input_names=INPUTS, output_names=OUTPUTS,
                dynamic_shapes=shapes, dynamo=True, verbose=False,
            )  # fmt: skip
            if program is None:
                raise RuntimeError("torch made no ONNX program")
            path = Path(folder) / "decoder.onnx"
            program.save(path, include_initializers=True)
            return path.read_bytes()
    finally:
        sam.to(device)
