"""Who works on a project, as what."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from annotations.access import at_least, find, require
from annotations.errors import ServiceError
from annotations.models import Invitation, Membership, Team, User
from annotations.models.projects import Role
from annotations.pages.base import action, page, person, project_context, refuse_in
from annotations.pages.forms import MemberForm, RoleForm
from annotations.selectors import projects as project_selectors
from annotations.selectors.people import list_project_teams, list_teams
from annotations.services import people


@require_http_methods(["GET", "HEAD", "POST"])
@page
def members(request: HttpRequest, project_id: int) -> HttpResponse:
    least = Role.MANAGER if request.method == "POST" else Role.ANNOTATOR
    return members_page(request, project_id, least)


def members_page(
    request: HttpRequest, project_id: int, least: Role = Role.MANAGER, link: str = ""
) -> HttpResponse:
    """The members, and `link`, an invitation that was made just now."""
    context = project_context(request, project_id, "pages:members", least)
    roles = [
        (role.value, role.label)
        for role in Role
        if context["is_owner"] or not at_least(role, Role.MANAGER)
    ]
    form = MemberForm(None if link else request.POST or None, roles=roles)
    if request.method == "POST" and form.is_valid():
        try:
            added = people.add_member(person(request), context["project"], **form.cleaned_data)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            messages.success(request, f"{added.user.username} is a member now.")
            return redirect("pages:members", project_id)
    rows = list(project_selectors.list_members(person(request), context["project"]))
    owners = [row for row in rows if row.role == Role.OWNER]
    context |= {
        "form": form,
        "members": rows,
        "link": link,
        "project_teams": list(list_project_teams(person(request), context["project"])),
        "teams": _other_teams(person(request), context),
        "lent_roles": [pair for pair in roles if pair[0] != Role.OWNER],
        "invitations": _waiting(context),
        "roles": roles,
        "changeable": {row.pk for row in rows if _may_change(context, row, len(owners))},
    }
    status = 400 if form.errors else 200
    return render(request, "annotations/members.html", context, status=status)


def _waiting(context: dict) -> list[Invitation]:
    """Invitations that nobody has used, for managers."""
    rows = Invitation.objects.filter(project=context["project"], used_at=None)
    return list(rows.filter(expires_at__gt=timezone.now())) if context["can_manage"] else []


def _other_teams(user: User, context: dict) -> list[Team]:
    """Teams that could be added, for managers."""
    rows = list_teams(user).exclude(projects__project=context["project"])
    return list(rows) if context["can_manage"] else []


def _may_change(context: dict, member: Membership, owners: int) -> bool:
    if context["is_owner"]:
        return member.role != Role.OWNER or owners > 1
    return context["can_manage"] and not at_least(member.role, Role.MANAGER)


def _member(request: HttpRequest, project_id: int, member_id: int) -> Membership:
    rows = Membership.objects.select_related("project", "user")
    return find(rows, person(request), pk=member_id, project=project_id)


@action("pages:members")
def change_member(request: HttpRequest, project_id: int, member_id: int) -> None:
    member = _member(request, project_id, member_id)
    require(person(request), project_id, Role.MANAGER)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise ServiceError(400, "invalid", "Choose one of the roles.", "role")
    role = form.cleaned_data["role"]
    people.set_role(person(request), member, role)
    messages.success(request, f"{member.user.username} is {Role(role).label.lower()} now.")


@action("pages:members")
def remove_member(request: HttpRequest, project_id: int, member_id: int) -> HttpResponse | None:
    member = _member(request, project_id, member_id)
    people.remove_member(person(request), member)
    if member.user_id == person(request).pk:
        messages.success(request, "You left the project.")
        return redirect("pages:projects")
    messages.success(request, f"{member.user.username} was removed.")
    return None
