"""What an engine is: the two protocols and the values that pass through them. No Django here.

Images are uint8 arrays (height, width, 3), RGB, upright. Coordinates are float pixels, x right,
y down; pixel (0, 0) covers [0, 1)². An engine class is named in `inference.registry`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from annotations.masks import rle

Image = NDArray[np.uint8]
BoolMask = NDArray[np.bool_]


class WeightsError(ValueError):
    """Weights that are not used; the message says why in words for a person."""


class OutOfMemoryError(RuntimeError):
    """The device has no room for this batch; a smaller one may fit."""


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """What a person showed. `points` in the order they were clicked; `box` is (x, y, width,
    height); `mask` is the previous mask, bool (height, width) of the whole image."""

    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: BoolMask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CropMask:
    """A mask as the window that holds it: `pixels` is bool (h, w), its top left pixel is (x, y) of
    the image. Everything outside the window is False."""

    pixels: BoolMask
    x: int = 0
    y: int = 0

    @classmethod
    def of(cls, mask: BoolMask, x: int = 0, y: int = 0) -> Self:
        """The tight crop of `mask`, whose own top left pixel is (x, y) of the image."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return cls(np.zeros((0, 0), bool), x, y)
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        return cls(np.ascontiguousarray(mask[top:bottom, left:right]), x + int(left), y + int(top))

    def full(self, height: int, width: int) -> BoolMask:
        """The mask of the whole image, bool (height, width)."""
        mask = np.zeros((height, width), bool)
        h, w = self.pixels.shape
        mask[self.y : self.y + h, self.x : self.x + w] = self.pixels
        return mask

    def holds(self, x: float, y: float) -> bool:
        """Whether the pixel under (x, y) of the image is in the mask."""
        row, column = int(y) - self.y, int(x) - self.x
        height, width = self.pixels.shape
        return 0 <= row < height and 0 <= column < width and bool(self.pixels[row, column])

    def counts(self, size: tuple[int, int]) -> str:
        """COCO's compressed counts of the mask of an image of `size` (height, width)."""
        return rle.paste(self.pixels, size, (self.x, self.y))

    @property
    def area(self) -> int:
        return int(np.count_nonzero(self.pixels))


@dataclass(frozen=True, eq=False)
class RunMask:
    """A mask of a whole image of `size` (height, width) as the lengths of its runs, int64, column
    by column, zeros first: what a GPU hands over. It is used as a `CropMask` is, whose pixels are
    made when they are asked for."""

    runs: NDArray[np.int64]
    size: tuple[int, int]

    @cached_property
    def crop(self) -> CropMask:
        flat = np.repeat(np.arange(len(self.runs)) % 2 == 1, self.runs)
        return CropMask.of(flat.reshape(self.size[::-1]).T)

    @property
    def pixels(self) -> BoolMask:
        return self.crop.pixels

    @property
    def x(self) -> int:
        return self.crop.x

    @property
    def y(self) -> int:
        return self.crop.y

    @property
    def area(self) -> int:
        return int(self.runs[1::2].sum())

    def full(self, height: int, width: int) -> BoolMask:
        return self.crop.full(height, width)

    def holds(self, x: float, y: float) -> bool:
        return self.crop.holds(x, y)

    def counts(self, size: tuple[int, int]) -> str:
        return rle.from_runs(self.runs)


Mask = CropMask | RunMask


@dataclass(frozen=True, slots=True, eq=False)
class MaskCandidate:
    """One answer to prompts; `score` 0…1 is the engine's own estimate of its IoU."""

    mask: CropMask
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One region of a whole image. `label` indexes the engine's `categories`; None: no class."""

    mask: Mask
    score: float
    label: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The output of an image encoder: named arrays, for an image of `size` (height, width).

    `signature` names the image's and the model's SHA-256; an embedding is used with no other.
    """

    arrays: dict[str, NDArray[Any]]
    size: tuple[int, int]
    signature: str = ""


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """What a weights file says of itself: what `load` needs, and class names by label index."""

    config: dict[str, Any] = field(default_factory=dict)
    categories: tuple[str, ...] = ()


@runtime_checkable
class Engine(Protocol):
    """Common to both roles."""

    device: str
    """Where it runs, for a person: "CPU", "NVIDIA H100"…"""

    @classmethod
    def inspect(cls, weights: Path) -> WeightsInfo:
        """Reads a weights file without running code in it. Raises WeightsError."""

    @classmethod
    def load(cls, weights: Path | None, config: dict[str, Any]) -> Self:
        """Ready to be used, on the best device there is. Raises WeightsError."""


@runtime_checkable
class Detector(Engine, Protocol):
    """Image → proposals."""

    batch_size: int
    """How many images it likes at once."""

    def detect(
        self, images: Sequence[Image], *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        """For each image its detections, best first. Raises OutOfMemoryError."""


@runtime_checkable
class PromptSegmenter(Engine, Protocol):
    """Image → embedding, embedding + prompts → masks."""

    def embed(self, image: Image) -> Embedding:
        """What depends on the image alone. Raises OutOfMemoryError."""

    def segment(self, embedding: Embedding, prompts: Prompts) -> list[MaskCandidate]:
        """At most three candidates, best first. At least a positive point, a box or a mask is
        given; every candidate that is not empty lies inside the image."""


@runtime_checkable
class BrowserDecoder(Protocol):
    """A PromptSegmenter whose `segment` browsers can run from a stored embedding."""

    def export_decoder(self) -> bytes:
        """ONNX, as `frontend/workers/decoder.worker.ts` runs it."""
