"""The random forest: learns a few generated images, and weights of it that are damaged."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from inference.engines.base import CropMask, WeightsError
from inference.engines.forest import FORMAT, Forest
from inference.engines.forest_training import ForestTrainer
from inference.engines.training import WEIGHTS, Example, Target, Task
from inference.inspection import inspect
from tests.inference.conftest import disc

NAMES = ("ground", "disc")
ABOUT = {"format": FORMAT, "categories": "ground\ndisc", "side": "64"}


def example(x: int) -> Example:
    pixels, mask = disc(x=x)
    return Example(pixels, (Target(CropMask.of(~mask), 0), Target(CropMask.of(mask), 1)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("forest")
    task = Task([example(x) for x in (35, 60)], [], NAMES, folder, options={"side": 64, "trees": 8})
    steps = list(ForestTrainer().train(task, lambda: False))
    assert steps[-1].done == 1
    assert steps[-1].score
    assert steps[-1].score > 0.9
    return folder / WEIGHTS


def test_it_labels_an_image_that_it_never_saw(weights):
    seen = example(85)
    found = Forest.load(weights, {}).detect([seen.image], min_score=0, max_detections=9)[0]
    masks = {one.label: one.mask.full(90, 120) for one in found}
    assert (masks[0] ^ masks[1]).all()
    truth = seen.targets[1].mask.full(90, 120)
    assert (masks[1] & truth).sum() / (masks[1] | truth).sum() > 0.8
    assert all(0.5 <= one.score <= 1 for one in found)


def test_the_same_seed_gives_the_same_trees(weights, tmp_path):
    task = Task(
        [example(x) for x in (35, 60)], [], NAMES, tmp_path, options={"side": 64, "trees": 8}
    )
    list(ForestTrainer().train(task, lambda: False))
    arrays, others = load_file(tmp_path / WEIGHTS), load_file(weights)
    assert all((arrays[name] == others[name]).all() for name in others)


def test_the_file_is_known_by_what_is_in_it(weights):
    found = inspect(weights)
    assert (found["engine"], found["categories"]) == ("forest", list(NAMES))


@pytest.mark.parametrize(
    ("name", "value"),
    [("child", 10**6), ("child", 0), ("feature", 500), ("roots", -1), ("leaf", 10**6)],
)
def test_trees_that_lead_outside_themselves_are_refused(weights, tmp_path, name, value):
    arrays = load_file(weights)
    arrays[name][0] = value
    save_file(arrays, tmp_path / "bad.safetensors", ABOUT)
    with pytest.raises(WeightsError, match="damaged"):
        Forest.inspect(tmp_path / "bad.safetensors")


def test_other_files_are_refused(weights, tmp_path):
    save_file({"a": np.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:1000])
    for name, words in (("other", "not those of"), ("cut", "only a part")):
        with pytest.raises(WeightsError, match=words):
            Forest.inspect(tmp_path / f"{name}.safetensors")
