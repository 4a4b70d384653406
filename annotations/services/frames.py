"""Which frames of a video become images."""

from collections.abc import Mapping
from dataclasses import dataclass

from annotations.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a video: every so manieth one, or where that is 0 one in so many seconds."""

    every: int = 0
    seconds: float = 1.0


PER_SECOND = Sampling()


def sampling_of(data: Mapping[str, str]) -> Sampling:
    """The frames that an upload form asks for: `every` or `seconds`, not both. ServiceError 400."""
    every, seconds = data.get("every", ""), data.get("seconds", "")
    if every and seconds:
        raise ServiceError(400, "invalid", "Give every or seconds, not both.", field="seconds")
    if not every and not seconds:
        return PER_SECOND
    if every:
        if not (every.isascii() and every.isdigit() and 1 <= len(every) <= 9 and int(every)):
            raise ServiceError(400, "invalid", "This is a whole number from 1.", field="every")
        return Sampling(every=int(every))
    try:
        value = float(seconds)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 86_400:
        raise ServiceError(400, "invalid", "This is a number from 0.001 to 86400.", field="seconds")
    return Sampling(seconds=value)
