"""What the editor opens with, and where it goes next."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.serializers_annotations import (
    NextQuery,
    NextSerializer,
    WorkspaceQuery,
    WorkspaceSerializer,
)
from annotations.api.serializers_work import PulledSerializer, PullSerializer
from annotations.selectors.projects import get_project
from annotations.selectors.work import lease_values
from annotations.selectors.workspace import next_to_label, next_to_review, workspace
from annotations.services.work import pull


class Workspace(View):
    @endpoint(query=WorkspaceQuery, replies=WorkspaceSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """All that the editor needs for one image."""
        values = workspace(
            request.user,
            pk,
            annotation_id=self.query.get("annotation"),
            status=self.query.get("status", ""),
        )
        return Response(values)


class Next(View):
    @endpoint(query=NextQuery, replies=NextSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """A look at what would come next, never the one named in `after`; nobody is given it."""
        project, after = get_project(request.user, pk), self.query.get("after")
        if self.query["mode"] == "review":
            annotation = next_to_review(request.user, project, after)
            found = annotation and {"image": annotation.image_id, "annotation": annotation.pk}
            return Response(found or {"image": None, "annotation": None})
        return Response({"image": next_to_label(request.user, project, after), "annotation": None})

    @endpoint(body=PullSerializer, replies=PulledSerializer, errors={409: ErrorSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Gives the next image to this person alone, for as long as heartbeats come."""
        project = get_project(request.user, pk)
        lease = pull(request.user, project, self.body["mode"], self.body["after"])
        values: dict[str, Any] = {"image": None, "annotation": None, "lease": None}
        if lease:
            values = {
                "image": lease.image_id,
                "annotation": lease.annotation_id,
                "lease": lease_values(lease),
            }
        return Response(values)


urlpatterns = [
    path("images/<int:pk>/workspace", Workspace.as_view()),
    path("projects/<int:pk>/next", Next.as_view()),
]
