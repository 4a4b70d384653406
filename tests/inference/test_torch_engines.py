"""The learned engines, with small models in the official layouts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.engines.base import (
    Detector,
    OutOfMemoryError,
    Point,
    Prompts,
    PromptSegmenter,
    WeightsError,
)
from tests.inference import tiny
from tests.inference.conftest import disc

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def sam_file(tmp_path_factory) -> Path:
    return tiny.save_sam(tmp_path_factory.mktemp("sam") / "tiny.pth")


@pytest.fixture(scope="module")
def rcnn_file(tmp_path_factory) -> Path:
    return tiny.save_mask_rcnn(tmp_path_factory.mktemp("rcnn") / "own.pth", names=["car", "tree"])


def sam_engine(path: Path, **config: Any) -> Any:
    from inference.engines.sam import Sam

    return Sam.load(path, config)


def test_sizes_are_read_off_the_weights(sam_file):
    from inference.engines.sam import Sam

    config = Sam.inspect(sam_file).config
    assert (config["width"], config["depth"], config["heads"]) == (32, 2, 2)
    assert (config["image_size"], config["window"], config["global"]) == (64, 2, [1])


@pytest.mark.parametrize(
    ("variant", "builder"), [("ViT-B", "vit_b"), ("ViT-L", "vit_l"), ("ViT-H", "vit_h")]
)
def test_files_of_the_official_configurations_are_recognised(variant, builder, tmp_path):
    """From a file in the official layout, in which every tensor is one stored number."""
    import segment_anything
    import torch

    from inference.engines import sam, state

    with torch.device("meta"):
        official = segment_anything.sam_model_registry[builder]()
    tensors = {key: torch.zeros(1).expand(t.shape) for key, t in official.state_dict().items()}
    torch.save(tensors, tmp_path / "official.pth")
    config = sam.Sam.inspect(tmp_path / "official.pth").config
    assert config["variant"] == variant
    with torch.device("meta"):
        ours = sam._build(config)
    tensors.pop("mask_decoder.iou_token.weight")
    with pytest.raises(WeightsError, match="iou_token"):
        sam._check(ours, state.State(tensors))
    encoder = official.image_encoder
    blocks = [block.window_size for block in encoder.blocks]
    assert [block.window_size for block in ours.image_encoder.blocks] == blocks
    assert [b.attn.num_heads for b in ours.image_encoder.blocks] == [
        b.attn.num_heads for b in encoder.blocks
    ]
    assert ours.image_encoder.img_size == encoder.img_size == 1024


def test_the_smallest_official_configuration_loads_strictly_from_a_file(tmp_path):
    import segment_anything
    import torch

    official = segment_anything.sam_model_registry["vit_b"]()
    torch.save(official.state_dict(), tmp_path / "sam_vit_b.pth")
    engine = sam_engine(tmp_path / "sam_vit_b.pth")
    name = "image_encoder.blocks.11.mlp.lin2.weight"
    loaded = engine._model.state_dict()[name].cpu()
    assert torch.equal(loaded, official.state_dict()[name])


def test_prompts_give_what_the_package_gives(sam_file):
    from segment_anything import SamPredictor

    engine = sam_engine(sam_file)
    either: object = engine
    assert isinstance(either, PromptSegmenter)
    image = disc()[0]
    embedding = engine.embed(image)
    features = embedding.arrays["features"]
    assert (features.shape, features.dtype) == ((256, 4, 4), np.float16)
    predictor = SamPredictor(engine._model)
    predictor.set_image(image)
    masks, scores, _ = predictor.predict(np.array([[50.0, 40.0]]), np.array([1]))
    found = engine.segment(embedding, Prompts((Point(50, 40),)))
    expected = {round(float(s), 3): m for s, m in zip(scores, masks, strict=True) if m.any()}
    assert len(found) == len(expected)
    for candidate in found:
        nearest = min(expected, key=lambda score: abs(score - candidate.score))
        # The stored embedding is half precision.
        assert (candidate.mask.full(90, 120) != expected[nearest]).mean() < 0.01


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(box=(30.0, 20.0, 40.0, 40.0)),
        Prompts((Point(50, 40), Point(5, 5, False))),
        Prompts((Point(50, 40),), mask=disc()[1]),
        Prompts(mask=disc()[1]),
        Prompts((Point(50, 40),), box=(30.0, 20.0, 40.0, 40.0), mask=disc()[1]),
    ],
)
def test_every_kind_of_prompt_is_answered_with_one_mask(prompts, sam_file):
    engine = sam_engine(sam_file)
    found = engine.segment(engine.embed(disc()[0]), prompts)
    assert len(found) <= 1
    for candidate in found:
        assert candidate.mask.full(90, 120).shape == (90, 120)
        assert 0 <= candidate.score <= 1


def test_a_previous_mask_changes_the_answer(sam_file):
    engine = sam_engine(sam_file)
    embedding = engine.embed(disc()[0])
    low = engine._low_resolution(disc()[1], (48, 64))
    assert low.shape == (1, 16, 16)
    assert low.max() == pytest.approx(8)
    assert low[0, -1, -1] == pytest.approx(-8)
    clicks = (Point(50, 40), Point(9, 9, False))
    masks = [
        [c.mask.full(90, 120) for c in engine.segment(embedding, Prompts(clicks, mask=mask))]
        for mask in (None, disc()[1])
    ]
    assert not np.array_equal(masks[0], masks[1])


def test_automatic_masks_are_those_of_the_package(sam_file):
    import torch
    from segment_anything import SamAutomaticMaskGenerator

    settings = {"points_per_side": 4, "stability_score_thresh": 0.0}
    engine = sam_engine(sam_file, automatic=settings)
    either: object = engine
    assert isinstance(either, Detector)
    image = disc()[0]
    [found] = engine.detect([image], min_score=-10.0, max_detections=5)
    masks = SamAutomaticMaskGenerator(engine._model, pred_iou_thresh=-10, **settings).generate(
        image
    )
    masks.sort(key=lambda one: -one["predicted_iou"])
    assert len(found) == min(5, len(masks)) > 0
    for detection, mask in zip(found, masks, strict=False):
        # GPUs compute with half the digits.
        differing = np.mean(detection.mask.full(90, 120) != mask["segmentation"])
        assert differing <= (0.01 if torch.cuda.is_available() else 0)
        assert detection.label is None


def test_safetensors_load_too(tmp_path):
    engine = sam_engine(tiny.save_sam(tmp_path / "tiny.safetensors"))
    assert engine.embed(disc()[0]).arrays["features"].shape == (256, 4, 4)


def test_mask_rcnn_reads_its_classes_off_the_weights(rcnn_file, tmp_path):
    from inference.engines.mask_rcnn import MaskRCNN

    info = MaskRCNN.inspect(rcnn_file)
    assert info.categories == ("car", "tree")
    assert (info.config["backbone"], info.config["classes"]) == ("resnet18", 3)
    unnamed = tiny.save_mask_rcnn(tmp_path / "unnamed.pth")
    assert MaskRCNN.inspect(unnamed).categories == ("class 1", "class 2")
    coco = tiny.save_mask_rcnn(tmp_path / "coco.pth", classes=91)
    names = MaskRCNN.inspect(coco).categories
    assert (len(names), names[0], names[89]) == (90, "person", "toothbrush")
    wrong = tiny.save_mask_rcnn(tmp_path / "wrong.pth", names=["car"])
    with pytest.raises(WeightsError, match="names 1 classes and its weights know 2"):
        MaskRCNN.inspect(wrong)


def test_mask_rcnn_finds_regions_in_a_batch_of_different_sizes(rcnn_file):
    from inference.engines.mask_rcnn import MaskRCNN

    engine: Any = MaskRCNN.load(rcnn_file, {})
    either: object = engine
    assert isinstance(either, Detector)
    engine._model.transform.min_size = (64,)  # it enlarges to 800 pixels otherwise
    images = [disc()[0], disc(64, 100)[0]]
    found = engine.detect(images, min_score=0.05, max_detections=3)
    assert [len(one) for one in found] == [3, 3]
    for detections, image in zip(found, images, strict=True):
        for detection in detections:
            assert detection.label in (0, 1)
            assert 0.05 <= detection.score <= 1
            assert detection.mask.full(*image.shape[:2]).any()
    assert engine.detect(images, min_score=1.0, max_detections=3) == [[], []]


@pytest.mark.parametrize(
    ("builder", "backbone"),
    [
        ("fcn_resnet50", "resnet50"),
        ("fcn_resnet101", "resnet101"),
        ("deeplabv3_resnet50", "resnet50"),
        ("deeplabv3_resnet101", "resnet101"),
        ("deeplabv3_mobilenet_v3_large", "mobilenet"),
        ("lraspp_mobilenet_v3_large", "mobilenet"),
    ],
)
def test_semantic_models_are_told_by_their_weights(builder, backbone):
    import torch
    from torchvision.models import segmentation

    from inference.engines import semantic, state

    auxiliary = {} if builder.startswith("lraspp") else {"aux_loss": True}
    with torch.device("meta"):
        official = getattr(segmentation, builder)(
            weights=None, weights_backbone=None, num_classes=21, **auxiliary
        )
        config = semantic._shape(state.State(official.state_dict()))
        ours = semantic._build(config)
    assert config["backbone"] == backbone
    assert {k: t.shape for k, t in ours.state_dict().items()} == {
        k: t.shape for k, t in official.state_dict().items()
    }
    names = semantic._categories(config, ())
    assert (len(names), names[0], names[14]) == (20, "aeroplane", "person")


def test_a_semantic_model_gives_every_pixel_one_class(tmp_path, monkeypatch):
    import torch

    from inference.engines import semantic, state

    monkeypatch.setattr(semantic, "SIDE", 64)
    path = tiny.save_semantic(tmp_path / "own.pth", names=["sky", "road"])
    assert semantic.Semantic.inspect(path).categories == ("sky", "road")
    engine: Any = semantic.Semantic.load(path, {})
    either: object = engine
    assert isinstance(either, Detector)
    engine._model.classifier.low_classifier.bias.data[:] = torch.tensor([-5.0, 0.0, 0.0])
    images = [disc()[0], disc(64, 100)[0], disc(x=70)[0]]
    found = engine.detect(images, min_score=0.0, max_detections=5)
    for detections, image in zip(found, images, strict=True):
        full = [one.mask.full(*image.shape[:2]) for one in detections]
        assert (np.sum(full, 0) == 1).all()
        assert {one.label for one in detections} <= {0, 1}
        assert all(1 / 3 < one.score <= 1 for one in detections)
    [alone] = engine.detect(images[2:], min_score=0.0, max_detections=5)
    for one, other in zip(alone, found[2], strict=True):
        assert np.mean(one.mask.full(90, 120) != other.mask.full(90, 120)) < 0.01
    assert engine.detect(images[:1], min_score=1.0, max_detections=5) == [[]]
    tensors = engine._model.state_dict()
    assert not semantic._shape(state.State(tensors, ("sky", "road", "tree")))["background"]
    with pytest.raises(WeightsError, match="names 1 classes and its weights know 3"):
        semantic._shape(state.State(tensors, ("sky",)))


def test_out_of_memory_is_said_in_the_engines_own_words():
    import torch

    from inference.engines.device import memory_errors

    for error in (
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("DefaultCPUAllocator: not enough memory"),
    ):
        with pytest.raises(OutOfMemoryError), memory_errors():
            raise error
    with pytest.raises(RuntimeError, match="a bug"), memory_errors():
        raise RuntimeError("a bug")
