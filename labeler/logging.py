"""Logs that can be followed: every request has an id; LOG_FORMAT=json makes each line an object.

The id comes in the header X-Request-ID (from a proxy, where well formed) or is made here; it goes
out in the same header and stands in every line that is logged meanwhile, also by the worker that
does what the request asked for (see labeler/celery.py).
"""

import contextvars
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="-")
_log = logging.getLogger("labeler.requests")
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "request", "request_id"}


class RequestIdMiddleware:
    """Gives each request its id and logs one line when it was answered, without its parameters."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        own = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request_id.set(own)  # until the thread's next request: Django logs after this returned
        begun = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-ID"] = own
        _log.info(
            "%s %s %s",
            request.method,
            request.path,
            response.status_code,
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "milliseconds": round(1000 * (time.perf_counter() - begun), 1),
                "user": getattr(getattr(request, "user", None), "pk", None),
            },
        )
        return response


class RequestIdFilter(logging.Filter):
    """Puts the id of the thread's request, `-` where there was none, into each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request_id, and all extras."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", "-"),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configuration(form: str, level: str) -> dict[str, Any]:
    """For logging.config. `form` is `line` (for people; without a line per request) or `json`."""
    if form not in ("line", "json"):
        raise ImproperlyConfigured(f"LOG_FORMAT is line or json, not {form!r}.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "line": {
                "format": "{asctime} {levelname} {name} [{request_id}]: {message}",
                "style": "{",
            },
            "json": {"()": JsonFormatter},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "filters": ["request_id"],
                "formatter": form,
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "labeler.requests": {"level": "INFO" if form == "json" else "WARNING"},
            # Its lines about refused requests would say the same again.
            "django.request": {"level": "ERROR" if form == "json" else "WARNING"},
        },
    }
