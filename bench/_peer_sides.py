"""What both sides of `bench.peer` have in common: a client, actions, and how right an export is.

An `Action` is made ready before the clock starts; its answer is checked after the clock stopped.
"""

import http.client
import io
import json
import os
import re
import secrets
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from bench import _peer_content as content
from bench._peer_content import CATEGORIES, HEIGHT, WIDTH, Ring, category_of
from tests.live import ROOT
from tests.servers import free_port

NAME = re.compile(r"picture_(\d+)\.jpg$")
IDLE = 1.0
"""Seconds after which a connection is made anew: gunicorn closes after 2."""
EXPORT_SECONDS = 1800


class Wrong(AssertionError):
    """An answer that is not what it should be."""


class Http:
    """One person's connection; the least code that a client can have."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Token {token}"}
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> bytes:
        """The reply's body. Wrong: it is none of 200 to 299."""
        if self._connection is None or time.monotonic() - self._used > IDLE:
            if self._connection:
                self._connection.close()
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=EXPORT_SECONDS
            )
        headers = self._headers | ({"Content-Type": kind} if body else {})
        try:
            self._connection.request(method, path, body or None, headers)
            reply = self._connection.getresponse()
            found = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            raise Wrong(f"{method} {path}: {error!r}") from None
        self._used = time.monotonic()
        if not 200 <= reply.status < 300:
            raise Wrong(f"{method} {path} answered {reply.status}: {found[:300]!r}")
        return found


@dataclass(frozen=True)
class Action:
    """`do` is timed; `check` gets what it returned, raises Wrong, and may remember ids.

    `after` puts things in order for the same person's next action, and is not timed.
    """

    do: Callable[[Http], Any]
    check: Callable[[Any], None]
    after: Callable[[Http], None] = lambda http: None


def picture_name(number: int) -> str:
    return f"picture_{number:05d}.jpg"


def number_of(name: str) -> int:
    found = NAME.search(name)
    if not found:
        raise Wrong(f"no picture of ours: {name}")
    return int(found[1])


def multipart(parts: Iterable[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """A form of (field, file name, content), and its Content-Type."""
    boundary = secrets.token_hex(16)
    body = bytearray()
    for name, file, data in parts:
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        body += data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return bytes(body), f"multipart/form-data; boundary={boundary}"


def same_rings(found: Sequence[Ring], wanted: Sequence[Ring]) -> bool:
    """Vertex for vertex, up to a thousandth of a pixel, in any order of the rings."""

    def key(ring: Ring) -> tuple[float, ...]:
        return tuple(ring.round(1).ravel())

    pairs = zip(sorted(found, key=key), sorted(wanted, key=key), strict=False)
    return len(found) == len(wanted) and all(
        one.shape == other.shape and np.abs(one - other).max() < 0.002 for one, other in pairs
    )


@dataclass
class Export:
    """How right an export is: images, regions, and how many of these are exactly what was sent."""

    images: int
    wanted: int
    exact: int
    annotations: int
    """So many rows; more than `wanted` where one region became several."""


def judge(data: bytes, kind: str, numbers: Iterable[int]) -> Export:
    """Reads a zip with COCO, and compares `polygons` or `masks` with what was sent."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".json"))
        coco = json.loads(archive.read(name))
    names = {one["id"]: one["name"] for one in coco["categories"]}
    rows: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in coco["images"]}
    for row in coco["annotations"]:
        rows[row["image_id"]].append(row)
    images = {number_of(one["file_name"]): rows[one["id"]] for one in coco["images"]}
    wanted = exact = 0
    for number in numbers:
        mine = images.get(number, [])
        for index, right in enumerate(_right(kind, number)):
            wanted += 1
            exact += right(mine, names, index)
    return Export(len(images), wanted, exact, len(coco["annotations"]))


def _right(kind: str, number: int) -> list[Callable[[list[dict[str, Any]], Any, int], bool]]:
    if kind == "polygons":
        return [_ring_is_there(ring) for ring in content.rings(number)]
    return [_mask_is_there(which) for which in content.mask_numbers(number)]


def _ring_is_there(ring: Ring) -> Callable[[list[dict[str, Any]], Any, int], bool]:
    def there(rows: list[dict[str, Any]], names: Any, index: int) -> bool:
        for row in rows:
            parts = row["segmentation"]
            if names[row["category_id"]] == category_of(index) and len(parts) == 1:
                found = np.reshape(parts[0], (-1, 2))
                if found.shape == ring.shape and np.abs(found - ring).max() < 0.01:
                    return True
        return False

    return there


def _mask_is_there(which: int) -> Callable[[list[dict[str, Any]], Any, int], bool]:
    def there(rows: list[dict[str, Any]], names: Any, index: int) -> bool:
        union = np.zeros((HEIGHT, WIDTH), bool)
        for row in rows:
            if names[row["category_id"]] == CATEGORIES[index]:
                union |= _decoded(row["segmentation"])
        return bool((union == content.mask(which)).all())

    return there


def _decoded(segmentation: Any) -> content.Mask:
    if isinstance(segmentation, list):
        packed = coco_mask.merge(coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH))
    elif isinstance(segmentation["counts"], list):
        packed = coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH)
    else:
        packed = segmentation
    return coco_mask.decode(packed).astype(bool)


def memory(root: int) -> float:
    """MB of a process and all that it started; what they share counts once."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def computed(root: int) -> float:
    """Seconds of processor time of a process, of all that it started and of those that ended."""
    ticks = 0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and its descendants."""
    found = [root]
    for pid in found:
        for path in Path("/proc").glob(f"{pid}/task/*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


@dataclass
class Side:
    """What both have in common. `images[kind][number]` and the like are filled by the checks."""

    people: int
    port: int = field(default_factory=free_port)
    tokens: list[str] = field(default_factory=list)
    projects: dict[str, int] = field(default_factory=dict)
    images: dict[tuple[str, int], int] = field(default_factory=dict)
    annotations: dict[tuple[str, int], int] = field(default_factory=dict)
    root: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def http(self, person: int = 0) -> Http:
        return Http(self.port, self.tokens[person])


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, not {wanted!r}")


def temporary(prefix: str) -> Path:
    """A folder on the disk of the repository, where databases keep what they would keep."""
    (ROOT / ".cache" / "peer").mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=ROOT / ".cache" / "peer"))
