"""Guessing passwords is slow: attempts are counted by address, and by address and name."""

import hashlib
import logging

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
    key = "login:" + hashlib.sha256(what.encode(errors="replace")).hexdigest()
    try:
        cache.add(key, 0, WINDOW_SECONDS)
        return cache.incr(key)
    except ValueError:  # it expired between the two
        return 1
    except Exception:  # whatever the cache's client raises: nobody is locked out by a dead cache
        log.warning("Attempts to log in cannot be counted", exc_info=True)
        return 1
