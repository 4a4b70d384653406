"""Images as the engines take them."""

import numpy as np
from PIL import Image as Pillow

from annotations.models import Image
from annotations.services.references import open_upright
from inference.engines.base import Image as Raster


def raster(image: Image) -> Raster:
    """The upright image, uint8 (height, width, 3), RGB. OSError, ValueError: it cannot be read."""
    with open_upright(image.file) as file, Pillow.open(file) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    if pixels.shape[:2] != (image.height, image.width):
        raise ValueError(f"the stored image is {pixels.shape[1]} × {pixels.shape[0]} pixels")
    return pixels
