"""Small pictures of an image with regions over it, for lists and reports."""

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from annotations.formats.pngs import Color, rgb
from annotations.masks import polygons, rle
from annotations.records import Geometry, ImageRecord, RegionRecord

SIDE = 320
"""Of a picture whose thumbnail is gone, pixels."""
QUALITY = 85
"""Of the JPEG: encoded in a tenth of WebP's time, and a page has a hundred of them."""
PROPOSED, FAINT, CLEAR, STRONG = 0.15, 0.25, 0.45, 0.6
"""How opaque regions are."""


WHITE = (255, 255, 255)


def draw(
    record: ImageRecord,
    thumbnail: bytes | None,
    colors: dict[int, str],
    strong: Iterable[int] = (),
    *,
    opacity: float = FAINT,
) -> bytes:
    """JPEG of the thumbnail (grey where there is none) with the record's regions.

    colors: #rrggbb by category id. strong: ids of regions that stand out. opacity: of the others;
    unless that is faint, regions have an edge in their colour, so that neighbours differ.
    """
    if thumbnail is None:
        scale = SIDE / max(record.width, record.height)
        size = (max(1, round(record.width * scale)), max(1, round(record.height * scale)))
        picture = Image.new("RGB", size, (96, 96, 96))
    else:
        picture = Image.open(io.BytesIO(thumbnail)).convert("RGB")
    outstanding = set(strong)
    for region in sorted(record.regions, key=lambda region: region.order):
        mask = small_mask(region, (picture.height, picture.width))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            continue
        corner = (int(columns[0]), int(rows[0]))
        part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        color = rgb(colors.get(region.category_id, ""))
        stands_out = region.id in outstanding
        _paint(picture, corner, part, color, STRONG if stands_out else opacity)
        if stands_out:
            _paint(picture, corner, _edge(part), WHITE, 1)
        elif opacity != FAINT:
            _paint(picture, corner, _edge(part), color, 1)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _paint(
    picture: Image.Image, corner: tuple[int, int], mask: rle.Mask, color: Color, opacity: float
) -> None:
    """Colour the mask, whose upper left corner is at `corner`, in place."""
    alpha = Image.fromarray(mask.astype(np.uint8) * round(255 * opacity))
    x, y = corner
    picture.paste(color, (x, y, x + alpha.width, y + alpha.height), alpha)


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
