"""Teams, who is in them, and teams in projects."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from annotations.access import find, require
from annotations.errors import ServiceError
from annotations.models import ProjectTeam, TeamMember
from annotations.models.projects import Role
from annotations.pages.base import action, page, person, read, refuse_in, refused
from annotations.pages.forms import LentTeamForm, RoleForm, TeamForm, TeamMemberForm
from annotations.selectors import people as selectors
from annotations.selectors.projects import get_project
from annotations.services import teams


@require_http_methods(["GET", "HEAD", "POST"])
@page
def overview(request: HttpRequest) -> HttpResponse:
    """The teams that one sees; a POST makes one."""
    user = person(request)
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            team = teams.create(user, **form.cleaned_data)
        except ServiceError as error:
            if error.status == 403:
                raise
            refuse_in(form, error)
        else:
            return redirect("pages:team", team.pk)
    context = {"form": form, "teams": selectors.list_teams(user)}
    status = 400 if form.errors else 200
    return render(request, "annotations/teams.html", context, status=status)


@read
def one(request: HttpRequest, team_id: int) -> HttpResponse:
    return _one(request, team_id, TeamMemberForm())


def _one(request: HttpRequest, team_id: int, form: TeamMemberForm) -> HttpResponse:
    user = person(request)
    team = selectors.get_team(user, team_id)
    context = {
        "team": team,
        "may_change": teams.may_change(user, team),
        "members": selectors.list_team_members(user, team),
        "projects": selectors.team_projects(user, team),
        "form": form,
    }
    status = 400 if form.errors else 200
    return render(request, "annotations/team.html", context, status=status)


@require_POST
@page
def rename(request: HttpRequest, team_id: int) -> HttpResponse:
    team = selectors.get_team(person(request), team_id)
    teams.require_owner(person(request), team)
    form = TeamForm(request.POST)
    if not form.is_valid():
        messages.error(request, str(form.errors["name"][0]))
        return redirect("pages:team", team_id)
    try:
        teams.rename(person(request), team, form.cleaned_data["name"])
    except ServiceError as error:
        refused(request, error)
    return redirect("pages:team", team_id)


@require_POST
@page
def remove(request: HttpRequest, team_id: int) -> HttpResponse:
    team = selectors.get_team(person(request), team_id)
    teams.remove(person(request), team)
    messages.success(request, f"The team {team.name} was removed.")
    return redirect("pages:teams")


@require_POST
@page
def add_member(request: HttpRequest, team_id: int) -> HttpResponse:
    team = selectors.get_team(person(request), team_id)
    teams.require_owner(person(request), team)
    form = TeamMemberForm(request.POST)
    if form.is_valid():
        try:
            teams.add_member(person(request), team, **form.cleaned_data)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            messages.success(request, f"{form.cleaned_data['username']} is in the team now.")
            return redirect("pages:team", team_id)
    return _one(request, team_id, form)


@require_POST
@page
def remove_member(request: HttpRequest, team_id: int, member_id: int) -> HttpResponse:
    rows = TeamMember.objects.select_related("team", "user")
    member = find(rows, person(request), pk=member_id, team=team_id)
    teams.remove_member(person(request), member)
    messages.success(request, f"{member.user.username} was taken out of the team.")
    if member.user_id == person(request).pk:
        return redirect("pages:teams")
    return redirect("pages:team", team_id)


@action("pages:members")
def let_in(request: HttpRequest, project_id: int) -> None:
    user = person(request)
    project = get_project(user, project_id)
    require(user, project, Role.MANAGER)
    form = LentTeamForm(request.POST)
    if not form.is_valid():
        raise ServiceError(400, "invalid", "Choose a team and a role.", "team")
    team = teams.find_team(user, project, form.cleaned_data["team"])
    teams.let_in(user, project, team=team, role=form.cleaned_data["role"])
    messages.success(request, f"{team.name} is in the project now.")


def _entry(request: HttpRequest, project_id: int, entry_id: int) -> ProjectTeam:
    rows = ProjectTeam.objects.select_related("project", "team")
    return find(rows, person(request), pk=entry_id, project=project_id)


@action("pages:members")
def set_role(request: HttpRequest, project_id: int, entry_id: int) -> None:
    entry = _entry(request, project_id, entry_id)
    form = RoleForm(request.POST)
    role = form.cleaned_data["role"] if form.is_valid() else entry.role
    teams.set_role(person(request), entry, role)
    messages.success(request, f"{entry.team.name}: {entry.get_role_display().lower()} now.")


@action("pages:members")
def let_out(request: HttpRequest, project_id: int, entry_id: int) -> None:
    entry = _entry(request, project_id, entry_id)
    teams.let_out(person(request), entry)
    messages.success(request, f"{entry.team.name} was taken out of the project.")
