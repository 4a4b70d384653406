"""A tiny Mask R-CNN learns for some seconds, goes on from a checkpoint, and begins with weights."""

import dataclasses
from pathlib import Path

import pytest

from inference.engines.base import CropMask
from inference.engines.training import CHECKPOINT, WEIGHTS, Example, Target, Task
from tests.inference.conftest import disc

pytestmark = pytest.mark.torch
OPTIONS = {"minutes": 0.5, "side": 64, "batch": 2, "channels": 16}


def task(folder: Path) -> Task:
    examples = []
    for x in (35, 60, 85):
        pixels, mask = disc(x=x)
        examples.append(Example(pixels, (Target(CropMask.of(mask), 0),)))
    return Task(examples[:2], examples[2:], ("disc",), folder, options=OPTIONS)


def test_it_learns_goes_on_and_begins_with_what_is_there(tmp_path, request):
    import torch

    from inference.engines.mask_rcnn import MaskRCNN
    from inference.engines.mask_rcnn_training import MaskRCNNTrainer

    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)  # so small a network loses by more
    first = task(tmp_path / "a")
    first.folder.mkdir()
    steps = list(MaskRCNNTrainer().train(first, lambda: True))  # stopped at the first chance
    assert len(steps) == 1
    assert steps[0].checkpoint
    assert steps[0].done < 1
    asked = iter(range(40))
    again = list(MaskRCNNTrainer().train(first, lambda: next(asked, None) is None))
    assert again[0].done > steps[0].done
    losses = [step.loss for step in again if step.loss is not None]
    assert steps[0].loss
    assert losses[-1] < steps[0].loss
    info = MaskRCNN.inspect(first.folder / WEIGHTS)
    assert info.categories == ("disc",)
    assert (info.config["side"], info.config["channels"]) == (64, 16)
    engine = MaskRCNN.load(first.folder / WEIGHTS, info.config)
    assert len(engine.detect([disc()[0]], min_score=0.0, max_detections=5)) == 1

    further = dataclasses.replace(
        task(tmp_path / "b"), start=first.folder / WEIGHTS, categories=("disc", "ring")
    )
    further.folder.mkdir()
    list(MaskRCNNTrainer().train(further, lambda: True))
    assert (further.folder / CHECKPOINT).exists()
    assert MaskRCNN.inspect(further.folder / WEIGHTS).categories == ("disc", "ring")
