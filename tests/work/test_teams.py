"""Teams: the best of the own and the teams' roles counts, at once, and asks no more queries."""

import itertools

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotations.access import role_in
from annotations.errors import ServiceError
from annotations.models import AuditEntry, Image, Lease, Membership, Project, Team, User
from annotations.models.projects import Role
from annotations.selectors.people import list_teams
from annotations.services import invitations, people, teams, work


def refused(call, *args, **values) -> tuple[int, str]:
    with pytest.raises(ServiceError) as caught:
        call(*args, **values)
    return caught.value.status, caught.value.code


@pytest.fixture
def team(stranger) -> Team:
    """Of the stranger, who is in it."""
    team = teams.create(stranger, name="Vision")
    teams.add_member(stranger, team, username="stranger")
    return team


@pytest.fixture
def open_team(project, stranger) -> Team:
    """Of the installation, with the stranger in it."""
    staff = User.objects.create(username="staff", is_staff=True)
    team = teams.create(staff, name="Everybody", installation=True)
    teams.add_member(staff, team, username="stranger")
    return team


def test_a_team_comes_and_goes_at_once(project, image, owner, stranger, open_team, client_of):
    client, url = client_of(stranger), f"/api/projects/{project.pk}"
    assert client.get(url).status_code == 404
    entry = teams.let_in(owner, project, team=open_team, role="reviewer")
    assert client.get(url).json()["role"] == "reviewer"
    assert Image.objects.visible_to(stranger).get() == image
    lease = work.pull(stranger, project)
    assert lease is not None
    teams.set_role(owner, entry, "annotator")
    assert client.get(url).json()["role"] == "annotator"
    teams.let_out(owner, entry)
    assert client.get(url).status_code == 404
    assert not Image.objects.visible_to(stranger).exists()
    assert Lease.objects.get(pk=lease.pk).state == "returned"


def test_whoever_joins_or_leaves_the_team_joins_or_leaves_its_projects(
    make_project, owner, stranger, teammate
):
    team = teams.create(owner, name="Vision")
    here, there = make_project(), make_project()
    for project, role in ((here, "annotator"), (there, "manager")):
        teams.let_in(owner, project, team=team, role=role)
    member = teams.add_member(owner, team, username="stranger")
    assert (role_in(stranger, here), role_in(stranger, there)) == ("annotator", "manager")
    assert set(Project.objects.visible_to(stranger)) == {here, there}
    teams.remove_member(stranger, member)  # everyone may leave
    assert not Project.objects.visible_to(stranger).exists()
    teams.add_member(owner, team, username="teammate")
    assert (role_in(teammate, here), role_in(teammate, there)) == ("annotator", "manager")
    teams.remove(owner, team)
    assert (role_in(teammate, here), role_in(teammate, there)) == ("annotator", "annotator")
    assert Membership.objects.filter(user=teammate, own_role=None).count() == 2


@pytest.mark.parametrize(
    ("own", "first", "second"),
    # Every own role beside every team's, and the second team's in turn.
    [
        (own, first, [None, *teams.LENT][number % 4])
        for number, (own, first) in enumerate(
            itertools.product([None, *Role], [None, *teams.LENT]), start=1
        )
    ],
    ids=str,
)
def test_the_best_role_counts_however_it_came(project, owner, stranger, own, first, second):
    """Given in two orders and taken away in two orders."""

    def best(*roles: Role | None) -> Role | None:
        return max((r for r in roles if r), key=list(Role).index, default=None)

    made = [teams.create(owner, name=name) for name in ("One", "Two")]
    for team in made:
        teams.add_member(owner, team, username="stranger")
    lent = [(team, role) for team, role in zip(made, (first, second), strict=True) if role]

    def give_own() -> None:
        if own:
            people.add_member(owner, project, username="stranger", role=own)

    def give_teams() -> list:
        return [teams.let_in(owner, project, team=team, role=role) for team, role in lent]

    give_own()
    entries = give_teams()
    assert role_in(stranger, project) == best(own, first, second)
    for entry in entries:
        teams.let_out(owner, entry)
    assert role_in(stranger, project) == own
    if own:
        people.remove_member(owner, project.memberships.get(user=stranger))
    assert role_in(stranger, project) is None
    entries = give_teams()
    give_own()
    assert role_in(stranger, project) == best(own, first, second)
    if own:
        people.remove_member(owner, project.memberships.get(user=stranger))
    assert role_in(stranger, project) == best(first, second)


