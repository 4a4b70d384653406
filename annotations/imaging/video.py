"""Videos: some of their frames, each a JPEG (quality 95, 4:4:4) of its own.

Needs requirements/video.txt.
"""

from collections.abc import Iterator
from pathlib import Path

from annotations.imaging.frame import (
    MAX_FRAMES,
    Limits,
    Refused,
    Reply,
    TakesLong,
    reply,
    save_thumbnail,
)
from annotations.imaging.volumes import damaged, missing

DEMUXERS = {"MP4": "mov", "MATROSKA": "matroska", "AVI": "avi"}


def frames(
    source: Path, folder: Path, kind: str, limits: Limits, *, every: int, seconds: float
) -> Iterator[Reply]:
    """Every so manieth frame, or where `every` is 0 the first one of each so many seconds."""
    try:
        import av
    except ImportError:
        raise missing("Video", "video.txt")
    try:
        # The demuxer is named: others follow addresses that stand in a file.
        with av.open(str(source), format=DEMUXERS[kind]) as container:
            if not container.streams.video:
                raise Refused("empty_image", "The file holds no video.")
            if limits.at_once:
                raise TakesLong
            stream = container.streams.video[0]
            limits.size(stream.width, stream.height)
            length = float((stream.duration or 0) * (stream.time_base or 0))
            length = length or (container.duration or 0) / av.time_base
            rate = float(stream.average_rate or 0)
            count = stream.frames or round(length * rate)
            total = -(-count // every) if every else int(length / seconds) + 1
            limits.count(total)
            taken, due = 0, None
            for number, frame in enumerate(container.decode(stream)):
                at = frame.time if frame.time is not None else number / (rate or 25)
                due = at if due is None else due
                if number % every if every else at < due - 1e-6:
                    continue
                while at >= due - 1e-6:
                    due += seconds or 1
                taken += 1
                if taken > MAX_FRAMES:
                    limits.count(taken)
                limits.size(frame.width, frame.height)
                image = frame.to_image()
                if frame.rotation:
                    image = image.rotate(frame.rotation, expand=True)
                name, size = f"{number}-original.jpg", image.size
                image.save(folder / name, quality=95, subsampling=0)
                thumbnail = save_thumbnail(image, folder, number)
                yield reply(number, max(total, taken), size, thumbnail, original=name)
            if not taken:
                raise damaged("video")
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise damaged("video")
