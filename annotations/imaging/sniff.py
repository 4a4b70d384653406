"""What a file is by its first bytes; its name and the sender's Content-Type say nothing."""

import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileType:
    """`several`: a file of this type may hold more than one picture."""

    name: str
    mime: str
    extension: str
    several: bool = False


JPEG = FileType("JPEG", "image/jpeg", "jpg")
PNG = FileType("PNG", "image/png", "png")
WEBP = FileType("WEBP", "image/webp", "webp")
TIFF = FileType("TIFF", "image/tiff", "tif", several=True)
BMP = FileType("BMP", "image/bmp", "bmp")
DICOM = FileType("DICOM", "application/dicom", "dcm", several=True)
NIFTI = FileType("NIFTI", "application/octet-stream", "nii", several=True)
NIFTI_GZ = FileType("NIFTI_GZ", "application/gzip", "nii.gz", several=True)
MP4 = FileType("MP4", "video/mp4", "mp4", several=True)
MATROSKA = FileType("MATROSKA", "video/x-matroska", "mkv", several=True)
AVI = FileType("AVI", "video/x-msvideo", "avi", several=True)
ZIP = FileType("ZIP", "application/zip", "zip")

VIDEOS = (MP4, MATROSKA, AVI)
HEAD_BYTES = 1024
_STARTS = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"\x1aE\xdf\xa3", MATROSKA),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
)
_RIFF = {b"WEBP": WEBP, b"AVI ": AVI}
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"crx ")


def sniff(head: bytes) -> FileType | None:
    """The type of a file that begins with `head` (HEAD_BYTES of it), None when it is not taken."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    # Two letters are too little to go by: the info header's length is checked as well.
    if head[:2] == b"BM" and head[14:18] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return BMP
    if head[128:132] == b"DICM":
        return DICOM
    if _is_nifti(head):
        return NIFTI
    if head[:2] == b"\x1f\x8b" and _is_nifti(_unpacked(head)):
        return NIFTI_GZ
    # Pictures in the same container (AVIF, HEIC, CR3) are not taken.
    if head[4:8] == b"ftyp" and head[8:12] not in _STILL_BRANDS:
        return MP4
    return None


def _is_nifti(head: bytes) -> bool:
    """NIfTI-1 in one file (its magic ends the header of 348 bytes) or NIfTI-2, either order."""
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        return head[344:348] == b"n+1\0"
    return head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") and head[4:12] == b"n+2\0\r\n\x1a\n"


def _unpacked(head: bytes) -> bytes:
    """The first bytes of what was packed with gzip."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 352)
    except zlib.error:
        return b""
