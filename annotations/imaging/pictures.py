"""JPEG, PNG, WebP, TIFF and BMP into upright 8-bit sRGB.

- EXIF orientation 1–8 is baked in.
- A colour profile other than sRGB is converted to sRGB (perceptual). CMYK without a profile is
  converted by Pillow's plain formula, R = (255 - C)(255 - K) / 255.
- Gray of more than 8 bits (16-bit, 32-bit, float) is shown from the image's least value (0) to its
  greatest (255); its values are kept beside it. Colour of 16 bits keeps its high byte.
- Alpha is flattened on white.
- The original bytes are what browsers draw (`upright` None) when none of that changes anything;
  else JPEG (quality 95, 4:4:4) for a JPEG, PNG for all others, without metadata.
- The pages of a TIFF are pictures of their own, except reduced copies of others.
- More than VIPS_FROM pixels are converted by libvips, which needs little memory (`pyramid.py`).
"""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms

from annotations.imaging import jpeg, pyramid
from annotations.imaging.frame import (
    TILED_FROM,
    Limits,
    Refused,
    Reply,
    TakesLong,
    bare,
    reply,
    save_thumbnail,
)

KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
VIPS_FROM = 100_000_000
ORIENTATION = 0x0112
SUBFILE_TYPE = 0x00FE
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WEB = {"JPEG": ("L", "RGB"), "PNG": ("1", "L", "P", "RGB", "RGBA", "LA"), "WEBP": ("RGB", "RGBA")}
SRGB = ImageCms.createProfile("sRGB")


def read(source: Path, folder: Path, kind: str, limits: Limits) -> Iterator[Reply]:
    """The picture of a file, or each page of a TIFF. Raises `Refused` or `TakesLong`."""
    if kind == "PNG":
        check_png(source)
    try:
        # By name, Pillow 13 maps plain TIFFs into memory, and then forgets to turn them.
        with source.open("rb") as file:
            opened = Image.open(file, formats=[kind])
            pages = pages_of(opened)
            limits.size(*opened.size)
            limits.count(len(pages))
            for page in pages:
                opened.seek(page)
                if page != pages[0]:
                    limits.size(*opened.size)
                if opened.width * opened.height > VIPS_FROM:
                    yield huge(opened, source, folder, kind, page, len(pages))
                    continue
                if kind == "JPEG" and is_as_drawn(opened):
                    size = opened.size
                    yield reply(page, 1, size, save_thumbnail(opened, folder, page))
                    continue
                opened.load()
                yield picture(opened, source, folder, kind, page, len(pages))
    except (Refused, TakesLong, MemoryError):
        raise
    except Exception as error:  # Pillow raises OSError, ValueError, SyntaxError, struct.error, …
        if isinstance(error, OSError) and error.errno:  # writing: no space, mostly
            raise
        raise damaged()


def look(source: Path, limits: Limits) -> Iterator[Reply]:
    """A JPEG that `read` would take for certain, and of which it would but make a thumbnail.

    The reply has none. No reply: only `read` can tell.
    """
    try:
        with source.open("rb") as file:
            opened = Image.open(file, formats=["JPEG"])
            if pages_of(opened) == [0] and is_as_drawn(opened) and jpeg.is_whole(source):
                limits.size(*opened.size)
                yield reply(0, 1, opened.size, None)
    except Exception:  # `read` says what is wrong
        return


def is_as_drawn(image: Image.Image) -> bool:
    """Whether browsers draw these bytes as they are, and nothing but a thumbnail is to be made."""
    profile = image.info.get("icc_profile")
    return (
        image.mode in ("L", "RGB")
        and image.width * image.height <= TILED_FROM
        and orientation(image) == 1
        and (not profile or is_srgb(profile))
    )


def damaged() -> Refused:
    return Refused("damaged_image", "The file is damaged: it cannot be decoded to its end.")


def pages_of(image: Image.Image) -> list[int]:
    """The numbers of a file's pictures. Refused: an animation."""
    count = getattr(image, "n_frames", 1)
    # An MPO is a JPEG with further pictures (previews, depth) behind it: its first is the picture.
    if count == 1 or image.format == "MPO":
        return [0]
    if image.format != "TIFF":
        raise Refused("several_frames", "The file is an animation; pictures are taken.")
    pages = []
    for number in range(count):
        image.seek(number)
        if not int(tag(image, SUBFILE_TYPE, 0)) & 1:
            pages.append(number)
    image.seek(pages[0] if pages else 0)
    return pages or [0]


def tag(image: Image.Image, number: int, default: Any) -> Any:
    return getattr(image, "tag_v2", {}).get(number, default)


