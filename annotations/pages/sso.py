"""Signing in at the provider that the settings name: there and back again."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotations.errors import ServiceError
from annotations.pages.base import refused
from annotations.services import audit, sso
from annotations.services.logins import address_of

BACKEND = "django.contrib.auth.backends.ModelBackend"
NEXT = "sso_next"


def offer() -> str:
    """What the button on the page to log in says; nothing where there is none."""
    return settings.OIDC_NAME if sso.available() else ""


@never_cache
@require_safe
def begin(request: HttpRequest) -> HttpResponse:
    """A link, no form: our own rules let no form lead to another server."""
    if not sso.available():
        raise Http404
    target = request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        request.session[NEXT] = target
    try:
        return sso.begin(request, request.build_absolute_uri(reverse("pages:sso_callback")))
    except ServiceError as error:
        refused(request, error)
        return redirect("pages:login")


@never_cache
@require_safe
def callback(request: HttpRequest) -> HttpResponse:
    """Where the provider sends people back to."""
    if not sso.available():
        raise Http404
    target = request.session.pop(NEXT, "/")
    try:
        user = sso.end(request)
    except ServiceError as error:
        refused(request, error)
        return redirect("pages:login")
    login(request, user, BACKEND)
    what = "Logged in by single sign-on"
    audit.note(user, audit.Kind.LOGIN, what, address=address_of(request))
    messages.success(request, f"Welcome, {user.username}.")
    return redirect(target)
