"""Long-lived decoder processes with limits; one that dies or hangs is replaced.

Plain subprocesses, so that they work under gunicorn's threads, in Celery's daemonic children and
in commands alike. A forked process starts its own.
"""

import contextlib
import errno
import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DECODER = Path(__file__).with_name("decoder.py")
SIZE = min(4, os.cpu_count() or 1)


class BadImage(Exception):
    """The file cannot become an image: `code` and a plain sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Decoded:
    """Size of the upright raster in pixels; `upright` None: the original bytes are upright."""

    width: int
    height: int
    upright: Path | None
    thumbnail: Path


class Decoder:
    """One decoder process, started at its first image."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any] | None:
        """The reply, None when the process died or took longer than `timeout` seconds."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(DECODER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={"OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8"},
            )
        process = self._process
        assert process.stdin
        assert process.stdout
        watch = threading.Timer(timeout, process.kill)
        watch.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if line:
            reply: dict[str, Any] = json.loads(line)
            return reply
        self.stop()
        return None

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
    """Decode `source`, an image of type `kind` (a `FileType.name`), into files in `folder`.

    Waits for a free decoder. Raises `BadImage`; OSError when a file cannot be written.
    """
    request = {
        "source": str(source),
        "folder": str(folder),
        "type": kind,
        "max_pixels": max_pixels,
        "seconds": seconds,
    }
    idle = _idle
    decoder = idle.get()
    try:
        reply = decoder.ask(request, timeout=2 * seconds)
    except BaseException:
        decoder.stop()
        raise
    finally:
        idle.put(decoder)
    if reply is None:
        raise BadImage("decoder_stopped", "The image could not be decoded within the limits.")
    if "error" in reply:
        raise BadImage(*reply["error"])
    if "errno" in reply:
        code = reply["errno"] or errno.EIO
        raise OSError(code, os.strerror(code))
    return Decoded(
        width=reply["width"],
        height=reply["height"],
        upright=folder / reply["upright"] if reply["upright"] else None,
        thumbnail=folder / reply["thumbnail"],
    )
