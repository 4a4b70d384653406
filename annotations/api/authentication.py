"""Logging in through the browser's session."""

from drf_spectacular.authentication import SessionScheme
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from annotations.errors import ServiceError


class SessionAuthentication(authentication.SessionAuthentication):
    """Django's session. Anonymous gets 401, not 403; unsafe methods need the CSRF token."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied:
            raise ServiceError(
                403,
                "csrf",
                "The request does not carry this session's CSRF token.",
                hint="Send the value of `csrf` from /api/me in the X-CSRFToken header.",
            ) from None


class SchemaOfSession(SessionScheme):
    """How the OpenAPI schema calls it."""

    target_class = "annotations.api.authentication.SessionAuthentication"
