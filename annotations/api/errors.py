"""Every error of the API is `{code, detail, field, hint}`, never a path or a traceback."""

import logging
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

from annotations.errors import Forbidden, NotFound, ServiceError

log = logging.getLogger(__name__)
FULL = ("disk is full", "No space left on device")
"""In the words of SQLite, and of PostgreSQL."""


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """The answer to anything that a view raised."""
    refusal = as_service_error(error)
    if refusal is None:
        log.error("Unexpected error in %s", context.get("view"), exc_info=error)
        refusal = ServiceError(
            500,
            "server_error",
            "Something went wrong on the server. Nothing was changed.",
            hint="Try again; if it happens again, tell whoever runs this server.",
        )
    return Response(refusal.body, status=refusal.status, headers=refusal.headers)


@csrf_exempt  # it changes nothing, and a page would be the wrong answer
def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> JsonResponse:
    """The answer to a path under /api/ that is no route."""
    refusal = NotFound("route")
    return JsonResponse(refusal.body, status=refusal.status)


def as_service_error(error: Exception) -> ServiceError | None:
    """`error` in the words of the API; None when nobody expected it."""
    match error:
        case ServiceError():
            return error
        case exceptions.ValidationError():
            field, detail = first_error(error.detail)
            return ServiceError(400, "invalid", detail, field)
        case exceptions.APIException():
            return _from_rest_framework(error)
        case Http404():
            return NotFound()
        case PermissionDenied():
            return Forbidden("You may not do this.")
        case RequestDataTooBig():
            return ServiceError(413, "too_large", "The request is larger than this server takes.")
        case TooManyFilesSent():
            return ServiceError(
                413, "too_many_files", "There are too many files in one request.",
                hint="Send them in several requests, or as a zip.",
            )  # fmt: skip
        case TooManyFieldsSent():
            return ServiceError(413, "too_many_fields", "There are too many fields in one request.")
        case MultiPartParserError() | UnreadablePostError():
            return ServiceError(400, "invalid_body", "The body could not be read to its end.")
        case SuspiciousOperation():
            return ServiceError(400, "invalid", "The request was refused.")
        case UnicodeEncodeError() | DataError():
            return ServiceError(400, "invalid", "A value cannot be stored.")
        case OperationalError() if any(words in str(error) for words in FULL):
            log.error("The database's disk is full: %s", error)
            return ServiceError(
                507, "no_space", "The server's disk is full. Nothing was changed.",
                hint="Tell whoever runs this server, and try again once there is room.",
            )  # fmt: skip
        case OperationalError():
            log.warning("The database did not answer: %s", error)
            return ServiceError(
                503, "busy", "The database is busy. Nothing was changed.",
                hint="Try again in a moment.", headers={"Retry-After": "2"},
            )  # fmt: skip
    return None


def _from_rest_framework(error: exceptions.APIException) -> ServiceError:
    headers: dict[str, str] = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    match error:
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            code, detail = "not_logged_in", str(error.detail)
        case exceptions.NotFound():
            return NotFound()
        case exceptions.PermissionDenied():
            code, detail = "forbidden", str(error.detail)
        case exceptions.Throttled():
            code, detail = "too_many_requests", "Too many attempts."
            headers["Retry-After"] = str(int(getattr(error, "wait", None) or 1))
        case _:
            code, detail = error.default_code, str(error.detail)
    return ServiceError(error.status_code, code, detail, headers=headers)


def first_error(detail: Any, path: str = "") -> tuple[str, str]:
    """The first of a serializer's errors as (`writes[0].category`, its words)."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            if value and isinstance(key, int):
                return first_error(value, f"{path}[{key}]")
            if value:
                here = "" if key == "non_field_errors" else str(key)
                return first_error(value, f"{path}.{here}" if path and here else path + here)
    if isinstance(detail, list | tuple):
        for index, value in enumerate(detail):
            if isinstance(value, dict | list):
                if value:
                    return first_error(value, f"{path}[{index}]")
            else:
                return path, str(value)
    return path, str(detail)
