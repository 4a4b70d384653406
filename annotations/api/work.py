"""The queue: asking for the next image, holding it, handing it back; batches and rules."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find, require
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.api.serializers_work import (
    BatchChangesSerializer,
    BatchSerializer,
    LeaseLineSerializer,
    LeaseQuery,
    LeaseSerializer,
    NewBatchSerializer,
    PlacedSerializer,
    PlaceSerializer,
    RulesChangesSerializer,
    RulesSerializer,
    SkipSerializer,
)
from annotations.models import Batch, Lease
from annotations.models.projects import Role
from annotations.selectors.projects import get_project
from annotations.selectors.work import lease_values, list_batches, list_leases
from annotations.services import work

CONFLICT: dict[int, Any] = {409: ErrorSerializer}


def _lease(request: Request, pk: int) -> Lease:
    return find(Lease.objects.select_related("project"), request.user, pk=pk)


class Leases(View):
    @endpoint(query=LeaseQuery, replies=page_of(LeaseLineSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """Who has what, or has skipped what and why. Annotators see their own."""
        rows = list_leases(request.user, get_project(request.user, pk), self.query["state"])
        found, cursor = page(rows, self.query, descending=True)
        lines = LeaseLineSerializer(found, many=True).data
        return Response({"results": lines, "next": cursor})


class LeaseView(View):
    @endpoint(body=None, replies=LeaseSerializer, errors=CONFLICT)
    def patch(self, request: Request, pk: int) -> Response:
        """The heartbeat: puts the end of the own lease off."""
        lease = work.heartbeat(request.user, _lease(request, pk))
        return Response(LeaseSerializer(lease_values(lease)).data)

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Hands the image back. Managers take it away from others, too."""
        lease = _lease(request, pk)
        if lease.user_id == request.user.pk:
            work.hand_back(request.user, lease)
        else:
            work.take_away(request.user, lease)
        return Response(status=204)


class Skip(View):
    @endpoint(body=SkipSerializer, errors=CONFLICT)
    def post(self, request: Request, pk: int) -> Response:
        """Hands the own image back for good, and says why."""
        work.skip(request.user, _lease(request, pk), **self.body)
        return Response(status=204)


class OfferAgain(View):
    @endpoint()
    def post(self, request: Request, pk: int) -> Response:
        """A skipped image comes again for the one who skipped it. Managers only."""
        work.offer_again(request.user, _lease(request, pk))
        return Response(status=204)


class Rules(View):
    administers = True

    @endpoint(replies=RulesSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """How work is given out and reviewed in the project."""
        return Response(RulesSerializer(get_project(request.user, pk)).data)

    @endpoint(body=RulesChangesSerializer, replies=RulesSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """Managers only."""
        project = work.set_rules(request.user, get_project(request.user, pk), self.body)
        return Response(RulesSerializer(project).data)


class Batches(View):
    @endpoint(query=PageQuery, replies=page_of(BatchSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The batches by id, with how far they are."""
        found, cursor = page(list_batches(request.user, get_project(request.user, pk)), self.query)
        return Response({"results": BatchSerializer(found, many=True).data, "next": cursor})

    @endpoint(body=NewBatchSerializer, replies={201: BatchSerializer}, errors=CONFLICT)
    def post(self, request: Request, pk: int) -> Response:
        """A new batch, the last in the order. Managers only."""
        project = get_project(request.user, pk)
        batch = work.make_batch(request.user, project, **self.body)
        found = list_batches(request.user, project).get(pk=batch.pk)
        return Response(BatchSerializer(found).data, status=201)


class BatchView(View):
    @endpoint(body=BatchChangesSerializer, replies=BatchSerializer, errors=CONFLICT)
    def patch(self, request: Request, pk: int) -> Response:
        """Managers only."""
        batch = find(Batch.objects.select_related("project"), request.user, pk=pk)
        work.change_batch(request.user, batch, self.body)
        found = list_batches(request.user, batch.project).get(pk=pk)
        return Response(BatchSerializer(found).data)

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Its images stay, in no batch. Managers only."""
        work.remove_batch(request.user, find(Batch.objects.all(), request.user, pk=pk))
        return Response(status=204)


class Placing(View):
    @endpoint(body=PlaceSerializer, replies=PlacedSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Puts images into a batch, or gives them a priority. Managers only."""
        project = get_project(request.user, pk)
        require(request.user, project, Role.MANAGER)
        values = dict(self.body)
        if values.get("batch") is not None:
            rows = Batch.objects.filter(project=project)
            values["batch"] = find(rows, request.user, pk=values["batch"])
        return Response({"images": work.place(request.user, project, **values)})


urlpatterns = [
    path("projects/<int:pk>/leases", Leases.as_view()),
    path("leases/<int:pk>", LeaseView.as_view()),
    path("leases/<int:pk>/skip", Skip.as_view()),
    path("leases/<int:pk>/offer_again", OfferAgain.as_view()),
    path("projects/<int:pk>/rules", Rules.as_view()),
    path("projects/<int:pk>/batches", Batches.as_view()),
    path("batches/<int:pk>", BatchView.as_view()),
    path("projects/<int:pk>/place", Placing.as_view()),
]
