"""Label PNGs: integer arrays in and out, with palettes."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from annotations.formats.base import MAX_SIDE
from annotations.records import DatasetError

MAX_PIXELS = 100_000_000

Color = tuple[int, int, int]

BORDER: Color = (224, 224, 192)
"""The colour of PASCAL VOC for what does not count."""


def rgb(color: str) -> Color:
    """#rrggbb as numbers; grey where there is none."""
    return (
        (int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16))
        if len(color) == 7
        else (128, 128, 128)
    )


def default_color(index: int) -> str:
    """PASCAL VOC's colour map: bits of the index, spread over the high bits of red, green, blue."""
    parts = [0, 0, 0]
    for shift in range(7, -1, -1):
        for channel in range(3):
            parts[channel] |= (index >> channel & 1) << shift
        index >>= 3
    return "#{:02x}{:02x}{:02x}".format(*parts)


def write(path: Path, labels: npt.NDArray, palette: dict[int, Color] | None = None) -> None:
    """An 8-bit PNG with a palette, an 8- or 16-bit grey one, or an RGB one, by the array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    if palette is not None:
        table = np.zeros((256, 3), np.uint8)
        for index, color in palette.items():
            table[index] = color
        image.putpalette(table.tobytes())
    image.save(path, "PNG")


def read(path: Path, pointer: str) -> npt.NDArray:
    """What a PNG holds: (h, w) uint8 or uint16 of palette indexes or grey, or (h, w, 3) uint8.

    Grey of 1, 2 or 4 bits keeps its values 0, 1, 2 …; an alpha channel is left out. DatasetError:
    no PNG (a JPEG's colours are not what was drawn), broken, or too large.
    """
    header = path.read_bytes()[:26] if path.stat().st_size < 2**31 else b""
    if header[:8] != b"\x89PNG\r\n\x1a\n" or len(header) < 26:
        raise DatasetError(
            "A mask must be a PNG; other files, such as JPEGs, do not keep exact values.", pointer
        )
    width, height = (int.from_bytes(header[i : i + 4]) for i in (16, 20))
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise DatasetError(f"The mask has {width} × {height} pixels.", pointer, "too_large")
    bits, kind = header[24], header[25]
    if bits == 16 and kind != 0:
        raise DatasetError("A 16-bit mask must be grey.", pointer)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=["PNG"])
            image.load()
    except Exception as error:  # Pillow's decoders raise about anything for a broken file
        raise DatasetError("The PNG is broken.", pointer, "unreadable") from error
    if image.mode in ("RGB", "RGBA"):
        return np.asarray(image.convert("RGB"))
    if image.mode == "LA":
        return np.asarray(image.getchannel("L"))
    values = np.asarray(image)
    if kind == 0 and bits < 8:
        return (values // (255 // (2**bits - 1)) if bits > 1 else values).astype(np.uint8)
    return values.astype(np.uint16 if bits == 16 else np.uint8)


def packed(colors: npt.NDArray) -> npt.NDArray[np.int32]:
    """(h, w, 3) colours as (h, w) numbers, 65536·r + 256·g + b."""
    wide = colors.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def pack(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]
