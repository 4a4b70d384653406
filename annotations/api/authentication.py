"""Logging in through the browser's session, or with a token."""

import binascii
from hmac import compare_digest

from django.utils import timezone
from drf_spectacular.authentication import SessionScheme
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox import auth
from knox.crypto import hash_token
from knox.models import AuthToken
from knox.settings import CONSTANTS
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from annotations.errors import ServiceError
from annotations.prepared import Prepared

_TOKENS = Prepared(
    lambda key="": AuthToken.objects.filter(token_key=key).select_related("user", "grant")
)


class TokenAuthentication(auth.TokenAuthentication):
    """Knox's tokens in one query, together with their owner and what they may do.

    Knox would also look through the owner's other tokens at every request, for expired ones.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[object, AuthToken]:
        text = token.decode("utf-8", "replace")
        try:
            digest = hash_token(text)
        except (TypeError, ValueError, binascii.Error):
            raise exceptions.AuthenticationFailed("Invalid token.") from None
        for found in _TOKENS.instances(text[: CONSTANTS.TOKEN_KEY_LENGTH]):
            alive = found.expiry is None or found.expiry > timezone.now()
            if alive and compare_digest(digest, found.digest):
                return self.validate_user(found)
        raise exceptions.AuthenticationFailed("Invalid token.")


class SchemaOfToken(KnoxTokenScheme):
    """How the OpenAPI schema calls it."""

    target_class = "annotations.api.authentication.TokenAuthentication"


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
