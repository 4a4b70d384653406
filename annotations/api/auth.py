"""Who am I, logging in and out, personal tokens."""

from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.middleware.csrf import get_token
from django.urls import path
from knox.models import AuthToken
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.authentication import SessionAuthentication
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page_of
from annotations.api.serializers import (
    LoginSerializer,
    MeSerializer,
    NewTokenSerializer,
    PreferencesSerializer,
    TokenSerializer,
    TokenWishSerializer,
)
from annotations.errors import ServiceError
from annotations.services import audit
from annotations.services.logins import address_of, count_attempt
from annotations.services.people import MAX_TOKENS, create_token, revoke_token, set_preferences


def _me(request: Request) -> Response:
    user: Any = request.user
    me = {"id": user.pk, "username": user.username, "csrf": get_token(request._request)}
    return Response(MeSerializer(me).data)


class Me(View):
    permission_classes = [AllowAny]

    @endpoint(replies=MeSerializer)
    def get(self, request: Request) -> Response:
        """The person logged in. Anonymous gets 401, and the CSRF cookie that `login` needs."""
        if not request.user.is_authenticated:
            get_token(request._request)
            raise NotAuthenticated
        return _me(request)


class Preferences(View):
    @endpoint(replies=PreferencesSerializer)
    def get(self, request: Request) -> Response:
        """What the person logged in wants of the editor."""
        return Response(_preferences(request.user))

    @endpoint(body=PreferencesSerializer, replies=PreferencesSerializer)
    def put(self, request: Request) -> Response:
        """Replaces it; what is left out is as usual."""
        set_preferences(request.user, self.body)
        return Response(_preferences(request.user))


def _preferences(user: Any) -> dict[str, Any]:
    return {"keys": {}, "left_handed": False} | user.preferences


class Login(View):
    permission_classes = [AllowAny]
    authentication_classes = [SessionAuthentication]

    @endpoint(
        body=LoginSerializer, replies=MeSerializer, public=True, errors={403: ErrorSerializer}
    )
    def post(self, request: Request) -> Response:
        """Begins a session. Needs the CSRF token, as every unsafe request with cookies does."""
        SessionAuthentication().enforce_csrf(request)
        count_attempt(request._request, self.body["username"])
        user = authenticate(request._request, **self.body)
        if user is None:
            raise ServiceError(400, "wrong_login", "The name or the password is wrong.")
        login(request._request, user)
        address = address_of(request._request)
        audit.note(user, audit.Kind.LOGIN, "Logged in by the API", address=address)
        request.user = user
        return _me(request)


class Logout(View):
    @endpoint()
    def post(self, request: Request) -> Response:
        """Ends the session; a token is deleted at `tokens/{key}` instead."""
        logout(request._request)
        return Response(status=204)


class Tokens(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(TokenSerializer))
    def get(self, request: Request) -> Response:
        """The own tokens, without their secrets; all on one page."""
        tokens = AuthToken.objects.filter(user=request.user).select_related("grant")
        tokens = tokens.order_by("created")[:MAX_TOKENS]
        return Response({"results": TokenSerializer(tokens, many=True).data, "next": None})

    @endpoint(body=TokenWishSerializer, replies={201: NewTokenSerializer})
    def post(self, request: Request) -> Response:
        """A new token, for `Authorization: Token …`. Its secret is shown only now."""
        token, secret = create_token(request.user, **self.body)
        return Response(TokenSerializer(token).data | {"token": secret}, status=201)


class Token(View):
    administers = True

    @endpoint()
    def delete(self, request: Request, key: str) -> Response:
        """Revokes a token: the next request with it is refused."""
        revoke_token(request.user, key)
        return Response(status=204)


urlpatterns = [
    path("me", Me.as_view()),
    path("me/preferences", Preferences.as_view()),
    path("login", Login.as_view()),
    path("logout", Logout.as_view()),
    path("tokens", Tokens.as_view()),
    path("tokens/<slug:key>", Token.as_view()),
]
