"""Teams: people who join projects and leave them together.

`Membership.role` is the best of a person's own role and those of their teams, written anew whenever
one of these changes, in the same transaction. So access asks no more than it did without teams.
Whoever owns a team decides who is in it; a project that takes a team in trusts its owner.
"""

from collections.abc import Iterable

from django.db import IntegrityError, transaction

from annotations.access import at_least, require
from annotations.errors import Conflict, Forbidden, ServiceError
from annotations.models import Membership, Project, ProjectTeam, Team, TeamMember, User
from annotations.models.projects import Role
from annotations.services import audit, work

MAX_MEMBERS = 1000
MAX_TEAMS = 100
LENT = (Role.ANNOTATOR, Role.REVIEWER, Role.MANAGER)
"""Roles that a team may have: who owns a project is always said of a person."""


# --- the team -----------------------------------------------------------------------------------
def create(user, *, name: str, installation: bool = False) -> Team:
    """A new team of `user`, or of the installation, which staff alone may make."""
    if installation and not user.is_staff:
        raise Forbidden("Only staff make teams of the whole installation.")
    owner = None if installation else user
    if Team.objects.filter(owner=owner).count() >= MAX_TEAMS:
        raise Conflict("too_many", f"There are {MAX_TEAMS} teams already.", "name")
    return _named(Team(owner=owner), name)


def rename(user, team: Team, name: str) -> Team:
    require_owner(user, team)
    return _named(team, name)


def remove(user, team: Team) -> None:
    """Its people keep the roles that they have of their own."""
    require_owner(user, team)
    with transaction.atomic():
        people = list(team.members.values_list("user", flat=True))
        projects = _locked(team.projects.values_list("project", flat=True))
        for project in projects:
            audit.note(user, audit.Kind.TEAM, f"Removed the team {team.name}", project=project)
        team.delete()
        for project in projects:
            settle(project, people)


def add_member(user, team: Team, *, username: str) -> TeamMember:
    """Puts the person of that name into the team, and so into its projects."""
    require_owner(user, team)
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise ServiceError(
            400,
            "unknown_person",
            f"There is nobody named {username}.",
            "username",
            "The name is the one that the person logs in with.",
        )
    if team.members.count() >= MAX_MEMBERS:
        raise Conflict("too_many", f"A team has at most {MAX_MEMBERS} people.", "username")
    with transaction.atomic():
        member, made = TeamMember.objects.get_or_create(team=team, user=person)
        if not made:
            raise Conflict("already_member", f"{username} is in the team already.", "username")
        _changed(user, team, person, "Added", "to")
    return member


def remove_member(user, member: TeamMember) -> None:
    """Takes a person out; everyone may leave. What comes of the team alone ends at once."""
    if member.user_id != user.pk:
        require_owner(user, member.team)
    with transaction.atomic():
        member.delete()
        _changed(user, member.team, member.user, "Removed", "from")


def require_owner(user, team: Team) -> None:
    if not may_change(user, team):
        raise Forbidden(
            "Only whoever owns the team may change it.",
            hint="Of a team of the installation, staff may.",
        )


def may_change(user, team: Team) -> bool:
    return user.is_staff or (team.owner_id is not None and team.owner_id == user.pk)


def _named(team: Team, name: str) -> Team:
    team.name = name.strip()
    if not team.name:
        raise ServiceError(400, "invalid", "A name is needed.", "name")
    try:
        with transaction.atomic():
            team.save()
    except IntegrityError:
        raise Conflict(
            "name_taken", f"There already is a team named {team.name}.", "name"
        ) from None
    return team


def _changed(user, team: Team, person: User, done: str, where: str) -> None:
    for project in _locked(team.projects.values_list("project", flat=True)):
        what = f"{done} {person.username} {where} the team {team.name}"
        audit.note(user, audit.Kind.TEAM, what, project=project)
        settle(project, [person.pk])


