"""Invitations, the page they lead to, and the audit log."""

import csv
from collections.abc import Iterable, Iterator
from typing import cast

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from annotations.access import find
from annotations.errors import NotFound, ServiceError
from annotations.formats.names import csv_cell
from annotations.models import AuditEntry, Invitation
from annotations.models.projects import Role
from annotations.pages.base import action, keyset, person, project_context, read
from annotations.pages.forms import InvitationForm, SignUpForm
from annotations.pages.members import members_page
from annotations.selectors.audit import list_entries
from annotations.selectors.projects import get_project
from annotations.services import audit as log
from annotations.services import invitations
from annotations.services.logins import address_of, count_attempt

PER_PAGE = 100
BACKEND = "django.contrib.auth.backends.ModelBackend"


@never_cache
@action("pages:members")
def invite(request: HttpRequest, project_id: int) -> HttpResponse:
    """The page that this answers with is the only place where the link is ever shown."""
    user = person(request)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        raise ServiceError(400, "invalid", "Choose a role and 1 to 30 days.", "role")
    project = get_project(user, project_id)
    _, secret = invitations.invite(user, project, **form.cleaned_data)
    return members_page(
        request, project_id, link=request.build_absolute_uri(f"/invitations/{secret}")
    )


@action("pages:members")
def withdraw(request: HttpRequest, project_id: int, invitation_id: int) -> None:
    rows = Invitation.objects.select_related("project")
    found = find(rows, person(request), pk=invitation_id, project=project_id)
    invitations.withdraw(person(request), found)


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, secret: str) -> HttpResponse:
    """Joins the project: with the account one has, or with a new one."""
    try:
        invitation = invitations.find(secret)
    except NotFound:
        return render(request, "annotations/invitation.html", {"invitation": None}, status=404)
    form = SignUpForm(request.POST or None)
    try:
        if request.method == "POST" and request.user.is_authenticated:
            project = invitations.accept(person(request), secret)
            messages.success(request, f"Welcome to {project.name}.")
            return redirect("pages:project", project.pk)
        if request.method == "POST" and form.is_valid():
            count_attempt(request, form.cleaned_data["username"])
            user = invitations.sign_up(secret, **form.cleaned_data)
            login(request, user, BACKEND)
            log.note(user, log.Kind.LOGIN, "Made an account", address=address_of(request))
            return redirect("pages:project", invitation.project_id)
    except ServiceError as error:
        form.add_error(error.field if error.field in form.fields else None, error.detail)
    context = {"invitation": invitation, "form": form}
    status = 400 if form.errors else 200
    return render(request, "annotations/invitation.html", context, status=status)


@read
def audit(request: HttpRequest, project_id: int) -> HttpResponse:
    """Who did what; `?format=csv` streams all of it."""
    context = project_context(request, project_id, "pages:audit", Role.OWNER)
    kind = request.GET.get("kind", "")
    kind = kind if kind in AuditEntry.Kind.values else ""
    rows = list_entries(person(request), context["project"], kind)
    if request.GET.get("format") == "csv":
        response = StreamingHttpResponse(_csv(rows.iterator()), content_type="text/csv")
        response["Content-Disposition"] = f'attachment; filename="audit-{project_id}.csv"'
        return cast(HttpResponse, response)
    found, after = keyset(rows, request.GET.get("after"), PER_PAGE, descending=True)
    context |= {
        "entries": found,
        "kinds": AuditEntry.Kind.choices,
        "kind": kind,
        "next_url": f"{request.path}?kind={kind}&after={after}" if after else "",
    }
    return render(request, "annotations/audit.html", context)


class _Echo:
    def write(self, text: str) -> str:
        return text


def _csv(rows: Iterable[AuditEntry]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(["at", "kind", "who", "what", "address"])
    for row in rows:
        cells = [row.at.isoformat(), row.kind, row.actor, row.what, row.address]
        yield writer.writerow([csv_cell(cell) for cell in cells])
