"""Which JPEGs are whole for certain, without the time that decoding all of them takes.

For one scan of Huffman codes over all components (baseline, as cameras and most programs write it),
libjpeg refuses what stands in the headers, when the scan begins, and what is no marker of a scan
between its bytes. Past that it knows warnings alone, which Pillow passes over. So a file whose
markers are in order and whose first rows can be decoded is one that decodes to its end.
"""

import io
import re
from pathlib import Path

from PIL import Image

START, SCAN, END = 0xD8, 0xDA, 0xD9
BASELINE = (0xC0, 0xC1)
TABLES = (0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0))
"""Huffman codes, quantization, restarts, comments and metadata."""
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""Of any but a byte 255 of the scan's own and restarts."""
ROWS = 8
SCAN_BYTES = 2**12


def is_whole(path: Path) -> bool:
    """Whether Pillow decodes this JPEG to its end. Not: it may nevertheless."""
    data = path.read_bytes()
    at, frame = 2, 0
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            return False
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in BASELINE and not frame:
            frame = at
        elif marker == SCAN:
            break
        elif marker not in TABLES:
            return False
        at += 2 + length
    scan = at + 2 + length
    end = MARKER.search(data, scan)
    if not (frame and end and end[0][1] == END and data[at + 4] == data[frame + 9]):
        return False
    first = bytearray(data[: min(end.start(), scan + SCAN_BYTES)])
    first[frame + 5 : frame + 7] = ROWS.to_bytes(2, "big")
    first += b"\xff\xd9"
    try:
        with Image.open(io.BytesIO(first), formats=["JPEG"]) as rows:
            rows.draft(None, (1, 1))
            rows.load()
    except Exception:  # whoever decodes all of it says what is wrong
        return False
    return True