def picture(
    opened: Image.Image, source: Path, folder: Path, kind: str, page: int, total: int
) -> Reply:
    """The files of a decoded picture."""
    deep: dict[str, Any] = {}
    turn = orientation(opened)
    image = opened.copy() if total > 1 else opened
    large = image.width * image.height > TILED_FROM
    if image.mode.startswith(("I", "F")):
        import numpy as np  # most pictures need none of it, and a decoder starts in half the time

        from annotations.imaging.deep import Deep, turned

        values = Deep(turned(np.asarray(image), turn))
        view, window = values.view()
        if not large:
            deep["values"], scale = values.save(folder, page)
            deep["window"] = window | scale
        upright = to_upright(view, image.info.get("icc_profile"), 1)
    else:
        upright = to_upright(image, image.info.get("icc_profile"), turn)
    unchanged = upright is image and kind in WEB and opened.mode in WEB[kind]
    if kind == "PNG" and unchanged:
        unchanged = png_depth(source) <= 8
    if upright.mode not in ("L", "RGB"):
        upright = upright.convert("RGB")
    name = None
    if not unchanged:
        name = f"{page}-upright.{'jpg' if kind == 'JPEG' else 'png'}"
        # Each option is read by one of the two formats.
        bare(upright).save(folder / name, quality=95, subsampling=0, compress_level=4)
    size = upright.size
    tiles, levels = None, 0
    if large:
        drawn = (folder / name, "JPEG" if kind == "JPEG" else "PNG") if name else (source, kind)
        tiles, levels = pyramid.tiles(*drawn, folder, page)
    thumbnail = save_thumbnail(upright, folder, page)
    return reply(page, total, size, thumbnail, upright=name, tiles=tiles, levels=levels, **deep)


def huge(
    opened: Image.Image, source: Path, folder: Path, kind: str, page: int, total: int
) -> Reply:
    """The files of a picture that is read row by row and never in memory as a whole."""
    if kind == "BMP":
        raise Refused("too_many_pixels", "A BMP of this size is not taken. Make it a TIFF.")
    turn = orientation(opened)
    profile = opened.info.get("icc_profile")
    unchanged = (
        kind in WEB
        and opened.mode in ("L", "RGB")
        and turn == 1
        and (not profile or is_srgb(profile))
        and (kind != "PNG" or png_depth(source) <= 8)
    )
    name = None if unchanged else f"{page}-upright.{'jpg' if kind == 'JPEG' else 'png'}"
    drawn, drawn_kind = source, kind
    if name:
        drawn, drawn_kind = folder / name, "JPEG" if kind == "JPEG" else "PNG"
        pyramid.upright(source, kind, drawn, page=page, turned=turn != 1)
    tiles, levels = pyramid.tiles(drawn, drawn_kind, folder, page)
    # Of a TIFF, Pillow gives the upright size.
    size = opened.size if turn < 5 or kind == "TIFF" else opened.size[::-1]
    thumbnail = save_thumbnail(pyramid.top(folder / tiles), folder, page)
    return reply(page, total, size, thumbnail, upright=name, tiles=tiles, levels=levels)


def to_upright(image: Image.Image, profile: bytes | None, turn: int) -> Image.Image:
    """`image` itself where it is upright, opaque, 8-bit sRGB already; else a converted copy."""
    result = to_srgb(image, profile) if profile else image
    if result.has_transparency_data:
        result = flatten(result)
    if result.mode not in ("1", "L", "P", "RGB", "RGBA", "LA"):
        result = result.convert("RGB")
    return result.transpose(TURNS[turn]) if turn in TURNS else result


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or the metadata is broken."""
    try:
        turn = int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # metadata is no reason to refuse a picture
        return 1
    return turn if turn in TURNS else 1


def is_srgb(profile: bytes) -> bool:
    try:
        described = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return True  # it says nothing, so the pixels are what they are
    return "srgb" in described.lower()


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Converted by its colour profile; as it is where that is sRGB or cannot be used."""
    if is_srgb(profile):
        return image
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        colours = image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")
        converted = ImageCms.profileToProfile(colours, source, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    if converted is None:
        return image
    if image.mode == "L":
        converted = converted.convert("L")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def flatten(image: Image.Image) -> Image.Image:
    """On white. `image` itself where every pixel is opaque."""
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (255, 255):
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, layers).convert("RGB")


def check_png(source: Path) -> None:
    """Walk the chunks: lengths, every CRC (Pillow skips IDAT's), an IDAT, an end, no frames."""
    seen = set()
    with source.open("rb") as file:
        file.seek(8)
        while b"IEND" not in seen:
            head = file.read(8)
            if len(head) < 8:
                raise Refused("damaged_image", "The PNG ends too early.")
            length, name = struct.unpack(">I4s", head)
            checksum = zlib.crc32(name)
            while length and (part := file.read(min(length, 2**20))):
                checksum = zlib.crc32(part, checksum)
                length -= len(part)
            crc = file.read(4)
            if length or len(crc) < 4:
                raise Refused("damaged_image", "The PNG ends too early.")
            if checksum != int.from_bytes(crc, "big"):
                raise Refused("damaged_image", "A checksum inside the PNG is wrong: it is damaged.")
            if name == b"acTL":
                raise Refused("several_frames", "An animated PNG is not taken.")
            seen.add(name)
    if b"IDAT" not in seen:
        raise Refused("damaged_image", "The PNG holds no pixels.")


def png_depth(source: Path) -> int:
    """Bits per channel, from the header."""
    with source.open("rb") as file:
        return file.read(25)[24]
