"""Automatic masks of Segment Anything for many images at once.

The masks are those of `segment_anything.SamAutomaticMaskGenerator` (a grid of points, one crop, the
same thresholds), in another order of work: images are encoded together (`sam_encoder`), points are
decoded in large batches (`sam_decoder`), what is doubtful is dropped at low resolution, and only
what is left is enlarged. A GPU does that for many masks together and hands over the few that stay;
a CPU enlarges each mask only where it is, on other threads.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from segment_anything.utils.amg import build_point_grid
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from inference.engines.base import Detection, Image
from inference.engines.sam_decoder import Decoder
from inference.engines.sam_encoder import Encoder
from inference.engines.sam_finish import finish, finish_together, stability

SLACK = 0.05
"""A stability score at low resolution may be that much below the one at full resolution."""
LOOKED_AT = 1024
"""Points whose masks a GPU sorts out together: each time it has to wait for the CPU."""
HELPERS = 4
"""Threads that shrink images, and finish masks on CPUs."""
COMPILING_PAYS = 200
"""Images, on a GPU: compiling took 45 s where it then saved a tenth of a second for each."""


@dataclass(frozen=True, slots=True)
class Settings:
    """As the arguments of the same names of `SamAutomaticMaskGenerator`; `points_per_batch` 0 lets
    the device decide."""

    points_per_side: int = 32
    points_per_batch: int = 0
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7

    @property
    def batch(self) -> int:
        return self.points_per_batch or (256 if torch.cuda.is_available() else 4)


class AutomaticMasks:
    """Finds everything in images. `sam` is a model of `segment_anything`, on its device; `images`
    is how many a caller gives at once."""

    def __init__(self, sam: Any, settings: Settings, images: int = 1) -> None:
        self._sam = sam
        self._settings = settings
        self._images = images
        self._device = sam.device
        self._gpu = self._device.type == "cuda"
        self._encoder = Encoder(sam)
        # Half the numbers in half the time; the encoder's sums stay whole, under autocast.
        whole = Decoder(sam).to(self._device).eval()
        self._decode = (whole.halved() if self._gpu else whole).from_points
        self._encode_full: Any = None
        self._decode_full: Any = None
        self._seen = 0
        self._transform = ResizeLongestSide(sam.image_encoder.img_size)
        self._grid = build_point_grid(settings.points_per_side)

    def compile(self) -> None:
        """Full batches go faster from now on; the next one of each takes long."""
        torch._dynamo.config.suppress_errors = True  # without a compiler: as it is
        self._encode_full = torch.compile(self._encoder, dynamic=False)
        self._decode_full = torch.compile(self._decode, dynamic=False)

    def features(self, images: Sequence[Image]) -> tuple[Tensor, list[tuple[int, int]]]:
        """The encoder's output (B, C, g, g), and the sizes at which it saw the images."""
        with ThreadPoolExecutor(HELPERS) as pool:
            shrunk = list(pool.map(self._transform.apply_image, images))
        pixels = torch.stack([self._normal(one) for one in shrunk])
        full = self._encode_full is not None and len(images) == self._images
        encode = self._encode_full if full else self._encoder
        with torch.autocast(self._device.type, dtype=torch.float16, enabled=self._gpu):
            return encode(pixels), [one.shape[:2] for one in shrunk]

    def detect(
        self, images: Sequence[Image], min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        """For each image its masks by predicted IoU, which is above `min_score`."""
        self._seen += len(images)
        if self._gpu and self._encode_full is None and self._seen > COMPILING_PAYS:
            self.compile()
        finished: list[Future[list[Detection]]] = []
        with torch.inference_mode(), ThreadPoolExecutor(HELPERS) as pool:
            features, sizes = self.features(images)
            for image, seen, one in zip(images, sizes, features, strict=True):
                size = image.shape[:2]
                logits, scores = self._drafts(one[None], size, seen, min_score)
                how = finish_together if self._gpu else finish
                finished.append(
                    pool.submit(how, logits, scores, size, seen, self._settings, max_detections)
                )
            return [future.result() for future in finished]

    def _normal(self, pixels: Image) -> Tensor:
        """(3, side, side), normalized and padded."""
        tensor = torch.as_tensor(pixels, device=self._device).permute(2, 0, 1).contiguous()
        return self._sam.preprocess(tensor.float())

    def _drafts(
        self, features: Tensor, size: tuple[int, int], seen: tuple[int, int], min_score: float
    ) -> tuple[Tensor, Tensor]:
        """What may be a mask of an image: logits (n, low, low), predicted IoU (n,)."""
        settings = self._settings
        points = self._transform.apply_coords(self._grid * np.array(size)[::-1], size)
        every = torch.as_tensor(points, dtype=torch.float32, device=self._device)
        side = 4 * features.shape[-1]
        rows, columns = (-(-part * side // max(seen)) for part in seen)
        decoded: list[tuple[Tensor, Tensor]] = []
        kept = []
        for some in every.split(settings.batch):
            full = self._decode_full is not None and len(some) == settings.batch
            masks, iou = (self._decode_full if full else self._decode)(features, some)
            decoded.append((masks[:, 1:], iou[:, 1:]))
            if not self._gpu or len(decoded) * settings.batch >= LOOKED_AT:
                kept.append(self._kept(decoded, rows, columns, min_score))
                decoded = []
        if decoded:
            kept.append(self._kept(decoded, rows, columns, min_score))
        logits, scores = zip(*kept, strict=True)
        return torch.cat(logits), torch.cat(scores)

    def _kept(
        self, decoded: list[tuple[Tensor, Tensor]], rows: int, columns: int, min_score: float
    ) -> tuple[Tensor, Tensor]:
        """Those of (B, 3, low, low) and (B, 3) that are good and stable enough; the image is the
        first `rows` and `columns`, the rest is padding."""
        masks = torch.cat([one for one, _ in decoded])
        iou = torch.cat([one for _, one in decoded]).float()
        kept = iou > min_score if min_score > 0 else torch.ones_like(iou, dtype=torch.bool)
        masks, iou = masks[kept], iou[kept]
        stable = stability(masks[:, :rows, :columns], self._settings.stability_score_offset)
        kept = stable.nan_to_num(1) >= self._settings.stability_score_thresh - SLACK
        return masks[kept], iou[kept]
