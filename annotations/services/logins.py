"""Guessing passwords is slow: attempts are counted by address, and by address and name."""

import contextlib
import fcntl
import hashlib
import logging
import time
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from annotations.errors import ServiceError

log = logging.getLogger(__name__)

WINDOW_SECONDS = 60
PER_NAME = 20
PER_ADDRESS = 200  # a whole office may log in from one


def count_attempt(request: HttpRequest, username: str) -> None:
    """To be called before a password is checked. ServiceError 429 when there were too many."""
    address = address_of(request)
    for what, most in ((f"{address} {username}", PER_NAME), (address, PER_ADDRESS)):
        if _count(what) > most:
            raise ServiceError(
                429,
                "too_many_requests",
                "Too many attempts to log in.",
                hint="Try again in a minute.",
                headers={"Retry-After": str(WINDOW_SECONDS)},
            )


def address_of(request: HttpRequest) -> str:
    """The client's address; behind a proxy, the one that the proxy itself saw and added last."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_TLS else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")


def _count(what: str) -> int:
    key = hashlib.sha256(what.encode(errors="replace")).hexdigest()
    try:
        return _count_in_cache(f"login:{key}") if settings.REDIS_URL else _count_in_file(key)
    except Exception:  # a dead cache or a full disk: nobody is locked out by it
        log.warning("Attempts to log in cannot be counted", exc_info=True)
        return 1


def _count_in_cache(key: str) -> int:
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        return cache.incr(key)
    except ValueError:  # it expired between the two
        return 1


def _count_in_file(key: str) -> int:
    """Without Redis all web processes of a machine count in its spool."""
    _folder().mkdir(parents=True, exist_ok=True)
    with (_folder() / key).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        begun, count = map(float, file.read().split() or (0, 0))
        if time.time() - begun > WINDOW_SECONDS:
            begun, count = time.time(), 0
        file.truncate(0)
        file.write(f"{begun} {count + 1}")
        return int(count) + 1


def tidy() -> None:
    """Remove what was counted long ago."""
    with contextlib.suppress(FileNotFoundError):
        for path in _folder().iterdir():
            if time.time() - path.stat().st_mtime > 10 * WINDOW_SECONDS:
                path.unlink()


def _folder() -> Path:
    return Path(settings.SPOOL_DIR) / "logins"