def test_who_is_here_by_a_team_is_not_removed_but_may_get_a_role(
    project, owner, stranger, open_team
):
    teams.let_in(owner, project, team=open_team, role="reviewer")
    member = project.memberships.get(user=stranger)
    assert (member.own, member.role) == (None, "reviewer")
    assert refused(people.remove_member, owner, member) == (409, "by_team")
    people.set_role(owner, member, "annotator")
    member.refresh_from_db()
    assert (member.own, member.role) == ("annotator", "reviewer")
    people.set_role(owner, member, "manager")
    member.refresh_from_db()
    assert (member.own, member.own_role, member.role) == ("manager", None, "manager")
    assert refused(people.add_member, owner, project, username="stranger", role="owner")[0] == 409


def test_an_invitation_adds_to_what_a_team_gives(project, owner, stranger, open_team):
    teams.let_in(owner, project, team=open_team, role="annotator")
    _, secret = invitations.invite(owner, project, role="reviewer", days=1)
    invitations.accept(stranger, secret)
    assert role_in(stranger, project) == "reviewer"
    assert project.memberships.get(user=stranger).own == "reviewer"


def test_who_may_change_a_team_and_lend_it(project, owner, manager, reviewer, stranger, team):
    for call in (
        lambda: teams.add_member(owner, team, username="owner"),
        lambda: teams.rename(owner, team, "Mine"),
        lambda: teams.remove(owner, team),
        lambda: teams.create(owner, name="Everybody", installation=True),
        lambda: teams.let_in(manager, project, team=team, role="manager"),
        lambda: teams.let_in(reviewer, project, team=team, role="annotator"),
    ):
        assert refused(call) == (403, "forbidden")
    assert refused(teams.let_in, stranger, project, team=team, role="annotator")[0] == 404
    assert refused(teams.let_in, owner, project, team=team, role="owner") == (400, "invalid")
    assert refused(teams.find_team, owner, project, team.pk) == (400, "unknown_team")
    assert refused(teams.create, stranger, name="vision ") == (409, "name_taken")
    entry = teams.let_in(owner, project, team=team, role="manager")
    assert refused(teams.let_out, manager, entry)[0] == 403
    assert refused(teams.let_in, owner, project, team=team, role="reviewer")[0] == 409
    assert list(list_teams(owner)) == []
    assert list_teams(stranger).get() == team
    said = AuditEntry.objects.filter(kind="team", project_id=project.pk)
    assert said.get().what == "Added the team Vision as manager"


def test_teams_cost_access_no_query(
    project, image, owner, stranger, teammate, open_team, client_of
):
    teams.let_in(owner, project, team=open_team, role="annotator")
    counts = []
    for user in (teammate, stranger):  # a role of one's own, one of the team's
        client = client_of(user)
        with CaptureQueriesContext(connection) as found:
            assert client.get(f"/api/images/{image.pk}/workspace").status_code == 200
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_large_teams_are_settled_in_few_queries(
    project, owner, open_team, django_assert_max_num_queries
):
    crowd = User.objects.bulk_create(User(username=f"person {n}") for n in range(200))
    open_team.members.bulk_create(
        open_team.members.model(team=open_team, user=user) for user in crowd
    )
    with django_assert_max_num_queries(14):
        entry = teams.let_in(owner, project, team=open_team, role="annotator")
    assert project.memberships.filter(own_role="").count() == 201
    with django_assert_max_num_queries(20):
        teams.set_role(owner, entry, "reviewer")


def test_the_pages(project, owner, stranger, browse):
    client = browse(owner)
    made = client.post("/teams", {"name": "Vision"})
    page = made.headers["Location"]
    assert client.post(f"{page}/members", {"username": "nobody"}).status_code == 400
    client.post(f"{page}/members", {"username": "stranger"})
    assert "stranger" in client.get(page).content.decode()
    team = Team.objects.get()
    members = f"/projects/{project.pk}/members"
    client.post(f"/projects/{project.pk}/teams", {"team": team.pk, "role": "reviewer"})
    assert "reviewer by a team" in client.get(members).content.decode()
    assert project.name in client.get(page).content.decode()
    assert client.post("/teams", {"name": "vision"}).status_code == 400
