"""Logging in, the colours of the pages, passwords and tokens."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from knox.models import AuthToken

from annotations.errors import ServiceError
from annotations.pages import sso
from annotations.pages.base import page, person, refused
from annotations.pages.forms import LoginForm, PasswordForm, TokenForm
from annotations.services import audit, people
from annotations.services.logins import address_of, count_attempt

YEAR = 365 * 24 * 3600


class LoggedLogin(LoginView):
    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        address = address_of(self.request)
        audit.note(form.get_user(), audit.Kind.LOGIN, "Logged in", address=address)
        return response


login = require_http_methods(["GET", "HEAD", "POST"])(
    LoggedLogin.as_view(
        template_name="annotations/login.html",
        authentication_form=LoginForm,
        redirect_authenticated_user=True,
        extra_context={"sso": sso.offer},
    )
)
logout = require_POST(LogoutView.as_view())


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keeps the chosen colours in a cookie and goes back to where the person was."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        target = "/"
    response = redirect(target)
    choice = request.POST.get("theme", "")
    if choice in ("light", "dark"):
        response.set_cookie("theme", choice, max_age=YEAR, samesite="Lax", httponly=True)
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def account(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":  # in a session left open, the old password could be guessed
        try:
            count_attempt(request, person(request).username)
        except ServiceError as error:
            refused(request, error)
            return redirect("pages:account")
    form = PasswordForm(person(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, form.user)
        messages.success(request, "The password was changed.")
        return redirect("pages:account")
    return _account(request, form, status=400 if form.errors else 200)


@never_cache
@require_POST
@page
def make_token(request: HttpRequest) -> HttpResponse:
    """The page that this answers with is the only place where the secret is ever shown."""
    try:
        form = TokenForm(request.POST)
        values = form.cleaned_data if form.is_valid() else {}
        _, secret = people.create_token(person(request), **values)
    except ServiceError as error:
        refused(request, error)
        return redirect("pages:account")
    return _account(request, PasswordForm(person(request)), secret=secret)


@require_POST
@page
def revoke_token(request: HttpRequest, key: str) -> HttpResponse:
    people.revoke_token(person(request), key)
    messages.success(request, "The token was revoked.")
    return redirect("pages:account")


def _account(
    request: HttpRequest, form: PasswordForm, secret: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "secret": secret,
        "tokens": AuthToken.objects.filter(user=person(request))
        .select_related("grant")
        .order_by("-created"),
    }
    return render(request, "annotations/account.html", context, status=status)
