"""Projects, categories and members."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.api.serializers import (
    CategoryChangesSerializer,
    CategorySerializer,
    MemberSerializer,
    NewCategorySerializer,
    NewMemberSerializer,
    NewProjectSerializer,
    ProjectChangesSerializer,
    ProjectQuery,
    ProjectSerializer,
    RoleSerializer,
)
from annotations.models import Category, Membership
from annotations.selectors.categories import list_categories
from annotations.selectors.projects import (
    get_project,
    image_counts,
    list_members,
    list_projects,
)
from annotations.services import people, projects

CONFLICT: dict[int, Any] = {409: ErrorSerializer}


def _with_counts(rows: list[Any]) -> list[Any]:
    counts = image_counts(project.pk for project in rows)
    for project in rows:
        project.counts = counts[project.pk]
    return rows


def _project(user, pk: int) -> dict[str, Any]:
    return dict(ProjectSerializer(_with_counts([get_project(user, pk)])[0]).data)


class Projects(View):
    @endpoint(query=ProjectQuery, replies=page_of(ProjectSerializer))
    def get(self, request: Request) -> Response:
        """The projects of which one is a member, the newest first."""
        rows = list_projects(request.user, archived=self.query["archived"])
        found, cursor = page(rows, self.query, descending=True)
        results = ProjectSerializer(_with_counts(found), many=True).data
        return Response({"results": results, "next": cursor})

    @endpoint(body=NewProjectSerializer, replies={201: ProjectSerializer})
    def post(self, request: Request) -> Response:
        """A new project, of which one is the owner."""
        project = projects.create_project(request.user, **self.body)
        return Response(_project(request.user, project.pk), status=201)


class Project(View):
    @endpoint(replies=ProjectSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """The project with the own role and the number of images in each status."""
        return Response(_project(request.user, pk))

    @endpoint(body=ProjectChangesSerializer, replies=ProjectSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """Managers change the guidelines, owners also the name and whether it is archived."""
        projects.update_project(request.user, get_project(request.user, pk), self.body)
        return Response(_project(request.user, pk))

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Deletes the project and all that is in it. Owners only."""
        projects.delete_project(request.user, get_project(request.user, pk))
        return Response(status=204)


class Categories(View):
    @endpoint(query=PageQuery, replies=page_of(CategorySerializer))
    def get(self, request: Request, pk: int) -> Response:
        """All categories of the project, archived ones too, by id."""
        rows = list_categories(request.user, get_project(request.user, pk))
        found, cursor = page(rows, self.query)
        return Response({"results": CategorySerializer(found, many=True).data, "next": cursor})

    @endpoint(body=NewCategorySerializer, replies={201: CategorySerializer}, errors=CONFLICT)
    def post(self, request: Request, pk: int) -> Response:
        """A new category. Managers only."""
        project = get_project(request.user, pk)
        category = projects.create_category(request.user, project, **self.body)
        return Response(CategorySerializer(category).data, status=201)


class CategoryView(View):
    @endpoint(body=CategoryChangesSerializer, replies=CategorySerializer, errors=CONFLICT)
    def patch(self, request: Request, pk: int) -> Response:
        """Managers only. `archived: false` brings a category back."""
        category = projects.update_category(request.user, self._find(request, pk), self.body)
        return Response(CategorySerializer(category).data)

    @endpoint(replies=CategorySerializer)
    def delete(self, request: Request, pk: int) -> Response:
        """Archives the category: stored regions keep it. Managers only."""
        category = projects.archive_category(request.user, self._find(request, pk))
        return Response(CategorySerializer(category).data)

    def _find(self, request: Request, pk: int) -> Category:
        return find(Category.objects.select_related("project"), request.user, pk=pk)


class Members(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(MemberSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The members of the project, which every member may see."""
        rows = list_members(request.user, get_project(request.user, pk))
        found, cursor = page(rows, self.query)
        return Response({"results": MemberSerializer(found, many=True).data, "next": cursor})

    @endpoint(body=NewMemberSerializer, replies={201: MemberSerializer}, errors=CONFLICT)
    def post(self, request: Request, pk: int) -> Response:
        """Managers add annotators and reviewers, owners everyone."""
        project = get_project(request.user, pk)
        membership = people.add_member(request.user, project, **self.body)
        return Response(MemberSerializer(membership).data, status=201)


class Member(View):
    administers = True

    @endpoint(body=RoleSerializer, replies=MemberSerializer, errors=CONFLICT)
    def patch(self, request: Request, pk: int) -> Response:
        """Gives a member another role."""
        membership = people.set_role(request.user, self._find(request, pk), self.body["role"])
        return Response(MemberSerializer(membership).data)

    @endpoint(replies={204: None}, errors=CONFLICT)
    def delete(self, request: Request, pk: int) -> Response:
        """Removes a member; everyone may leave. What the person labeled stays."""
        people.remove_member(request.user, self._find(request, pk))
        return Response(status=204)

    def _find(self, request: Request, pk: int) -> Membership:
        return find(Membership.objects.select_related("project"), request.user, pk=pk)


urlpatterns = [
    path("projects", Projects.as_view()),
    path("projects/<int:pk>", Project.as_view()),
    path("projects/<int:pk>/categories", Categories.as_view()),
    path("categories/<int:pk>", CategoryView.as_view()),
    path("projects/<int:pk>/members", Members.as_view()),
    path("members/<int:pk>", Member.as_view()),
]
