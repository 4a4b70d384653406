"""Models: what is installed, what runs where, and why one was refused."""

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.base import View, endpoint
from inference.models import ModelVersion
from inference.registry import ENGINES
from inference.selectors import class_names, follows_image, list_models, roles


class ModelSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    engine = serializers.CharField()
    title = serializers.CharField(help_text="The engine's, for people.")
    roles = serializers.ListField(
        child=serializers.ChoiceField(["detector", "prompt"]),
        help_text="detector: labels whole images; prompt: answers clicks and boxes.",
    )
    state = serializers.ChoiceField(ModelVersion.State.choices)
    reason = serializers.CharField(allow_blank=True, help_text="Why it cannot be used.")
    device = serializers.CharField(allow_blank=True, help_text="Where a worker last loaded it.")
    sha256 = serializers.CharField(allow_blank=True, help_text="Of the weights file.")
    classes = serializers.ListField(
        child=serializers.CharField(), help_text="Empty: it names no classes."
    )
    min_score = serializers.FloatField(help_text="What pre-labeling uses where nothing is said.")
    follows_image = serializers.BooleanField(
        help_text="Whether pre-labeling has its borders follow the image where nothing is said."
    )
    metrics = serializers.JSONField(help_text="On held-out images, of one that was trained here.")
    project = serializers.IntegerField(allow_null=True, help_text="The only one that may use it.")
    current = serializers.BooleanField(help_text="The one that its project uses.")


class ModelsSerializer(serializers.Serializer):
    results = ModelSerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="Always null: there are few.")


class Models(View):
    @endpoint(replies=ModelsSerializer)
    def get(self, request: Request) -> Response:
        """Every model, by name."""
        found = [shown(model) for model in list_models(request.user)]
        return Response({"results": found, "next": None})


def shown(model: ModelVersion) -> dict[str, Any]:
    spec = ENGINES[model.engine]
    return {
        "id": model.pk,
        "name": model.name,
        "engine": model.engine,
        "title": spec.title,
        "roles": roles(model),
        "state": model.state,
        "reason": model.reason,
        "device": "CPU" if spec.runs_in_web else model.device,
        "sha256": model.sha256,
        "classes": class_names(model),
        "min_score": spec.min_score,
        "follows_image": follows_image(model),
        "metrics": model.metrics,
        "project": model.project_id,
        "current": model.current,
    }


urlpatterns = [path("models", Models.as_view())]
