"""Long-lived decoder processes with limits; one that dies or hangs is replaced.

Plain subprocesses, so that they work under gunicorn's threads, in Celery's daemonic children and
in commands alike; or forks of a server of decoders, where there is one. A forked process starts its
own.
"""

import contextlib
import errno
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
IMPORT = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from annotations.imaging.decoder"
PROGRAM = f"{IMPORT} import main; main()"
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1", "LANG": "C.UTF-8"}
SHARED = "LABELER_DECODERS"
"""In the environment: the abstract address (Linux) of a server of decoders, see `run_server`."""
FORK_SECONDS = 5
LOOK_SECONDS = 10
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

    `upright` None: the original bytes are upright. `thumbnail` None: it is still to be made (see
    `Looks`). `number` counts the file's pictures from 0 (of a
    video: its frames), `total` says how many come. `values` and `window`: gray of more than 8 bits,
    see `deep.Deep`. `tiles`: a folder with a pyramid of so many `levels`. `original`: the picture
    as a file of its own, where it was taken out of a video.
    """

    width: int
    height: int
    upright: Path | None
    thumbnail: Path | None
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
        self.pid = 0
        self._pipe: socket.socket | None = None
        self._kill: Callable[[], object] = bool
        self._unread = b""

    def ask(self, request: dict[str, Any], timeout: float) -> Iterator[dict[str, Any]]:
        """Its `replies`."""
        self.start()
        self.send(request)
        yield from self.replies(timeout)

    def start(self) -> None:
        """Before the first of some requests, when nothing is awaited."""
        if self._pipe is None or _is_readable(self._pipe, 0):  # it says nothing unasked: it ended
            self.stop()
            self._start()

    def send(self, request: dict[str, Any]) -> None:
        """Requests may follow each other before their replies are read: some dozens."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                self._pipe.sendall(json.dumps(request).encode() + b"\n")

    def replies(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Those to the next request, up to the last one, which is no picture's.

        They end early when the process died or took longer than `timeout` seconds for one of them.
        """
        while line := self._line(timeout):
            reply: dict[str, Any] = json.loads(line)
            if "seconds" in reply:
                timeout = max(timeout, 2 * reply["seconds"])
                continue
            yield reply
            if "width" not in reply:
                return
        self.stop()

    def _start(self) -> None:
        if address := os.environ.get(SHARED):
            with contextlib.suppress(OSError, ValueError):
                self._fork(address)
                return
            self.stop()
        self._pipe, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", PROGRAM],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
            )

        def kill() -> None:
            process.kill()
            process.wait()

        self.pid, self._kill = process.pid, kill

    def _fork(self, address: str) -> None:
        """A fork of the process that listens there. OSError, ValueError: it does not answer."""
        self._pipe = socket.socket(socket.AF_UNIX)
        self._pipe.connect(f"\0{address}")
        self.pid = json.loads(self._line(FORK_SECONDS))["pid"]
        process = os.pidfd_open(self.pid)  # the number may be another's by the time of the kill

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
            os.close(process)

        self._kill = kill

    def _line(self, timeout: float) -> bytes:
        """The next line, empty when the process ended or says nothing for `timeout` seconds."""
        if self._pipe is None:
            return b""
        until = time.monotonic() + timeout
        while b"\n" not in self._unread:
            more = b""
            if _is_readable(self._pipe, max(0, until - time.monotonic())):
                with contextlib.suppress(ConnectionResetError):
                    more = self._pipe.recv(2**16)
            if not more:
                return b""
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._pipe is not None:
            self._kill()
            self._kill = bool
            self._pipe.close()
            self._pipe = None
            self._unread = b""


def _is_readable(pipe: socket.socket, seconds: float) -> bool:
    """Whether there is something to read, or the other side is closed, within so many seconds."""
    answers = select.poll()
    answers.register(pipe, select.POLLIN)
    return bool(answers.poll(1000 * seconds))


def run_server(listener: socket.socket) -> NoReturn:
    """Become the process of which decoders are forked, by those for whom SHARED has its address.

    It has no secrets in its memory and imports the libraries once for all.
    """
    os.set_inheritable(listener.fileno(), True)
    program = f"{IMPORT} import serve; serve({listener.fileno()})"
    command = [sys.executable, "-I", "-c", program]
    os.execve(sys.executable, command, ENVIRONMENT)  # noqa: S606 (our own words, no shell)


_idle: "queue.LifoQueue[Decoder]"
_behind: "queue.LifoQueue[Decoder]"
"""One for what nobody waits for."""


def _fill() -> None:
    """A new set of (not yet started) decoders. After a fork the parent's are left to the parent."""
    global _idle, _behind
    _idle, _behind = queue.LifoQueue(), queue.LifoQueue()
    for _ in range(SIZE):
        _idle.put(Decoder())
    _behind.put(Decoder())


_fill()
os.register_at_fork(after_in_child=_fill)


def rest() -> None:
    """End the decoder for what nobody waits for, until it is needed again."""
    behind = _behind
    decoder = behind.get()
    decoder.stop()
    behind.put(decoder)


class Looks:
    """A quick look at files, one after the other while their names are still coming.

    Files are shown by `show`, then `answers` is asked for, inside `looking()`.
    """

    def __init__(self, decoder: Decoder, max_pixels: int) -> None:
        self._decoder, self._max_pixels = decoder, max_pixels
        self._shown: list[Path] = []
        self._showing = threading.Lock()

    def show(self, source: Path) -> None:
        """A JPEG. Any thread may."""
        ask = {"look": str(source), "max_pixels": self._max_pixels, "seconds": LOOK_SECONDS}
        with self._showing:
            self._decoder.send(ask)
            self._shown.append(source)

    def answers(self) -> dict[Path, Decoded]:
        """Of the pictures that are whole for certain, need no change, and lack but a thumbnail.

        What becomes of the other files, `frames` says.
        """
        found = {}
        while self._shown:
            for one in self._decoder.replies(2 * LOOK_SECONDS):
                if "width" in one:
                    found[self._shown[0]] = _decoded(one, self._shown[0].parent)
            self._shown.pop(0)
        return found

    def close(self) -> None:
        if self._shown:  # what it will say is nobody's answer any more
            self._decoder.stop()


@contextlib.contextmanager
def looking(max_pixels: int) -> Iterator[Looks]:
    """Waits for a free decoder."""
    idle = _idle
    decoder = idle.get()
    try:
        decoder.start()
        looks = Looks(decoder, max_pixels)
        try:
            yield looks
        finally:
            looks.close()
    finally:
        idle.put(decoder)


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
    behind: bool = False,
) -> Iterator[Decoded]:
    """Decode `source`, a file of type `kind` (a `FileType.name`), into files in `folder`.

    `every` so manieth frame of a video is taken, or one in `every_seconds`. Waits for a free
    decoder; `behind`: for the one that leaves the processor to others. Raises `BadImage`;
    `TakesLong` only `at_once`; OSError when a file cannot be written.
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
        "behind": behind,
    }
    idle = _behind if behind else _idle
    decoder = idle.get()
    ended = False
    try:
        for reply in decoder.ask(request, 2 * seconds):
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
