"""Teams, and teams in projects."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find
from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.api.serializers import PersonSerializer
from annotations.models import ProjectTeam, Team, TeamMember
from annotations.models.projects import Role
from annotations.selectors.people import (
    get_team,
    list_project_teams,
    list_team_members,
    list_teams,
)
from annotations.selectors.projects import get_project
from annotations.services import teams

CONFLICT = {409: ErrorSerializer}


class TeamSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(
        source="owner.username", default=None, allow_null=True, help_text="null: staff."
    )
    size = serializers.IntegerField(default=0, help_text="How many people are in it.")

    class Meta:
        model = Team
        fields = ["id", "name", "owner", "size", "created_at"]


class TeamNameSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)


class NewTeamSerializer(TeamNameSerializer):
    installation = serializers.BooleanField(
        default=False, help_text="Owned by nobody, for all projects; staff only."
    )


class TeamMemberSerializer(serializers.ModelSerializer):
    user = PersonSerializer()

    class Meta:
        model = TeamMember
        fields = ["id", "user", "created_at"]


class NewTeamMemberSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)


class ProjectTeamSerializer(serializers.ModelSerializer):
    team = TeamSerializer()
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = ProjectTeam
        fields = ["id", "team", "role", "created_at"]


class LentRoleSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=Role.choices, help_text="All but owner.")


class NewProjectTeamSerializer(LentRoleSerializer):
    team = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class Teams(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(TeamSerializer))
    def get(self, request: Request) -> Response:
        """The own teams, those one is in, and those of the installation."""
        found, cursor = page(list_teams(request.user), self.query)
        return Response({"results": TeamSerializer(found, many=True).data, "next": cursor})

    @endpoint(body=NewTeamSerializer, replies={201: TeamSerializer}, errors=CONFLICT)
    def post(self, request: Request) -> Response:
        """A new team, whose owner one is."""
        team = teams.create(request.user, **self.body)
        return Response(TeamSerializer(team).data, status=201)


class TeamView(View):
    administers = True

    @endpoint(body=TeamNameSerializer, replies=TeamSerializer, errors=CONFLICT)
    def patch(self, request: Request, pk: int) -> Response:
        """Another name."""
        team = teams.rename(request.user, get_team(request.user, pk), **self.body)
        return Response(TeamSerializer(team).data)

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Ends the team; its people keep the roles that they have of their own."""
        teams.remove(request.user, get_team(request.user, pk))
        return Response(status=204)


class TeamMembers(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(TeamMemberSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """Who is in the team."""
        rows = list_team_members(request.user, get_team(request.user, pk))
        found, cursor = page(rows, self.query)
        return Response({"results": TeamMemberSerializer(found, many=True).data, "next": cursor})

    @endpoint(body=NewTeamMemberSerializer, replies={201: TeamMemberSerializer}, errors=CONFLICT)
    def post(self, request: Request, pk: int) -> Response:
        """Puts a person into the team, and so into its projects."""
        team = get_team(request.user, pk)
        member = teams.add_member(request.user, team, **self.body)
        return Response(TeamMemberSerializer(member).data, status=201)


class TeamMemberView(View):
    administers = True

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Takes a person out, at once; everyone may leave."""
        rows = TeamMember.objects.select_related("team", "user")
        teams.remove_member(request.user, find(rows, request.user, pk=pk))
        return Response(status=204)


class ProjectTeams(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(ProjectTeamSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The teams in the project, which every member may see."""
        rows = list_project_teams(request.user, get_project(request.user, pk))
        found, cursor = page(rows, self.query)
        return Response({"results": ProjectTeamSerializer(found, many=True).data, "next": cursor})

    @endpoint(body=NewProjectTeamSerializer, replies={201: ProjectTeamSerializer}, errors=CONFLICT)
    def post(self, request: Request, pk: int) -> Response:
        """Everybody in the team has at least this role. Managers add annotators and reviewers."""
        project = get_project(request.user, pk)
        team = teams.find_team(request.user, project, self.body["team"])
        entry = teams.let_in(request.user, project, team=team, role=self.body["role"])
        return Response(ProjectTeamSerializer(entry).data, status=201)


class ProjectTeamView(View):
    administers = True

    @endpoint(body=LentRoleSerializer, replies=ProjectTeamSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """Another role for the team."""
        entry = teams.set_role(request.user, self._find(request, pk), self.body["role"])
        return Response(ProjectTeamSerializer(entry).data)

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Takes the team out; its people keep the roles that they have of their own."""
        teams.let_out(request.user, self._find(request, pk))
        return Response(status=204)

    def _find(self, request: Request, pk: int) -> ProjectTeam:
        rows = ProjectTeam.objects.select_related("project", "team__owner")
        return find(rows, request.user, pk=pk)


urlpatterns = [
    path("teams", Teams.as_view()),
    path("teams/<int:pk>", TeamView.as_view()),
    path("teams/<int:pk>/members", TeamMembers.as_view()),
    path("team_members/<int:pk>", TeamMemberView.as_view()),
    path("projects/<int:pk>/teams", ProjectTeams.as_view()),
    path("project_teams/<int:pk>", ProjectTeamView.as_view()),
]
