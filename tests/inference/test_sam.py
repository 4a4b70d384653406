"""Segment Anything: the decoder, its export and automatic masks against the package's own."""

from typing import Any

import numpy as np
import pytest

from tests.inference import tiny
from tests.inference.conftest import disc

pytestmark = pytest.mark.torch
SETTINGS: dict[str, Any] = {
    "points_per_side": 8,
    "stability_score_thresh": 0.5,
    "box_nms_thresh": 0.95,
    "stability_score_offset": 0.005,
}


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.sam().eval()


def package_decoder(
    model: Any, features: Any, points: Any, labels: Any, box: Any, mask: Any
) -> Any:
    sparse, dense = model.prompt_encoder(points=(points, labels), boxes=box, masks=mask)
    place = model.prompt_encoder.get_dense_pe()
    return model.mask_decoder.predict_masks(features, place, sparse, dense)


def test_the_decoder_gives_what_the_packages_gives(model):
    import torch

    from inference.engines.sam_decoder import Decoder

    decoder = Decoder(model).eval()
    features, points = torch.randn(1, 256, 4, 4), torch.rand(6, 2) * 64
    mask, box = torch.randn(1, 1, 16, 16), torch.tensor([[1.0, 2, 30, 40]])
    with torch.inference_mode():
        theirs = package_decoder(model, features, points[:, None], torch.ones(6, 1), None, None)
        for mine, other in zip(decoder.from_points(features, points), theirs, strict=True):
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)
        two, labels = points[None, :2], torch.tensor([[1.0, 0.0]])
        theirs = package_decoder(model, features, two, labels, box, mask)
        both = torch.cat([two, box.reshape(1, 2, 2)], 1)
        kinds = torch.tensor([[1.0, 0.0, 2.0, 3.0]])
        for mine, other in zip(
            decoder(features, both, kinds, mask, torch.ones(1)), theirs, strict=True
        ):
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)


def test_the_exported_decoder_gives_what_torch_gives(model):
    import onnx
    import torch
    from onnx.reference import ReferenceEvaluator

    from inference.engines.sam_browser import KNOWN
    from inference.engines.sam_decoder import Decoder
    from inference.engines.sam_export import PROMPTS, WINDOW, parts, to_onnx

    exported: dict[str, Any] = {
        name: ReferenceEvaluator(onnx.load_from_string(part))
        for name, part in parts(to_onnx(model)).items()
    }
    decoder = Decoder(model).eval()
    features = torch.randn(1, 256, 4, 4)
    for count, has_mask, high, kinds in ((2, False, 4, [1, 2, 3]), (5, True, 3, [0])):
        rows, columns, asked = np.arange(high), np.arange(4), np.array(kinds)
        points, mask = torch.rand(1, count, 2) * 64, torch.randn(1, 1, 16, 16)
        labels = torch.tensor([[1.0, 0.0, 1.0, 2.0, 3.0][-count:]])
        with torch.no_grad():
            masks, scores = decoder(features, points, labels, mask, torch.ones(1) * has_mask)
        window = dict(zip(WINDOW, [rows, columns], strict=True))
        known = exported["image"].run(None, {"features": features.numpy(), **window})
        hidden = np.zeros((1, 16), np.float32)
        if has_mask:
            [hidden] = exported["mask"].run(None, {"mask": mask.numpy()})
        given = [*known, hidden, points.numpy(), labels.numpy(), asked]
        found = exported["click"].run(None, dict(zip([*KNOWN, *PROMPTS], given, strict=True)))
        # GELU by tanh is up to 5e-4 off.
        np.testing.assert_allclose(found[0], masks[0, kinds, : 4 * high].numpy(), atol=2e-3)
        np.testing.assert_allclose(found[1], scores[0, kinds].numpy(), atol=1e-4)


def test_automatic_masks_of_many_images_are_those_of_the_package(model):
    from segment_anything import SamAutomaticMaskGenerator

    from inference.engines.automatic import AutomaticMasks, Settings

    images = [disc()[0], disc(64, 100, 30, 30, 15)[0], disc(200, 90, 45, 120, 30)[0]]
    theirs = SamAutomaticMaskGenerator(model, pred_iou_thresh=-10, **SETTINGS)
    found = AutomaticMasks(model, Settings(**SETTINGS)).detect(images, -10.0, 1000)
    total = 0
    for image, mine in zip(images, found, strict=True):
        wanted = theirs.generate(image)
        total += len(wanted)
        assert len(mine) == len(wanted)
        left = [one["segmentation"] for one in wanted]
        for detection in mine:
            mask = detection.mask.full(*image.shape[:2])
            ious = [(mask & one).sum() / (mask | one).sum() for one in left]
            assert max(ious) >= 0.99
            del left[int(np.argmax(ious))]
    assert total > 5


@pytest.mark.parametrize("threshold", [0.0, 0.6])
@pytest.mark.parametrize("size", [(90, 120), (64, 40)])
def test_masks_finished_together_are_those_finished_one_by_one(size, threshold):
    import torch

    from inference.engines.automatic import Settings
    from inference.engines.sam_finish import finish, finish_together

    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(9, 1, 4, 4, generator=random)
    drafts = torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic")[:, 0]
    drafts[0] = -1  # nothing
    drafts[1, :, :5] = 9  # from the first pixel on
    scores = torch.rand(9, generator=random)
    settings = Settings(
        stability_score_thresh=threshold, stability_score_offset=0.2, box_nms_thresh=0.95
    )
    seen = (48, 64) if size[0] < size[1] else (64, 40)
    alone, together = (
        how(drafts, scores, size, seen, settings, 5) for how in (finish, finish_together)
    )
    assert [one.score for one in together] == [one.score for one in alone]
    assert 2 <= len(alone) <= 5
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.mask.full(*size), other.mask.full(*size))
        assert (one.mask.x, one.mask.y, one.mask.area) == (
            other.mask.x, other.mask.y, other.mask.area
        )  # fmt: skip
        assert one.mask.counts(size) == other.mask.counts(size)
