"""Is the process alive, and does all that it needs answer? For load balancers and for people."""

import logging
import threading
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotations.pages import metrics
from annotations.selectors import operations

log = logging.getLogger(__name__)

READY_SECONDS = 2
"""How long an answer about readiness holds, so that asking often costs nothing."""


@never_cache
@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """200: this process answers. It asks nothing of the database."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 when all that work needs is there, else 503; `{name: "ok" or "unreachable"}`."""
    found = _readiness.look()
    return JsonResponse(found, status=200 if set(found.values()) == {"ok"} else 503)


class _Readiness:
    """The last answer, shared by the threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._found: dict[str, str] = {}

    def look(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() - self._asked >= READY_SECONDS:
                self._found = {name: _try(name, test) for name, test in operations.CHECKS.items()}
                self._asked = time.monotonic()
            return self._found


def _try(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except Exception:  # every driver raises errors of its own; the log says why
        log.warning("Not ready: the %s does not answer", name, exc_info=True)
        return "unreachable"
    return "ok"


_readiness = _Readiness()

urlpatterns = [
    path("healthz", alive),
    path("readyz", ready),
    path("metrics", metrics.metrics),
]
