"""What the person logged in was told, and what they want to be told."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.base import StrictSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.models import Notification
from annotations.selectors.notifications import (
    MANY,
    list_notifications,
    notification_values,
    unread_count,
    wanted_kinds,
)
from annotations.services import notifications

Kind = Notification.Kind


class AboutProjectSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class NotificationSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    title = serializers.CharField()
    text = serializers.CharField(help_text="The reason, or what was said.")
    project = AboutProjectSerializer(allow_null=True)
    path = serializers.CharField(help_text="The page that it is about.")
    at = serializers.DateTimeField()
    read = serializers.BooleanField()


class NotificationQuery(PageQuery):
    unread = serializers.BooleanField(default=False)


class UnreadSerializer(serializers.Serializer):
    unread = serializers.IntegerField(help_text=f"{MANY} stands for so many and more.")


class ReadSerializer(StrictSerializer):
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        max_length=500,
        allow_null=True,
        help_text="null: all",
    )


class KindsSerializer(StrictSerializer):
    kinds = serializers.DictField(child=serializers.BooleanField())

    def validate_kinds(self, kinds: dict[str, bool]) -> dict[str, bool]:
        if unknown := sorted(set(kinds) - set(Kind.values)):
            raise serializers.ValidationError(f"There is no kind {unknown[0]}.")
        return kinds


class Notifications(View):
    @endpoint(query=NotificationQuery, replies=page_of(NotificationSerializer))
    def get(self, request: Request) -> Response:
        """The newest first; they are kept for 90 days."""
        rows = list_notifications(request.user, unread=self.query["unread"])
        found, cursor = page(rows, self.query, descending=True)
        return Response({"results": [notification_values(row) for row in found], "next": cursor})


class Unread(View):
    @endpoint(replies=UnreadSerializer)
    def get(self, request: Request) -> Response:
        """How many are not read."""
        return Response({"unread": unread_count(request.user)})


class Read(View):
    @endpoint(body=ReadSerializer, replies=UnreadSerializer)
    def post(self, request: Request) -> Response:
        """Marks these as read, or all."""
        notifications.mark_read(request.user, self.body["ids"])
        return Response({"unread": unread_count(request.user)})


class Kinds(View):
    @endpoint(replies=KindsSerializer)
    def get(self, request: Request) -> Response:
        """What the person wants to be told."""
        return Response({"kinds": wanted_kinds(request.user)})

    @endpoint(body=KindsSerializer, replies=KindsSerializer)
    def put(self, request: Request) -> Response:
        """Chooses that; kinds left out stay as they are."""
        notifications.choose_kinds(request.user, self.body["kinds"])
        return Response({"kinds": wanted_kinds(request.user)})


urlpatterns = [
    path("notifications", Notifications.as_view()),
    path("notifications/unread", Unread.as_view()),
    path("notifications/read", Read.as_view()),
    path("me/notifications", Kinds.as_view()),
]
