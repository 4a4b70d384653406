"""Long-lived decoder processes with limits; one that dies or hangs is replaced.

Plain subprocesses, so that they work under gunicorn's threads, in Celery's daemonic children and
in commands alike. A forked process starts its own.
"""

import contextlib
import errno
import json
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); " + (
    "from annotations.imaging.decoder import main; main()"
)
SIZE = min(4, os.cpu_count() or 1)


class BadImage(Exception):
    """The file cannot become an image: `code` and a plain sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class TakesLong(Exception):
    """The file may be good, and nobody should wait for it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture of a file. Size of the upright raster in pixels.

    `upright` None: the original bytes are upright. `number` counts the file's pictures from 0 (of a
    video: its frames), `total` says how many come. `values` and `window`: gray of more than 8 bits,
    see `frame.Deep`. `tiles`: a folder with a pyramid of so many `levels`. `original`: the picture
    as a file of its own, where it was taken out of a video.
    """

    width: int
    height: int
    upright: Path | None
    thumbnail: Path
    number: int = 0
    total: int = 1
    values: Path | None = None
    window: dict[str, Any] | None = None
    tiles: Path | None = None
    levels: int = 0
    original: Path | None = None


class Decoder:
    """One decoder process, started at its first image."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def ask(self, request: dict[str, Any], timeout: float) -> Iterator[dict[str, Any]]:
        """The replies up to the last one, which is no picture's.

        They end early when the process died or took longer than `timeout` seconds for one of them.
        """
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={"OPENBLAS_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1", "LANG": "C.UTF-8"},
            )
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        while line := self._line(timeout):
            reply: dict[str, Any] = json.loads(line)
            if "seconds" in reply:
                timeout = max(timeout, 2 * reply["seconds"])
                continue
            yield reply
            if "width" not in reply:
                return
        self.stop()

    def _line(self, timeout: float) -> bytes:
        """The next line, empty when the process ended or says nothing for `timeout` seconds."""
        assert self._process
        assert self._process.stdout
        answers = select.poll()
        answers.register(self._process.stdout, select.POLLIN)
        until = time.monotonic() + timeout
        while b"\n" not in self._unread:
            left = max(0, until - time.monotonic())
            more = (
                os.read(self._process.stdout.fileno(), 2**16) if answers.poll(1000 * left) else b""
            )
            if not more:
                return b""
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._process.wait()
            self._process = None
            self._unread = b""


_idle: "queue.LifoQueue[Decoder]" = queue.LifoQueue()


def _fill() -> None:
    """A new set of (not yet started) decoders. After a fork the parent's are left to the parent."""
    global _idle
    _idle = queue.LifoQueue()
    for _ in range(SIZE):
        _idle.put(Decoder())


_fill()
os.register_at_fork(after_in_child=_fill)


def decode(source: Path, folder: Path, kind: str, *, max_pixels: int, seconds: int = 60) -> Decoded:
    """The one picture of a file, as in `frames`. `BadImage` where it holds several."""
    found = list(frames(source, folder, kind, max_pixels=max_pixels, seconds=seconds))
    if len(found) > 1:
        raise BadImage("several_frames", "The file holds several frames or pages; one is taken.")
    return found[0]


def frames(
    source: Path,
    folder: Path,
    kind: str,
    *,
    max_pixels: int,
    seconds: int = 60,
    at_once: bool = False,
    every: int = 0,
    every_seconds: float = 1.0,
) -> Iterator[Decoded]:
    """Decode `source`, a file of type `kind` (a `FileType.name`), into files in `folder`.

    `every` so manieth frame of a video is taken, or one in `every_seconds`. Waits for a free
    decoder. Raises `BadImage`; `TakesLong` only `at_once`; OSError when a file cannot be written.
    """
    request = {
        "source": str(source),
        "folder": str(folder),
        "type": kind,
        "max_pixels": max_pixels,
        "seconds": seconds,
        "at_once": at_once,
        "every": every,
        "every_seconds": every_seconds,
    }
    idle = _idle
    decoder = idle.get()
    ended = False
    try:
        for reply in decoder.ask(request, timeout=2 * seconds):
            if "width" in reply:
                yield _decoded(reply, folder)
                continue
            ended = True
            _raise(reply)
    finally:
        if not ended:
            decoder.stop()
        idle.put(decoder)
    if not ended:
        raise BadImage("decoder_stopped", "The image could not be decoded within the limits.")


def _raise(reply: dict[str, Any]) -> None:
    """What the last reply says went wrong, if anything."""
    if "error" in reply:
        raise BadImage(*reply["error"])
    if "long" in reply:
        raise TakesLong
    if "errno" in reply:
        code = reply["errno"] or errno.EIO
        raise OSError(code, os.strerror(code))


def _decoded(reply: dict[str, Any], folder: Path) -> Decoded:
    paths = ("upright", "thumbnail", "values", "tiles", "original")
    found = {name: folder / reply[name] if reply[name] else None for name in paths}
    return Decoded(**(reply | found))
