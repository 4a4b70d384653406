"""Invitations, and the audit log."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find, require
from annotations.api.base import StrictSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.models import AuditEntry, Invitation
from annotations.models.projects import Role
from annotations.selectors.audit import list_entries
from annotations.selectors.projects import get_project
from annotations.services import invitations


class InvitationSerializer(serializers.ModelSerializer):
    role = serializers.ChoiceField(choices=Role.choices)
    used_by = serializers.CharField(source="used_by.username", default=None, allow_null=True)

    class Meta:
        model = Invitation
        fields = ["id", "role", "created_at", "expires_at", "used_at", "used_by"]


class NewInvitationSerializer(InvitationSerializer):
    path = serializers.CharField(help_text="Of the link; it is shown this once.")

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "path"]


class InvitationWishSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=Role.choices)
    days = serializers.IntegerField(default=7, min_value=1, max_value=invitations.MAX_DAYS)


class AuditQuery(PageQuery):
    kind = serializers.ChoiceField(choices=AuditEntry.Kind.choices, required=False)


class AuditEntrySerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=AuditEntry.Kind.choices)

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "kind", "actor", "what", "address"]


class Invitations(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(InvitationSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The invitations of the project, the newest first. Managers only."""
        project = get_project(request.user, pk)
        require(request.user, project, Role.MANAGER)
        rows = Invitation.objects.filter(project=project).select_related("used_by")
        found, cursor = page(rows, self.query, descending=True)
        lines = InvitationSerializer(found, many=True).data
        return Response({"results": lines, "next": cursor})

    @endpoint(body=InvitationWishSerializer, replies={201: NewInvitationSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """A link with which one person joins. Managers invite annotators and reviewers."""
        project = get_project(request.user, pk)
        invitation, secret = invitations.invite(request.user, project, **self.body)
        values = InvitationSerializer(invitation).data | {"path": f"/invitations/{secret}"}
        return Response(values, status=201)


class InvitationView(View):
    administers = True

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """The link stops working."""
        rows = Invitation.objects.select_related("project")
        invitations.withdraw(request.user, find(rows, request.user, pk=pk))
        return Response(status=204)


class Audit(View):
    @endpoint(query=AuditQuery, replies=page_of(AuditEntrySerializer))
    def get(self, request: Request, pk: int) -> Response:
        """Who did what in the project, and logins and tokens of its members. Owners only."""
        project = get_project(request.user, pk)
        rows = list_entries(request.user, project, self.query.get("kind", ""))
        found, cursor = page(rows, self.query, descending=True)
        lines = AuditEntrySerializer(found, many=True).data
        return Response({"results": lines, "next": cursor})


urlpatterns = [
    path("projects/<int:pk>/invitations", Invitations.as_view()),
    path("invitations/<int:pk>", InvitationView.as_view()),
    path("projects/<int:pk>/audit", Audit.as_view()),
]
