"""Decodes one file after the other, in a process of its own that `pool.py` starts.

A request is a line of JSON on stdin, `{source, folder, type, max_pixels, seconds, at_once, every,
every_seconds}`. Replies are lines on stdout: one for each picture of the file (`frame.py`), then
`{end: true}`; or `{error: [code, detail]}`, `{errno}`, `{long: true}` (`at_once`, and it is a
worker's). `{seconds}` says that the next line may take longer. Files are written to `folder`. With
`behind` the process leaves the processor to others from then on. `{look: source, max_pixels,
seconds}` asks for `pictures.look`.

It limits its own memory, CPU time, file size and open files, so that a bomb kills this process at
most; another one is started. Of this project it imports what stands in this folder.
"""

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from annotations.imaging import pictures
from annotations.imaging.frame import Limits, Refused, Reply, TakesLong
from annotations.imaging.pictures import VIPS_FROM

NICER = 10
CREDENTIALS = struct.Struct("3i")
"""Process, user and group, as the kernel tells them of the other side of a socket."""


def read(ask: dict[str, Any], limits: Limits) -> Iterator[Reply]:
    """The replies for each picture of the file. Raises `Refused` or `TakesLong`."""
    if "look" in ask:
        return pictures.look(Path(ask["look"]), limits)
    source, folder, kind = Path(ask["source"]), Path(ask["folder"]), ask["type"]
    if kind in pictures.KINDS:
        return pictures.read(source, folder, kind, limits)
    from annotations.imaging import video, volumes  # numpy, which pictures seldom need

    if kind == "DICOM":
        return volumes.dicom(source, folder, limits)
    if kind in ("NIFTI", "NIFTI_GZ"):
        return volumes.nifti(source, folder, limits, packed=kind == "NIFTI_GZ")
    every, seconds = ask.get("every") or 0, ask.get("every_seconds") or 0
    return video.frames(source, folder, kind, limits, every=every, seconds=seconds)


def limit(max_pixels: int) -> None:
    """Once, before the first file: a 100 MP picture needs about four bytes × four copies."""
    memory = 768 * 2**20 + 16 * min(max_pixels, VIPS_FROM)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    size = 2 * 2**30 + 4 * max_pixels
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = None  # checked in `Limits`, by the limit that was asked for
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def allow_seconds(seconds: int) -> None:
    """CPU time for the next picture, counted from now; past it the kernel ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def stand_back() -> None:
    """Leave the processor to whoever else wants it."""
    os.nice(NICER)
    with contextlib.suppress(OSError):  # Linux may weigh sessions first, and processes inside them
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(NICER))


def say(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    limited = behind = False
    for line in sys.stdin:
        ask = json.loads(line)
        if not limited:
            limit(ask["max_pixels"])
            limited = True
        if ask.get("behind") and not behind:
            stand_back()
            behind = True
        allow_seconds(ask["seconds"])

        def extend(more: int, base: int = ask["seconds"]) -> None:
            allow_seconds(base + more)
            say({"seconds": base + more})

        limits = Limits(ask["max_pixels"], bool(ask.get("at_once")), extend)
        try:
            for reply in read(ask, limits):
                say(reply)
                allow_seconds(ask["seconds"])
            say({"end": True})
        except Refused as error:
            say({"error": error.args})
        except TakesLong:
            say({"long": True})
        except MemoryError:
            say({"error": ["too_much_memory", "Decoding the image takes too much memory."]})
        except OSError as error:  # writing: no space, mostly
            say({"errno": error.errno})


def _bury(*_: object) -> None:
    """What ended decoders have computed counts as this process's children's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def serve(descriptor: int) -> None:
    """Fork a decoder for each connection of this user to the listening socket `descriptor`.

    A decoder first says its `{pid}`. It ends with its connection.
    """
    signal.signal(signal.SIGCHLD, _bury)
    listener = socket.socket(fileno=descriptor)
    Image.preinit()
    gc.collect()
    gc.freeze()
    while True:
        connection, _ = listener.accept()
        with connection:
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
            if CREDENTIALS.unpack(peer)[1] != os.getuid() or os.fork():
                continue
            listener.close()
            os.dup2(connection.fileno(), 0)
            os.dup2(connection.fileno(), 1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        say({"pid": os.getpid()})
        main()
        os._exit(0)


if __name__ == "__main__":
    main()
