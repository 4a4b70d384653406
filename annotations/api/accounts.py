"""All people of the installation: for staff."""

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import require_staff
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.errors import NotFound
from annotations.models import User
from annotations.selectors.people import list_people, session_counts
from annotations.services import people

CONFLICT = {409: ErrorSerializer}


class AccountSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    username = serializers.CharField()
    email = serializers.CharField()
    active = serializers.BooleanField()
    staff = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    sessions = serializers.IntegerField()
    tokens = serializers.IntegerField()
    projects = serializers.IntegerField()


class PeopleQuery(PageQuery):
    search = serializers.CharField(default="", allow_blank=True, max_length=200)
    state = serializers.ChoiceField(choices=["active", "inactive"], required=False)


def _lines(found: list[User]) -> list[dict[str, Any]]:
    sessions = session_counts(person.pk for person in found)
    return [
        {
            "id": person.pk,
            "username": person.username,
            "email": person.email,
            "active": person.is_active,
            "staff": person.is_staff,
            "created_at": person.date_joined,
            "last_seen_at": person.seen,
            "sessions": sessions[person.pk],
            "tokens": person.tokens,  # type: ignore[attr-defined]  # annotated
            "projects": person.projects,  # type: ignore[attr-defined]  # annotated
        }
        for person in found
    ]


class People(View):
    @endpoint(query=PeopleQuery, replies=page_of(AccountSerializer))
    def get(self, request: Request) -> Response:
        """Everybody, with sessions and tokens that are good now. Staff only."""
        search, state = self.query["search"], self.query.get("state", "")
        rows = list_people(request.user, search=search, state=state)
        found, cursor = page(rows, self.query)
        return Response({"results": _lines(found), "next": cursor})


def _person(request: Request, pk: int) -> User:
    require_staff(request.user)
    person = list_people(request.user).filter(pk=pk).first()
    if person is None:
        raise NotFound("person")
    return person


class Deactivate(View):
    administers = True

    @endpoint(replies=AccountSerializer, errors=CONFLICT)
    def post(self, request: Request, pk: int) -> Response:
        """Ends the person's sessions and tokens at once; what they have open goes back."""
        people.switch_off(request.user, _person(request, pk))
        return Response(_lines([_person(request, pk)])[0])


class Reactivate(View):
    administers = True

    @endpoint(replies=AccountSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """The person may log in again, with new sessions and tokens."""
        people.switch_on(request.user, _person(request, pk))
        return Response(_lines([_person(request, pk)])[0])


urlpatterns = [
    path("people", People.as_view()),
    path("people/<int:pk>/deactivate", Deactivate.as_view()),
    path("people/<int:pk>/reactivate", Reactivate.as_view()),
]
