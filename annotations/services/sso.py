"""Single sign-on by OpenID Connect: the code flow with PKCE, state and nonce, done by Authlib.

A person is who the provider says by issuer and subject. The first time, one account with the same
e-mail address is taken where the provider says that it verified the address; else one is made. What
the provider says of groups gives nobody a role: projects do.
"""

import functools
import logging
import re
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.django_client import DjangoOAuth2App, OAuth
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from joserfc.errors import JoseError

from annotations.errors import Forbidden, ServiceError
from annotations.models import Identity, User
from annotations.services import audit

log = logging.getLogger(__name__)

SECONDS = 10
LEEWAY_SECONDS = 60
"""So much the clocks of the two servers may differ."""


def available() -> bool:
    return bool(settings.OIDC_ISSUER)


def begin(request: HttpRequest, callback: str) -> HttpResponse:
    """Leads to the provider. ServiceError 503 where it does not answer."""
    try:
        return _client().authorize_redirect(request, callback)
    except (requests.RequestException, RuntimeError, ValueError) as error:
        raise _unreachable(error) from error


def end(request: HttpRequest) -> User:
    """Who came back from the provider; an account is made where there is none yet.

    ServiceError: the reply is forged, late or refused (400), the provider cannot be reached (503),
    or the person may not enter (403).
    """
    client = _client()
    wanted = {
        "iss": {"essential": True, "value": settings.OIDC_ISSUER},
        "aud": {"essential": True, "value": settings.OIDC_CLIENT_ID},
        "exp": {"essential": True},
        "sub": {"essential": True},
    }
    try:
        token = client.authorize_access_token(request, claims_options=wanted, leeway=LEEWAY_SECONDS)
    except requests.RequestException as error:
        raise _unreachable(error) from error
    except (OAuthError, JoseError, ValueError, KeyError, TypeError) as error:
        log.warning("A sign-on was refused: %s: %s", type(error).__name__, error)
        raise _refused() from error
    if not token.get("userinfo"):
        raise _refused()
    return person_of(dict(token["userinfo"]))


def person_of(claims: dict[str, Any]) -> User:
    """The person of these claims, which were verified. Forbidden where they may not enter."""
    email = str(claims.get("email") or "") if claims.get("email_verified") is True else ""
    if settings.OIDC_DOMAINS and email.rpartition("@")[2].lower() not in settings.OIDC_DOMAINS:
        raise Forbidden(
            "Your address is none of those that may enter here.",
            hint="Ask whoever runs this server.",
        )
    try:
        with transaction.atomic():
            return _enter(str(claims["sub"]), email, claims)
    except IntegrityError:  # the same person came twice at once
        with transaction.atomic():
            return _enter(str(claims["sub"]), email, claims)


def _enter(subject: str, email: str, claims: dict[str, Any]) -> User:
    about = {"issuer": settings.OIDC_ISSUER, "subject": subject}
    identity = Identity.objects.select_related("user").filter(**about).first()
    person = identity.user if identity else _of_address(email)
    if person is not None and not person.is_active:
        raise Forbidden("This account is switched off.", hint="Ask whoever runs this server.")
    if person is None:
        person = User(username=_free_name(email, claims), email=email)
        person.set_unusable_password()
        person.save()
        audit.note(person, audit.Kind.PERSON, "Made an account by single sign-on")
    if identity is None:
        Identity.objects.create(user=person, **about)
    return person


def _of_address(email: str) -> User | None:
    """The one account with this address, None where there is none or more than one."""
    found = list(User.objects.filter(email__iexact=email)[:2]) if email else []
    return found[0] if len(found) == 1 else None


def _free_name(email: str, claims: dict[str, Any]) -> str:
    """A user name that nobody has, near to what the person is called elsewhere."""
    called = str(claims.get("preferred_username") or email.partition("@")[0])
    name = re.sub(r"[^\w.@+-]+", "-", called).strip("-")[:140] or "person"
    taken = set(User.objects.filter(username__startswith=name).values_list("username", flat=True))
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _client() -> DjangoOAuth2App:
    client = _registered(settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET)
    issuer = client.load_server_metadata().get("issuer")
    if issuer != settings.OIDC_ISSUER:
        raise RuntimeError(f"OIDC_ISSUER is {settings.OIDC_ISSUER}, the provider says {issuer}.")
    return client


@functools.lru_cache(maxsize=4)
def _registered(issuer: str, client_id: str, secret: str) -> DjangoOAuth2App:
    """It keeps what the provider says of itself; an unknown key makes it fetch the keys again."""
    return OAuth().register(
        "oidc",
        client_id=client_id,
        client_secret=secret or None,
        server_metadata_url=issuer.rstrip("/") + "/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": SECONDS,
            "token_endpoint_auth_method": "client_secret_basic" if secret else "none",
        },
    )


def _refused() -> ServiceError:
    return ServiceError(
        400, "sign_on_failed", "Signing in did not work.", hint="Begin again from this page."
    )


def _unreachable(error: Exception) -> ServiceError:
    log.error("The sign-on provider cannot be used: %s", error)
    return ServiceError(
        503,
        "sign_on_unreachable",
        "The sign-on provider does not answer as it should.",
        hint="Try again in a minute, or tell whoever runs this server.",
    )
