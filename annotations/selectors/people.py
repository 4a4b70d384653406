"""Reading teams and, for staff, all people of the installation."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from knox.models import AuthToken

from annotations.access import find, require, require_staff
from annotations.models import AuditEntry, Membership, Project, ProjectTeam, Team, TeamMember, User
from annotations.models.projects import Role
from annotations.models.teams import TeamQuerySet


def list_teams(user) -> TeamQuerySet:
    """The teams that `user` sees, each with its `size`."""
    rows = Team.objects.visible_to(user).select_related("owner")
    return rows.annotate(size=Count("members"))


def get_team(user, pk: int) -> Any:
    """A team that `user` sees, with its `size`; or NotFound."""
    return find(list_teams(user), user, pk=pk)


def list_team_members(user, team: Team) -> QuerySet[TeamMember]:
    """Who is in the team: for whoever sees it."""
    return TeamMember.objects.visible_to(user).filter(team=team).select_related("user")


def team_projects(user, team: Team) -> QuerySet[ProjectTeam]:
    """Where the team is, of the projects that `user` sees."""
    return ProjectTeam.objects.visible_to(user).filter(team=team).select_related("project")


def list_project_teams(user, project: Project) -> QuerySet[ProjectTeam]:
    """The teams in a project, which every member may see, each with its `size`."""
    require(user, project, Role.ANNOTATOR)
    rows = ProjectTeam.objects.filter(project=project).select_related("team__owner", "project")
    return rows.annotate(size=Count("team__members"))


def list_people(user, *, search: str = "", state: str = "") -> QuerySet[User]:
    """Everybody, with the numbers of their `tokens` and `projects`. Staff only.

    `state`: active, inactive, or empty for both.
    """
    require_staff(user)
    rows = User.objects.all()
    if search:
        rows = rows.filter(Q(username__icontains=search) | Q(email__icontains=search))
    if state:
        rows = rows.filter(is_active=state == "active")
    now = timezone.now()
    tokens = AuthToken.objects.filter(Q(expiry=None) | Q(expiry__gt=now), user=OuterRef("pk"))
    return rows.annotate(
        tokens=_number(tokens, "user"),
        projects=_number(Membership.objects.filter(user=OuterRef("pk")), "user"),
    )


def _number(rows: QuerySet[Any], of: str) -> Any:
    counted = rows.order_by().values(of).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted), 0)


def session_counts(people: Iterable[int]) -> Counter[int]:
    """How many sessions each of these people has. Reads all that are open, in one query."""
    wanted = {str(pk): pk for pk in people}
    rows = Session.objects.filter(expire_date__gt=timezone.now()).iterator()
    owners = (session.get_decoded().get(SESSION_KEY) for session in rows)
    return Counter(wanted[owner] for owner in owners if owner in wanted)


def account_entries(user) -> QuerySet[AuditEntry]:
    """What happened to accounts, the newest first. Staff only."""
    require_staff(user)
    return AuditEntry.objects.filter(kind=AuditEntry.Kind.PERSON)
