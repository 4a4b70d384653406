"""What a file is by its first bytes; its name and the sender's Content-Type say nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileType:
    name: str
    mime: str
    extension: str


JPEG = FileType("JPEG", "image/jpeg", "jpg")
PNG = FileType("PNG", "image/png", "png")
WEBP = FileType("WEBP", "image/webp", "webp")
TIFF = FileType("TIFF", "image/tiff", "tif")
BMP = FileType("BMP", "image/bmp", "bmp")
ZIP = FileType("ZIP", "application/zip", "zip")

HEAD_BYTES = 32
_STARTS = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
)


def sniff(head: bytes) -> FileType | None:
    """The type of a file that begins with `head` (HEAD_BYTES of it), None when it is not taken."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    # Two letters are too little to go by: the info header's length is checked as well.
    if head[:2] == b"BM" and head[14:18] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return BMP
    return None
