"""What the editor opens with, and where it goes next."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.base import View, endpoint
from annotations.api.serializers_annotations import (
    NextQuery,
    NextSerializer,
    WorkspaceQuery,
    WorkspaceSerializer,
)
from annotations.selectors.projects import get_project
from annotations.selectors.workspace import next_to_label, next_to_review, workspace


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
        """The image to label or to review next; never the one named in `after`."""
        project, after = get_project(request.user, pk), self.query.get("after")
        if self.query["mode"] == "review":
            annotation = next_to_review(request.user, project, after)
            found = annotation and {"image": annotation.image_id, "annotation": annotation.pk}
            return Response(found or {"image": None, "annotation": None})
        return Response({"image": next_to_label(request.user, project, after), "annotation": None})


urlpatterns = [
    path("images/<int:pk>/workspace", Workspace.as_view()),
    path("projects/<int:pk>/next", Next.as_view()),
]
