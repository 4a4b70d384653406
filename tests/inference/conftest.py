"""Images with bytes behind them, and an engine that tests can steer."""

import hashlib
import importlib.util
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image as Pillow

from annotations.models import Image, Project, StoredFile
from inference import registry
from inference.engines.base import CropMask, Detection, OutOfMemoryError, WeightsInfo
from inference.models import ModelVersion
from inference.registry import EngineSpec


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the learned engines skip, loudly, where torch is not installed."""
    if importlib.util.find_spec("torch"):
        return
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.skip(reason="torch is not installed: run script/torch"))


def disc(height: int = 90, width: int = 120, x: int = 50, y: int = 40, radius: int = 20) -> Any:
    """A bright disc on a dim, noisy ground: (uint8 (h, w, 3), bool (h, w))."""
    rows, columns = np.indices((height, width))
    mask = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < radius**2
    noise = np.random.default_rng(0).integers(0, 12, (height, width, 3))
    pixels = np.where(mask[..., None], [200, 90, 60], [60, 70, 80]) + noise
    return pixels.astype(np.uint8), mask


def new_stored_image(
    project: Project, pixels: np.ndarray | None = None, broken: bool = False
) -> Image:
    pixels = disc()[0] if pixels is None else pixels
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "PNG")
    content = b"not a picture" if broken else buffer.getvalue()
    number = StoredFile.objects.count()
    sha256 = hashlib.sha256(content + str(number).encode()).hexdigest()
    name = default_storage.save(f"upright/{sha256}.png", ContentFile(content))
    file = StoredFile.objects.create(
        sha256=sha256,
        original=name,
        original_type="image/png",
        upright=name,
        upright_type="image/png",
        thumbnail=name,
        width=pixels.shape[1],
        height=pixels.shape[0],
        bytes=len(content),
    )
    return Image.objects.create(
        project=project,
        file=file,
        name=f"{number}.png",
        width=pixels.shape[1],
        height=pixels.shape[0],
    )


@pytest.fixture
def store_image(db) -> Callable[..., Image]:
    """`store_image(project, pixels)`: a row with the bytes behind it."""
    return new_stored_image


class FakeDetector:
    """Finds two overlapping boxes in every image; its class attributes steer it."""

    device = "a fake"
    batch_size = 4
    most = 100
    calls: list[int] = []
    fails_on_width: int | None = None
    before: Any = None

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        return WeightsInfo()

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        return cls()

    def detect(
        self, images: Sequence[np.ndarray], *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        type(self).calls.append(len(images))
        if type(self).before:
            type(self).before()
        if len(images) > self.most:
            raise OutOfMemoryError("no room")
        if any(image.shape[1] == self.fails_on_width for image in images):
            raise RuntimeError("a bug in the engine")
        full = np.ones((10, 20), bool)
        found = [
            Detection(CropMask(full, 0, 0), 0.6, 0),
            Detection(CropMask(full, 10, 0), 0.9, 1),
            Detection(CropMask(full, 40, 30), 0.3, 2),
        ]
        return [[d for d in found if d.score >= min_score][:max_detections] for _ in images]


@pytest.fixture
def fake(db, monkeypatch) -> ModelVersion:
    """A ready model whose engine is FakeDetector, with the classes car, Road and tree."""
    spec = EngineSpec(
        "tests.inference.conftest.FakeDetector", "Fake", frozenset({"detector"}), needs_torch=False
    )
    monkeypatch.setitem(registry.ENGINES, "fake", spec)
    for name, value in (("calls", []), ("most", 100), ("fails_on_width", None), ("before", None)):
        monkeypatch.setattr(FakeDetector, name, value)
    return ModelVersion.objects.create(
        name="fake", engine="fake", sha256="f" * 64, categories=["car", "Road", "tree"]
    )
