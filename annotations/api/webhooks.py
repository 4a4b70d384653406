"""Webhooks of projects, and the log of what they were sent. Managers only."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find, require
from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.models import Delivery, Event, Webhook
from annotations.models.projects import Role
from annotations.selectors.projects import get_project
from annotations.services import webhooks

OFF = {409: ErrorSerializer}


class WebhookSerializer(serializers.ModelSerializer):
    events = serializers.ListField(child=serializers.ChoiceField(choices=Event.choices))

    class Meta:
        model = Webhook
        fields = ["id", "url", "events", "active", "failing_since", "created_at"]


class WebhookSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text="Signs what is sent; it is shown this once.")

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]


class NewWebhookSerializer(StrictSerializer):
    url = serializers.CharField(max_length=500)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=Event.choices), allow_empty=False, max_length=20
    )


class WebhookChangesSerializer(NewWebhookSerializer):
    url = serializers.CharField(max_length=500, required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=Event.choices),
        allow_empty=False,
        max_length=20,
        required=False,
    )
    active = serializers.BooleanField(required=False)


class DeliverySerializer(serializers.ModelSerializer):
    id = serializers.IntegerField()
    delivery = serializers.UUIDField(source="uuid", help_text="As in the header Labeler-Delivery.")
    event = serializers.CharField(help_text="One of the events, or `test`.")
    state = serializers.ChoiceField(choices=Delivery.State.choices)

    class Meta:
        model = Delivery
        fields = [
            "id", "delivery", "event", "state", "attempts", "status", "response", "error",
            "seconds", "created_at", "ended_at", "next_at", "body",
        ]  # fmt: skip


class Webhooks(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(WebhookSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The webhooks of the project."""
        project = get_project(request.user, pk)
        require(request.user, project, Role.MANAGER)
        found, cursor = page(Webhook.objects.filter(project=project), self.query)
        return Response({"results": WebhookSerializer(found, many=True).data, "next": cursor})

    @endpoint(body=NewWebhookSerializer, replies={201: WebhookSecretSerializer}, errors=OFF)
    def post(self, request: Request, pk: int) -> Response:
        """A new webhook, where whoever runs the server allows its host."""
        project = get_project(request.user, pk)
        webhook = webhooks.create(request.user, project, **self.body)
        return Response(WebhookSecretSerializer(webhook).data, status=201)


def _webhook(request: Request, pk: int) -> Webhook:
    return find(Webhook.objects.select_related("project"), request.user, pk=pk)


class WebhookView(View):
    administers = True

    @endpoint(body=WebhookChangesSerializer, replies=WebhookSerializer, errors=OFF)
    def patch(self, request: Request, pk: int) -> Response:
        """Changes it; `active` true begins anew after failures."""
        webhook = webhooks.update(request.user, _webhook(request, pk), self.body)
        return Response(WebhookSerializer(webhook).data)

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Ends it; what waits is not sent."""
        webhooks.remove(request.user, _webhook(request, pk))
        return Response(status=204)


class Secret(View):
    administers = True

    @endpoint(replies=WebhookSecretSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Another secret, which signs from now on."""
        webhook = webhooks.renew_secret(request.user, _webhook(request, pk))
        return Response(WebhookSecretSerializer(webhook).data)


class Test(View):
    administers = True

    @endpoint(replies={202: DeliverySerializer}, errors=OFF)
    def post(self, request: Request, pk: int) -> Response:
        """Sends an event `test`."""
        delivery = webhooks.send_test(request.user, _webhook(request, pk))
        return Response(DeliverySerializer(delivery).data, status=202)


class Deliveries(View):
    administers = True

    @endpoint(query=PageQuery, replies=page_of(DeliverySerializer))
    def get(self, request: Request, pk: int) -> Response:
        """What was sent and what came of it, the newest first; kept for 30 days."""
        rows = Delivery.objects.filter(webhook=_webhook(request, pk))
        found, cursor = page(rows, self.query, descending=True)
        return Response({"results": DeliverySerializer(found, many=True).data, "next": cursor})


class SendAgain(View):
    administers = True

    @endpoint(replies={202: DeliverySerializer}, errors=OFF)
    def post(self, request: Request, pk: int) -> Response:
        """Sends it once more, under the same id."""
        rows = Delivery.objects.select_related("webhook__project")
        delivery = webhooks.send_again(request.user, find(rows, request.user, pk=pk))
        return Response(DeliverySerializer(delivery).data, status=202)


urlpatterns = [
    path("projects/<int:pk>/webhooks", Webhooks.as_view()),
    path("webhooks/<int:pk>", WebhookView.as_view()),
    path("webhooks/<int:pk>/secret", Secret.as_view()),
    path("webhooks/<int:pk>/test", Test.as_view()),
    path("webhooks/<int:pk>/deliveries", Deliveries.as_view()),
    path("deliveries/<int:pk>/send_again", SendAgain.as_view()),
]
