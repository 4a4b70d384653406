"""Segment Anything 2.1, with a small random model in the layout of transformers."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from inference.engines.base import Point, Prompts, PromptSegmenter, WeightsError
from tests.inference import tiny
from tests.inference.conftest import disc

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        not importlib.util.find_spec("transformers"), reason="requirements/sam2.txt"
    ),
]


def test_a_small_model_answers_every_kind_of_prompt(tmp_path, monkeypatch):
    import torch
    from safetensors.torch import save_file

    from inference.engines import sam2

    monkeypatch.setattr(sam2, "SIDE", 256)
    size = {"variant": "small", "stages": [1, 1, 2, 1], "global": [3]}
    monkeypatch.setitem(sam2.SIZES, (8, 5), size)
    torch.manual_seed(0)
    official = sam2._build({"width": 8, **size})
    tensors = {name: tensor.contiguous() for name, tensor in official.state_dict().items()}
    path = tmp_path / "small.safetensors"
    save_file(tensors | {"memory_encoder.for_videos": torch.zeros(1)}, path)
    assert sam2.Sam2.inspect(path).config["variant"] == "small"
    engine: Any = sam2.Sam2.load(path, {})
    either: object = engine
    assert isinstance(either, PromptSegmenter)
    image, mask = disc()
    embedding = engine.embed(image)
    shapes = {name: one.shape for name, one in embedding.arrays.items()}
    assert shapes == {"fine": (32, 64, 64), "middle": (64, 32, 32), "coarse": (256, 16, 16)}
    click, far = Point(50, 40), Point(5, 5, positive=False)
    box = (30.0, 20.0, 40.0, 40.0)
    for prompts, most in (
        (Prompts((click,)), 3),
        (Prompts((click, far)), 1),
        (Prompts(box=box), 1),
        (Prompts(mask=mask), 1),
        (Prompts((click, far), box=box, mask=mask), 1),
    ):
        found = engine.segment(embedding, prompts)
        assert len(found) <= most
        assert [one.score for one in found] == sorted((o.score for o in found), reverse=True)
        for one in found:
            assert one.mask.full(90, 120).shape == (90, 120)
    with torch.inference_mode():
        pixels = torch.as_tensor(image).permute(2, 0, 1)[None].float() / 255
        square = torch.nn.functional.interpolate(
            pixels, (256, 256), mode="bilinear", antialias=True
        )
        mean, deviation = (torch.tensor(v)[:, None, None] for v in (sam2.MEAN, sam2.DEVIATION))
        points = torch.tensor([[[[50 * 256 / 120, 40 * 256 / 90]]]])
        out = official.eval()(pixel_values=(square - mean) / deviation, input_points=points)
        enlarged = torch.nn.functional.interpolate(out.pred_masks[0], (90, 120), mode="bilinear")
    wanted = enlarged[0] > 0
    found = [one.mask.full(90, 120) for one in engine.segment(embedding, Prompts((click,)))]
    assert len(found) == sum(bool(one.any()) for one in wanted)
    for ours in found:
        unions = [(np.logical_or(ours, one), np.logical_and(ours, one)) for one in wanted.numpy()]
        assert max(both.sum() / either.sum() for either, both in unions) >= 0.99
    save_file({k: t for k, t in tensors.items() if "iou_token" not in k}, path)
    with pytest.raises(WeightsError, match="iou_token"):
        sam2.Sam2.inspect(path)


def test_weights_of_another_model_are_refused(tmp_path):
    from inference.engines.sam2 import NOT_IT, Sam2

    with pytest.raises(WeightsError, match=NOT_IT):
        Sam2.inspect(tiny.save_sam(tmp_path / "one.pth"))
