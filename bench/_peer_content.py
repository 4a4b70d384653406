"""What `bench.peer` gives to both sides: pictures, polygons and masks, made from a seed alone."""

import functools
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from annotations.masks import rle

WIDTH, HEIGHT = 1280, 960
CATEGORIES = ("alpha", "beta", "gamma")
POLYGONS, VERTICES = 10, 30
MASKS = 30
"""So many different ones; an image has three of them, one in each category."""

Ring = NDArray[np.float64]
"""(vertices, 2): x and y in pixels."""
Mask = NDArray[np.bool_]


def jpeg(number: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Smooth colours, grain and a few shapes: as hard to pack as a photograph."""
    chance = np.random.default_rng(number)
    coarse = chance.integers(0, 256, (height // 40, width // 40, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(smooth)
    for _ in range(8):
        x, y, radius = chance.uniform(0, width), chance.uniform(0, height), chance.uniform(20, 200)
        color = tuple(int(value) for value in chance.integers(0, 256, 3))
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)
    grain = chance.normal(0, 6, (height, width, 1)).astype(np.int16)
    pixels = (np.asarray(smooth, np.int16) + grain).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def jpegs(folder: Path, numbers: range) -> dict[int, bytes]:
    """Those pictures, kept in `folder` from one run to the next."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path = folder / f"{number}.jpg"
        if not path.exists():
            path.write_bytes(jpeg(number))
    return {number: (folder / f"{number}.jpg").read_bytes() for number in numbers}


def rings(
    number: int, count: int = POLYGONS, width: int = WIDTH, height: int = HEIGHT, moved: int = 0
) -> list[Ring]:
    """Wavy outlines inside an image; `moved` pixels to the right."""
    chance = np.random.default_rng([number, count])
    angles = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    found = []
    for _ in range(count):
        center = chance.uniform([0.15 * width, 0.15 * height], [0.85 * width, 0.85 * height])
        radius = chance.uniform(25, 0.14 * height) * (
            1
            + 0.3 * np.sin(3 * angles + chance.uniform(0, 6))
            + chance.uniform(-0.1, 0.1, VERTICES)
        )
        ring = center + radius[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
        found.append(np.clip(ring + np.array([moved, 0]), 0, [width, height]).round(3))
    return found


def category_of(index: int) -> str:
    return CATEGORIES[index % len(CATEGORIES)]


def masks(number: int) -> list[Mask]:
    """The three masks of an image, one for each category."""
    return [mask(which) for which in mask_numbers(number)]


def mask_numbers(number: int) -> list[int]:
    return [(3 * number + place) % MASKS for place in range(len(CATEGORIES))]


@functools.cache
def mask(which: int, width: int = WIDTH, height: int = HEIGHT) -> Mask:
    """By turns a ring with its hole, two blobs, a wavy blob, a thin line and a noisy border."""
    chance = np.random.default_rng(1000 + which)
    y, x = np.mgrid[:height, :width]
    center_x, center_y = chance.uniform(0.3, 0.7, 2) * (width, height)
    radius = chance.uniform(80, 220) * width / WIDTH
    away = np.hypot(x - center_x, y - center_y)
    kind = which % 5
    if kind == 0:
        return (away < radius) & (away > radius / 2)
    if kind == 1:
        other = np.hypot(x - (width - center_x), y - (height - center_y) / 3)
        return (away < 0.6 * radius) | (other < 0.4 * radius)
    if kind == 2:
        angle = np.arctan2(y - center_y, x - center_x)
        return away < radius * (1 + 0.25 * np.sin(5 * angle) + 0.1 * np.sin(11 * angle))
    if kind == 3:
        sheet = Image.new("1", (width, height))
        line = [(at, center_y + radius / 2 * np.sin(at / 60)) for at in range(50, width - 50, 4)]
        ImageDraw.Draw(sheet).line(line, fill=1, width=2)
        return np.asarray(sheet, bool)
    noise = chance.integers(0, 256, (height // 4, width // 4), np.uint8)
    rough = Image.fromarray(noise).resize((width, height), Image.Resampling.BILINEAR)
    return away + (np.asarray(rough, float) - 127) * 0.8 < radius


@functools.cache
def counts(which: int, width: int = WIDTH, height: int = HEIGHT) -> str:
    """COCO's RLE of that mask."""
    return rle.encode(mask(which, width, height))
