"""Decodes one image after the other, as a program of its own: `python -I decoder.py`.

A request is a line of JSON on stdin, `{source, folder, type, max_pixels, seconds}`; the reply is a
line on stdout: `{width, height, upright, thumbnail}`, or `{error: [code, detail]}`. Files are
written to `folder`. It limits its own memory, CPU time, file size and open files, so that a bomb
kills this process at most; `pool.py` starts another. It imports nothing of this project.

How pixels become 8-bit sRGB, upright:
- EXIF orientation 1–8 is baked in.
- A colour profile other than sRGB is converted to sRGB (perceptual). CMYK without a profile is
  converted by Pillow's plain formula, R = (255 - C)(255 - K) / 255.
- Gray of more than 8 bits (16-bit, 32-bit, float) is stretched linearly, the image's least value to
  0 and its greatest to 255. Colour of 16 bits keeps its high byte.
- Alpha is flattened on white.
- The original bytes are what browsers draw (`upright` None) when none of that changes anything;
  else JPEG (quality 95, 4:4:4) for a JPEG, PNG for all others, without metadata.
"""

import contextlib
import io
import json
import resource
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageFile

THUMBNAIL = 320
ORIENTATION = 0x0112
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


class Refused(Exception):
    """The file is not taken: `code` and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)


def decode(source: Path, folder: Path, kind: str, max_pixels: int) -> dict[str, Any]:
    """Decode `source` once and write `upright.*` (where needed) and `thumbnail.webp` to `folder`.

    Returns `{width, height, upright: file name or None, thumbnail: file name}`; width and height
    are the upright raster's. Raises `Refused`.
    """
    if kind == "PNG":
        check_png(source)
    try:
        opened = Image.open(source, formats=[kind])
        check(opened, max_pixels)
        opened.load()
    except (Refused, MemoryError):
        raise
    except Exception:  # Pillow raises OSError, ValueError, SyntaxError, struct.error, …
        raise Refused("damaged_image", "The file is damaged: it cannot be decoded to its end.")
    upright = to_upright(opened)
    unchanged = upright is opened and kind in WEB and opened.mode in WEB[kind]
    if kind == "PNG" and unchanged:
        unchanged = png_depth(source) <= 8
    if upright.mode not in ("L", "RGB"):
        upright = upright.convert("RGB")
    name = None
    if not unchanged:
        name = "upright.jpg" if kind == "JPEG" else "upright.png"
        # Each option is read by one of the two formats.
        bare(upright).save(folder / name, quality=95, subsampling=0, compress_level=4)
    width, height = upright.size
    upright.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    bare(upright).save(folder / "thumbnail.webp", quality=80, method=2)
    return {"width": width, "height": height, "upright": name, "thumbnail": "thumbnail.webp"}


def check(image: Image.Image, max_pixels: int) -> None:
    """Refuse by the header, before a pixel is decoded."""
    width, height = image.size
    if width < 1 or height < 1:
        raise Refused("empty_image", "The image has no pixels: its width or height is 0.")
    if width * height > max_pixels:
        raise Refused(
            "too_many_pixels",
            f"The image has {width} × {height} pixels; at most {max_pixels:,} pixels are taken.",
        )
    # An MPO is a JPEG with further pictures (previews, depth) behind it: its first is the picture.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise Refused("several_frames", "The file holds several frames or pages; one is taken.")


def to_upright(image: Image.Image) -> Image.Image:
    """`image` itself where it is upright, opaque, 8-bit sRGB already; else a converted copy."""
    turn = TURNS.get(orientation(image))
    profile = image.info.get("icc_profile")
    result = stretch(image) if image.mode.startswith(("I", "F")) else image
    if profile:
        result = to_srgb(result, profile)
    if result.has_transparency_data:
        result = flatten(result)
    if result.mode not in ("1", "L", "P", "RGB", "RGBA", "LA"):
        result = result.convert("RGB")
    return result.transpose(turn) if turn is not None else result


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or the metadata is broken."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # metadata is no reason to refuse a picture
        return 1


def stretch(image: Image.Image) -> Image.Image:
    """Gray of any depth to 8 bits: least value to 0, greatest to 255; a flat image to 0."""
    values = np.asarray(image).astype(np.float32)
    values[~np.isfinite(values)] = 0
    low, high = float(values.min()), float(values.max())
    values -= low
    values *= 255 / (high - low) if high > low else 0
    return Image.fromarray(np.rint(values).astype(np.uint8))


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Converted by its colour profile; as it is where that is sRGB or cannot be used."""
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
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


def bare(image: Image.Image) -> Image.Image:
    """The same pixels, without the metadata that Pillow would write again."""
    image.info.clear()
    return image


def check_png(source: Path) -> None:
    """Walk the chunks: lengths, every CRC (Pillow skips IDAT's), an IDAT, an end, no frames."""
    data = source.read_bytes()
    position, seen = 8, set()
    while b"IEND" not in seen:
        head = data[position : position + 8]
        if len(head) < 8:
            raise Refused("damaged_image", "The PNG ends too early.")
        length, name = struct.unpack(">I4s", head)
        body = memoryview(data)[position + 4 : position + 8 + length]
        crc = data[position + 8 + length : position + 12 + length]
        if len(crc) < 4:
            raise Refused("damaged_image", "The PNG ends too early.")
        if zlib.crc32(body) != int.from_bytes(crc, "big"):
            raise Refused("damaged_image", "A checksum inside the PNG is wrong: it is damaged.")
        if name == b"acTL":
            raise Refused("several_frames", "An animated PNG is not taken.")
        seen.add(name)
        position += 12 + length
    if b"IDAT" not in seen:
        raise Refused("damaged_image", "The PNG holds no pixels.")


def png_depth(source: Path) -> int:
    """Bits per channel, from the header."""
    with source.open("rb") as file:
        return file.read(25)[24]


def limit(max_pixels: int) -> None:
    """Once, before the first image: a 100 MP image needs about four bytes × four copies."""
    for what, most in (
        (resource.RLIMIT_AS, 768 * 2**20 + 16 * max_pixels),
        (resource.RLIMIT_FSIZE, 2 * 2**30),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError):  # macOS has no limit of memory
            resource.setrlimit(what, (most, most))
    Image.MAX_IMAGE_PIXELS = None  # checked in `check`, by the limit that was asked for
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def allow_seconds(seconds: int) -> None:
    """CPU time for the next image, counted from now; past it the kernel ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> None:
    limited = False
    for line in sys.stdin:
        ask = json.loads(line)
        if not limited:
            limit(ask["max_pixels"])
            limited = True
        allow_seconds(ask["seconds"])
        try:
            reply = decode(Path(ask["source"]), Path(ask["folder"]), ask["type"], ask["max_pixels"])
        except Refused as error:
            reply = {"error": error.args}
        except MemoryError:
            reply = {"error": ["too_much_memory", "Decoding the image takes too much memory."]}
        except OSError as error:  # writing: no space, mostly
            reply = {"errno": error.errno}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
