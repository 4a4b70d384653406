"""Small pictures of an image with regions over it, for lists and reports."""

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from annotations.formats.pngs import rgb
from annotations.masks import polygons, rle
from annotations.records import Geometry, ImageRecord, RegionRecord

SIDE = 320
"""Of a picture whose thumbnail is gone, pixels."""
PROPOSED, FAINT, CLEAR, STRONG = 0.15, 0.25, 0.45, 0.6
"""How opaque regions are."""


def draw(
    record: ImageRecord,
    thumbnail: bytes | None,
    colors: dict[int, str],
    strong: Iterable[int] = (),
    *,
    opacity: float = FAINT,
) -> bytes:
    """WebP of the thumbnail (grey where there is none) with the record's regions.

    colors: #rrggbb by category id. strong: ids of regions that stand out. opacity: of the others;
    unless that is faint, regions have an edge in their colour, so that neighbours differ.
    """
    if thumbnail is None:
        scale = SIDE / max(record.width, record.height)
        size = (max(1, round(record.width * scale)), max(1, round(record.height * scale)))
        picture = Image.new("RGB", size, (96, 96, 96))
    else:
        picture = Image.open(io.BytesIO(thumbnail)).convert("RGB")
    pixels = np.asarray(picture, dtype=np.float32).copy()
    outstanding = set(strong)
    for region in sorted(record.regions, key=lambda region: region.order):
        mask = small_mask(region, (pixels.shape[0], pixels.shape[1]))
        stands_out = region.id in outstanding
        color = np.array(rgb(colors.get(region.category_id, "")), dtype=np.float32)
        pixels[mask] += (color - pixels[mask]) * (STRONG if stands_out else opacity)
        if stands_out:
            pixels[_edge(mask)] = 255
        elif opacity != FAINT:
            pixels[_edge(mask)] = color
    out = io.BytesIO()
    Image.fromarray(pixels.round().astype(np.uint8)).save(out, "WEBP", quality=80)
    return out.getvalue()


def small_mask(region: RegionRecord, size: rle.Size) -> rle.Mask:
    """The boolean (height, width) mask of a region in its image scaled to `size`."""
    geometry = region.geometry
    height, width = geometry.size
    x_scale, y_scale = size[1] / width, size[0] / height
    if geometry.polygons is not None:
        scaled = [
            [
                [value * (y_scale if k % 2 else x_scale) for k, value in enumerate(ring)]
                for ring in rings
            ]
            for rings in geometry.polygons
        ]
        return polygons.geometry_mask(Geometry(size, scaled))
    assert geometry.counts is not None
    box = rle.bbox(geometry.counts, geometry.size)
    part = Image.fromarray(rle.crop(geometry.counts, geometry.size, box))
    left, top = int(box[0] * x_scale), int(box[1] * y_scale)
    right = max(left + 1, min(size[1], round((box[0] + box[2]) * x_scale)))
    bottom = max(top + 1, min(size[0], round((box[1] + box[3]) * y_scale)))
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = np.asarray(
        part.resize((right - left, bottom - top), Image.Resampling.NEAREST)
    )
    return mask


def _edge(mask: rle.Mask) -> rle.Mask:
    """The pixels of a mask that have a neighbour outside it."""
    around = np.pad(mask, 1)
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return mask & ~inner
