"""Submitting, judging and commenting on annotations."""

import uuid
from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.api.serializers_annotations import (
    AnnotationStateSerializer,
    CommentSerializer,
    NewCommentSerializer,
    ResolvedSerializer,
    RevisionSerializer,
    VerdictSerializer,
)
from annotations.api.serializers_review import (
    AcceptedSerializer,
    BaseRegionsSerializer,
    BasesSerializer,
    HistorySerializer,
    RevisionLineSerializer,
    RevisionQuery,
    StateSerializer,
)
from annotations.models import Comment
from annotations.selectors.annotations import get_annotation
from annotations.selectors.projects import get_project
from annotations.selectors.reviews import comment_values, comments_of
from annotations.selectors.versions import (
    base_regions,
    bases_of,
    history_of,
    revision_values,
    revisions_of,
    state_after,
)
from annotations.services import reviews

MOVE_ERRORS: dict[int, Any] = {409: ErrorSerializer, 412: ErrorSerializer}


class Submit(View):
    @endpoint(body=RevisionSerializer, replies=AnnotationStateSerializer, errors=MOVE_ERRORS)
    def post(self, request: Request, pk: int) -> Response:
        """Hands the own annotation in. Twice for one revision is once."""
        annotation = reviews.submit(request.user, get_annotation(request.user, pk), **self.body)
        return Response(AnnotationStateSerializer(annotation).data)


class Approve(View):
    @endpoint(body=VerdictSerializer, replies=AnnotationStateSerializer, errors=MOVE_ERRORS)
    def post(self, request: Request, pk: int) -> Response:
        """Makes a submitted annotation ground truth. Reviewers only, and not the own work."""
        annotation = reviews.approve(request.user, get_annotation(request.user, pk), **self.body)
        return Response(AnnotationStateSerializer(annotation).data)


class SendBack(View):
    @endpoint(body=VerdictSerializer, replies=AnnotationStateSerializer, errors=MOVE_ERRORS)
    def post(self, request: Request, pk: int) -> Response:
        """Asks the annotator for changes; the comment says which. Reviewers only."""
        annotation = reviews.send_back(request.user, get_annotation(request.user, pk), **self.body)
        return Response(AnnotationStateSerializer(annotation).data)


class Fix(View):
    @endpoint(body=RevisionSerializer, replies=AnnotationStateSerializer, errors=MOVE_ERRORS)
    def post(self, request: Request, pk: int) -> Response:
        """Lets a reviewer correct a submitted annotation before approving it."""
        annotation = reviews.fix(request.user, get_annotation(request.user, pk), **self.body)
        return Response(AnnotationStateSerializer(annotation).data)


class Unsampled(View):
    @endpoint(replies=AcceptedSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Approves what was submitted and not drawn for review. Managers only."""
        count = reviews.accept_unsampled(request.user, get_project(request.user, pk))
        return Response({"approved": count})


class Bases(View):
    @endpoint(replies=BasesSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """What the annotation can be compared with."""
        found = bases_of(request.user, get_annotation(request.user, pk))
        return Response(BasesSerializer({"results": found}).data)


class BaseView(View):
    @endpoint(replies=BaseRegionsSerializer)
    def get(self, request: Request, pk: int, key: str) -> Response:
        """The regions of one of them, back to front."""
        found = base_regions(request.user, get_annotation(request.user, pk), key)
        return Response({"regions": found})


class History(View):
    @endpoint(replies=HistorySerializer)
    def get(self, request: Request, pk: int, region: uuid.UUID) -> Response:
        """Every revision of the region, the oldest first: who, when and from what."""
        found = history_of(get_annotation(request.user, pk), region)
        return Response(HistorySerializer({"results": found}).data)


class Revisions(View):
    @endpoint(query=RevisionQuery, replies=page_of(RevisionLineSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """Every write of the annotation's regions, the newest first: who, when and from what."""
        rows = revisions_of(get_annotation(request.user, pk), self.query.get("region"))
        found, cursor = page(rows, self.query, descending=True)
        lines = RevisionLineSerializer([revision_values(row) for row in found], many=True)
        return Response({"results": lines.data, "next": cursor})


class RevisionView(View):
    @endpoint(replies=StateSerializer)
    def get(self, request: Request, pk: int, revision: int) -> Response:
        """All regions as they were right after that write, back to front."""
        found = state_after(get_annotation(request.user, pk), revision)
        return Response(StateSerializer({"regions": found}).data)


class Reopen(View):
    @endpoint(body=VerdictSerializer, replies=AnnotationStateSerializer, errors=MOVE_ERRORS)
    def post(self, request: Request, pk: int) -> Response:
        """Reviewers reopen what was submitted or approved; annotators take back a submission."""
        annotation = reviews.reopen(request.user, get_annotation(request.user, pk), **self.body)
        return Response(AnnotationStateSerializer(annotation).data)


class Comments(View):
    @endpoint(query=PageQuery, replies=page_of(CommentSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The comments on the annotation, the oldest first."""
        found, cursor = page(comments_of(get_annotation(request.user, pk)), self.query)
        return Response({"results": [comment_values(row) for row in found], "next": cursor})

    @endpoint(body=NewCommentSerializer, replies={201: CommentSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """A remark, at a pixel or on a region where those are given."""
        annotation = get_annotation(request.user, pk)
        comment = reviews.add_comment(request.user, annotation, **self.body)
        return Response(comment_values(comment), status=201)


class CommentView(View):
    @endpoint(body=ResolvedSerializer, replies=CommentSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """Marks a comment as dealt with, or takes that back."""
        rows = Comment.objects.select_related("author", "region")
        comment = find(rows, request.user, pk=pk)
        comment = reviews.resolve_comment(request.user, comment, **self.body)
        return Response(comment_values(comment))


urlpatterns = [
    path("annotations/<int:pk>/submit", Submit.as_view()),
    path("annotations/<int:pk>/approve", Approve.as_view()),
    path("annotations/<int:pk>/send_back", SendBack.as_view()),
    path("annotations/<int:pk>/reopen", Reopen.as_view()),
    path("annotations/<int:pk>/regions/<uuid:region>/history", History.as_view()),
    path("annotations/<int:pk>/history", Revisions.as_view()),
    path("annotations/<int:pk>/history/<int:revision>", RevisionView.as_view()),
    path("annotations/<int:pk>/fix", Fix.as_view()),
    path("annotations/<int:pk>/bases", Bases.as_view()),
    path("annotations/<int:pk>/bases/<slug:key>", BaseView.as_view()),
    path("projects/<int:pk>/accept_unsampled", Unsampled.as_view()),
    path("annotations/<int:pk>/comments", Comments.as_view()),
    path("comments/<int:pk>", CommentView.as_view()),
]
