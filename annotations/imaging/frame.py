"""What every reader shares: limits, refusals, and the files that one upright raster becomes.

A reader is a function that yields a reply for each picture of a file, in order:
`{number, width, height, upright, thumbnail, values, window, tiles, levels, original, total}`. Names
are those of files in the reader's folder, or None. `number` counts the file's pictures from 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

THUMBNAIL = 320
TILED_FROM = 40_000_000
"""Pixels above which a raster gets a tile pyramid."""
MAX_FRAMES = 10_000
FRAMES_AT_ONCE = 20

Reply = dict[str, Any]


class Refused(Exception):
    """The file is not taken: `code` and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)


class TakesLong(Exception):
    """Nobody should wait for this file: it is a worker's."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`at_once`: somebody waits. `extend(seconds)` asks for more time for the next picture."""

    max_pixels: int
    at_once: bool
    extend: Callable[[int], None]

    def size(self, width: int, height: int) -> None:
        """Refuse by the header, before a pixel is decoded."""
        if width < 1 or height < 1:
            raise Refused("empty_image", "The image has no pixels: its width or height is 0.")
        pixels = width * height
        if pixels > self.max_pixels:
            raise Refused(
                "too_many_pixels",
                f"The image has {width} × {height} pixels; at most {self.max_pixels:,} pixels are "
                "taken.",
            )
        if pixels > TILED_FROM:
            if self.at_once:
                raise TakesLong
            self.extend(pixels // 1_000_000)

    def count(self, frames: int) -> None:
        if frames > MAX_FRAMES:
            raise Refused(
                "too_many_frames",
                f"The file holds {frames:,} pictures; at most {MAX_FRAMES:,} are taken.",
            )
        if frames > FRAMES_AT_ONCE and self.at_once:
            raise TakesLong


def reply(
    number: int, total: int, size: tuple[int, int], thumbnail: str | None, **more: Any
) -> Reply:
    """`size` is (width, height) of the upright raster."""
    names = dict.fromkeys(("upright", "values", "window", "tiles", "original"))
    values = {"number": number, "total": total, "width": size[0], "height": size[1], "levels": 0}
    return {**names, **values, "thumbnail": thumbnail, **more}


def bare(image: Image.Image) -> Image.Image:
    """The same pixels, without the metadata that Pillow would write again."""
    image.info.clear()
    return image


def save_thumbnail(image: Image.Image, folder: Path, number: int) -> str:
    """Makes `image` small, and saves it. Returns the file's name.

    A JPEG that was not decoded yet is decoded at an eighth, a quarter or half its size, from all of
    its bytes. A JPEG is written, because that takes a tenth of the time of WebP.
    """
    name = f"{number}-thumbnail.jpg"
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=1.0)
    bare(image).save(folder / name, quality=80)
    return name
