"""Images with their ground truth, as trainers take them: shrunk, and kept in memory while there is
room."""

from collections.abc import Sequence
from typing import overload

import cv2
import numpy as np

from annotations.errors import ServiceError
from annotations.imaging.overlay import small_mask
from annotations.records import RegionRecord
from inference.engines.base import CropMask
from inference.engines.training import Example, Target
from inference.services.evaluation import Truth
from inference.services.rasters import raster

KEEP_BYTES = 2**30


class Examples(Sequence[Example]):
    """The images of `truths`, at most `side` pixels long; regions of `categories` (ids in exports)
    have the label of their place in it, others are left out. Errors as those of `raster`."""

    def __init__(self, truths: Sequence[Truth], categories: Sequence[int], side: int) -> None:
        self._truths = truths
        self._labels = {id: label for label, id in enumerate(categories)}
        self._side = side
        self._kept: dict[int, Example] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._truths)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index not in self._kept:
            example = self._read(self._truths[index])
            size = example.image.nbytes + sum(t.mask.pixels.nbytes for t in example.targets)
            if self._bytes + size > KEEP_BYTES:
                return example
            self._kept[index] = example
            self._bytes += size
        return self._kept[index]

    def _read(self, truth: Truth) -> Example:
        try:
            image = raster(truth.image)
        except (OSError, ValueError):
            detail = f"The stored image “{truth.image.name}” cannot be read."
            raise ServiceError(422, "unreadable", detail, hint="Remove or replace it.") from None
        scale = min(1.0, self._side / max(image.shape[:2]))
        height, width = (max(1, round(length * scale)) for length in image.shape[:2])
        if scale < 1:
            small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            image = small.astype(np.uint8)
        ordered = sorted(truth.record.regions, key=lambda region: region.order)
        targets = (self._target(region, (height, width)) for region in ordered)
        return Example(image, tuple(target for target in targets if target))

    def _target(self, region: RegionRecord, size: tuple[int, int]) -> Target | None:
        label = self._labels.get(region.category_id)
        if label is None:
            return None
        mask = CropMask.of(small_mask(region, size))
        return Target(mask, label, region.is_crowd) if mask.area else None
