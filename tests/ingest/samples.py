"""Small files, good and bad, made on the spot."""

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image


def pixels(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """A picture that differs with `seed` and whose four corners differ."""
    rng = np.random.default_rng(seed)
    values = np.kron(rng.integers(0, 255, (height // 10, width // 10, 3)), np.ones((10, 10, 1)))
    return Image.fromarray(values.astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(seed: int = 0) -> bytes:
    return encoded(pixels(seed=seed))


def jpeg(seed: int = 0, **options) -> bytes:
    return encoded(pixels(seed=seed), "JPEG", quality=95, **options)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG with this header and these chunks between header and end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def with_chunk(data: bytes, extra: bytes) -> bytes:
    """`extra` right behind the header of the PNG `data`."""
    return data[:33] + extra + data[33:]


def opened(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


NOT_IMAGES = {
    "empty": b"",
    "html": b"<!doctype html><script>alert(1)</script>",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "psd": b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0\x01\0\x08\0\x03",
    "fits": b"SIMPLE  =                    T",
    "gd": b"\xff\xff\0\x01\0\x01\x01\xff\xff\xff\xff",
    "gif-js": b"GIF89a=1/*" + b"\0" * 20 + b"*/;alert(1)",
}

DAMAGED = {
    "truncated-jpeg": jpeg()[:-200],
    "bad-crc": png()[:-16] + b"\0\0\0\0" + png()[-12:],
    "bad-pixels": png()[:-40] + b"\0" * 20 + png()[-20:],
    "no-idat": png_of(4, 4),
    "0x0": png_of(0, 0, chunk(b"IDAT", zlib.compress(b""))),
    "ztxt-bomb": with_chunk(png(), chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 80_000_000, 9))),
    "iccp-bomb": with_chunk(png(), chunk(b"iCCP", b"k\0\0" + zlib.compress(b"\0" * 80_000_000, 9))),
    "huge-header": png_of(30000, 30000, chunk(b"IDAT", zlib.compress(b"\0" * 100))),
    "over-pixels": png_of(
        13000, 13000, chunk(b"IDAT", zlib.compress(b"\0" * 1626 * 13000, 9)), depth=1
    ),
    "animated-webp": encoded(
        pixels(), "WEBP", save_all=True, append_images=[pixels(seed=1)], duration=100
    ),
    "animated-png": encoded(
        pixels(), "PNG", save_all=True, append_images=[pixels(seed=1)], duration=100
    ),
    "cut-tiff": encoded(pixels(), "TIFF")[:-50],
    "cut-webp": encoded(pixels(), "WEBP", lossless=True)[:-30],
    "cut-bmp": encoded(pixels(), "BMP")[:-50],
}
