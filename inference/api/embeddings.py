"""Embeddings, made ahead of the first click, for browsers that decode."""

from django.http import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.images import AnyType, send
from inference.services import embeddings, prompting

MAX_AHEAD = 20


class EmbedSerializer(StrictSerializer):
    model = serializers.IntegerField(
        allow_null=True, default=None, min_value=1, max_value=2**63 - 1
    )
    ahead = serializers.IntegerField(
        default=0, min_value=0, max_value=MAX_AHEAD,
        help_text="How many of the images that come next are prepared too.",
    )  # fmt: skip


class EmbedStateSerializer(serializers.Serializer):
    state = serializers.ChoiceField(["ready", "queued", "not_needed"])
    model = serializers.IntegerField(help_text="The model that was meant.")
    decoder = serializers.BooleanField(help_text="There is one that browsers can run.")


class EmbeddingQuery(StrictSerializer):
    model = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class Embed(View):
    @endpoint(body=EmbedSerializer, replies=EmbedStateSerializer, errors={409: ErrorSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Asks for the image's embedding ahead of the first click."""
        asked = self.body
        return Response(prompting.embed(request.user, pk, asked["model"], asked["ahead"]))


class EmbeddingFile(View):
    """The format is described in `inference/services/embeddings.py`."""

    content_negotiation_class = AnyType

    @endpoint(
        query=EmbeddingQuery,
        replies={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        errors={409: ErrorSerializer},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        image, model = embeddings.to_send(request.user, pk, self.query["model"])
        name = embeddings.storage_name(image, model)
        return send(request, name, "application/octet-stream", image, f"embedding-{model.sha256}")


urlpatterns = [
    path("images/<int:pk>/embed", Embed.as_view()),
    path("images/<int:pk>/embedding", EmbeddingFile.as_view()),
]
