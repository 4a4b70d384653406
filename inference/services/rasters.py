"""Images as the engines take them."""

import numpy as np
from PIL import Image as Pillow

from annotations.errors import ServiceError
from annotations.models import Image
from annotations.services.references import open_upright
from inference.engines.base import Image as Raster

MAX_PIXELS = 150_000_000
"""What an engine's process may hold several times over."""


def raster(image: Image) -> Raster:
    """The upright image, uint8 (height, width, 3), RGB.

    ServiceError: it is too large for engines (422), or its reference is gone (410). OSError,
    ValueError: it cannot be read.
    """
    if image.width * image.height > MAX_PIXELS:
        raise ServiceError(
            422,
            "too_large",
            f"Models take images of at most {MAX_PIXELS // 1_000_000} megapixels.",
            hint="Label it by hand.",
        )
    with open_upright(image.file) as file, Pillow.open(file) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    if pixels.shape[:2] != (image.height, image.width):
        raise ValueError(f"the stored image is {pixels.shape[1]} × {pixels.shape[0]} pixels")
    return pixels