# --- the team in a project ----------------------------------------------------------------------
def let_in(user, project: Project, *, team: Team, role: str) -> ProjectTeam:
    """Everybody in the team has at least this role. Managers; of managers, owners."""
    _may_lend(user, project, role)
    with transaction.atomic():
        _locked([project.pk])
        entry, made = ProjectTeam.objects.get_or_create(
            team=team, project=project, defaults={"role": role}
        )
        if not made:
            raise Conflict(
                "already_member", f"{team.name} is in the project.", "team", "Change its role."
            )
        audit.note(user, audit.Kind.TEAM, f"Added the team {team.name} as {role}", project=project)
        _settle_team(entry)
    return entry


def set_role(user, entry: ProjectTeam, role: str) -> ProjectTeam:
    _may_lend(user, entry.project, entry.role, role)
    with transaction.atomic():
        _locked([entry.project_id])
        what = f"Made the team {entry.team.name} {role}, was {entry.role}"
        entry.role = role
        entry.save(update_fields=["role"])
        audit.note(user, audit.Kind.TEAM, what, project=entry.project)
        _settle_team(entry)
    return entry


def let_out(user, entry: ProjectTeam) -> None:
    """Its people keep the roles that they have of their own."""
    _may_lend(user, entry.project, entry.role)
    with transaction.atomic():
        _locked([entry.project_id])
        entry.delete()
        what = f"Removed the team {entry.team.name}"
        audit.note(user, audit.Kind.TEAM, what, project=entry.project)
        _settle_team(entry)


def _may_lend(user, project: Project, *roles: str) -> None:
    mine = require(user, project, Role.MANAGER)
    if any(Role(role) not in LENT for role in roles):
        raise ServiceError(
            400, "invalid", "A team is no owner.", "role", "Make persons owners instead."
        )
    if mine != Role.OWNER and any(role == Role.MANAGER for role in roles):
        raise Forbidden(
            "Only an owner may give a team the role of managers, or take it away.",
            hint="Ask an owner of the project.",
        )


# --- what comes of it ---------------------------------------------------------------------------
def settle(project: int, people: Iterable[int]) -> None:
    """Writes the memberships of `people` anew: the best of their own and their teams' roles.

    Inside a transaction in which the project is locked. Four queries, however many people.
    """
    people = set(people)
    lent: dict[int, Role] = {}
    rows = ProjectTeam.objects.filter(project=project, team__members__user__in=people)
    for person, role in rows.values_list("team__members__user", "role"):
        if person in people and not at_least(lent.get(person), Role(role)):
            lent[person] = Role(role)
    change, gone = [], []
    for row in Membership.objects.filter(project=project, user__in=people):
        own, team = row.own, lent.pop(row.user_id, None)
        if own is None and team is None:
            gone.append(row)
            continue
        if team is not None and not at_least(own, team):
            row.role, row.own_role = team, own or ""
        else:
            row.role, row.own_role = str(own), None
        change.append(row)
    Membership.objects.bulk_update(change, ["role", "own_role"], batch_size=500)
    Membership.objects.bulk_create(
        Membership(project_id=project, user_id=person, role=role, own_role="")
        for person, role in lent.items()
    )
    Membership.objects.filter(pk__in=[row.pk for row in gone]).delete()
    for row in gone:
        work.hand_back_all(row.user_id, project)


def _settle_team(entry: ProjectTeam) -> None:
    people = TeamMember.objects.filter(team=entry.team_id).values_list("user", flat=True)
    settle(entry.project_id, list(people))


def _locked(projects: Iterable[int]) -> list[int]:
    """These projects, locked in one order until the transaction ends."""
    rows = Project.objects.select_for_update(no_key=True).filter(pk__in=list(projects))
    return [project.pk for project in rows.order_by("pk")]


def find_team(user, project: Project, pk: int) -> Team:
    """The team that a manager asks to let in: one they see; a field of a form, so 400, not 404."""
    require(user, project, Role.MANAGER)
    team = Team.objects.visible_to(user).filter(pk=pk).first()
    if team is None:
        raise ServiceError(400, "unknown_team", "There is no such team.", "team")
    return team
