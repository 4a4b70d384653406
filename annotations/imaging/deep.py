"""Gray of more than 8 bits."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True, slots=True)
class Deep:
    """Gray of more than 8 bits: pixel × scale + offset is the value; `view` shows low…high.

    `raw`: (height, width) of any integer or float type, upright. `low` ≥ `high`: the least to the
    greatest value are shown. `inverted`: the greatest value is black.
    """

    raw: np.ndarray
    scale: float = 1.0
    offset: float = 0.0
    low: float = 0.0
    high: float = 0.0
    inverted: bool = False

    def view(self) -> tuple[Image.Image, dict[str, Any]]:
        """8 bits, low and below 0, high and above 255; a flat image is 0. And the window used."""
        values = self.raw.astype(np.float32)
        values[~np.isfinite(values)] = 0
        if (self.scale, self.offset) != (1.0, 0.0):
            values *= self.scale
            values += self.offset
        least, greatest = float(values.min()), float(values.max())
        low, high = (self.low, self.high) if self.high > self.low else (least, greatest)
        values -= low
        values *= 255 / (high - low) if high > low else 0
        shown = np.rint(values.clip(0, 255)).astype(np.uint8)
        window = {
            "low": low,
            "high": high,
            "least": least,
            "greatest": greatest,
            "inverted": self.inverted,
        }
        return Image.fromarray(255 - shown if self.inverted else shown), window

    def save(self, folder: Path, number: int) -> tuple[str, dict[str, float]]:
        """The pixels as gzipped little-endian uint16, row after row, and their scale and offset.

        Whole numbers that span at most 65,535 are exact, others are rounded to one of 65,536 steps.
        """
        raw = (
            np.nan_to_num(self.raw, posinf=0, neginf=0) if self.raw.dtype.kind == "f" else self.raw
        )
        least, greatest = raw.min().item(), raw.max().item()
        step = 1.0
        if raw.dtype.kind in "iu" and greatest - least <= 65535:
            stored = (raw.astype(np.int64) - least).astype("<u2")
        else:
            step = (greatest - least) / 65535 or 1.0
            stored = np.rint((raw.astype(np.float64) - least) / step).astype("<u2")
        name = f"{number}-values.u16.gz"
        with gzip.GzipFile(folder / name, "wb", compresslevel=3, mtime=0) as out:
            out.write(stored.tobytes())
        return name, {"scale": step * self.scale, "offset": least * self.scale + self.offset}


def turned(values: np.ndarray, turn: int) -> np.ndarray:
    """(height, width) values as `TURNS` turns pictures."""
    if turn in (3, 4, 6, 7):
        values = values[::-1]
    if turn in (2, 3, 7, 8):
        values = values[:, ::-1]
    return values.T if turn >= 5 else values
