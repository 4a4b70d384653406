"""Segmentation without weights, torch or network: graph cuts over superpixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from inference.engines.base import (
    Detection,
    Embedding,
    Image,
    MaskCandidate,
    Prompts,
    WeightsError,
    WeightsInfo,
)
from inference.engines.classic.foveate import pyramid
from inference.engines.classic.prompted import answer
from inference.engines.classic.propose import propose


class Classic:
    """Both roles. Its embedding is the image and its halves: not worth storing."""

    device = "CPU"
    batch_size = 1

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        raise WeightsError("The classic engine uses no weights.")

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        return cls()

    def embed(self, image: Image) -> Embedding:
        levels = pyramid(image)
        return Embedding({str(i): level for i, level in enumerate(levels)}, image.shape[:2])

    def segment(self, embedding: Embedding, prompts: Prompts) -> list[MaskCandidate]:
        levels = [embedding.arrays[str(i)] for i in range(len(embedding.arrays))]
        return answer(levels, prompts)

    def detect(
        self, images: Sequence[Image], *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        return [propose(image, min_score, max_detections) for image in images]
