"""Training a project's models, choosing the current one, and their weights."""

from typing import Any

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find, require
from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.images import BINARY, AnyType
from annotations.api.pagination import PageQuery, page, page_of
from annotations.api.uploads import UploadView
from annotations.errors import NotFound
from annotations.models import Job, Project
from annotations.models.projects import Role
from inference.api.models import ModelSerializer, shown
from inference.models import TrainingRun
from inference.selectors import example_picture, get_trained, get_training, list_trainings
from inference.services import training as services
from inference.services.adopting import adopt
from inference.services.weights import path_of


class TrainSerializer(StrictSerializer):
    engine = serializers.CharField(default="", allow_blank=True, max_length=40)
    options = serializers.DictField(child=serializers.FloatField(), default=dict)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    prelabel = serializers.BooleanField(
        default=True, help_text="Then pre-label what nobody began, and order it."
    )


class PointSerializer(serializers.Serializer):
    done = serializers.FloatField(help_text="0…1")
    seconds = serializers.FloatField()
    loss = serializers.FloatField(allow_null=True)
    score = serializers.FloatField(allow_null=True)


class TrainingSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    job = serializers.IntegerField(source="job_id")
    state = serializers.ChoiceField(Job.State.choices, source="job.state")
    engine = serializers.CharField()
    options = serializers.DictField(child=serializers.FloatField())
    seed = serializers.IntegerField()
    prelabel = serializers.BooleanField()
    stop = serializers.BooleanField(help_text="It was asked to stop early.")
    release = serializers.IntegerField(source="release_id", allow_null=True)
    release_sha256 = serializers.CharField(allow_blank=True)
    images = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many: train, validation, held_out."
    )
    curve = PointSerializer(many=True)
    score_name = serializers.CharField(allow_blank=True)
    model = serializers.IntegerField(source="model_id", allow_null=True)
    before = serializers.JSONField(
        allow_null=True, help_text="What the current model had on the same images."
    )
    metrics = serializers.SerializerMethodField()
    examples = serializers.SerializerMethodField()
    verdict = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()

    def get_metrics(self, training: TrainingRun) -> dict[str, Any]:
        return training.model.metrics if training.model else {}

    def get_examples(self, training: TrainingRun) -> list[int]:
        """Held-out images that have a picture, by their ids in exports."""
        return [one["image"] for one in training.examples]


class Trainings(View):
    @endpoint(query=PageQuery, replies=page_of(TrainingSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The project's trainings, the newest first. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        found, after = page(list_trainings(request.user, project), self.query, descending=True)
        return Response({"results": TrainingSerializer(found, many=True).data, "next": after})

    @endpoint(
        body=TrainSerializer, replies={202: TrainingSerializer}, errors={409: ErrorSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Queues a training on what is approved. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        require(request.user, project, Role.MANAGER)
        training = services.start_training(request.user, project, **self.body)
        return Response(TrainingSerializer(training).data, status=202)


class Training(View):
    @endpoint(replies=TrainingSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(TrainingSerializer(get_training(request.user, pk)).data)


class Stop(View):
    @endpoint(replies=TrainingSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Ends the training early; the best weights so far are kept."""
        training = get_training(request.user, pk)
        services.stop_early(request.user, training)
        return Response(TrainingSerializer(get_training(request.user, pk)).data)


class PictureQuery(StrictSerializer):
    of = serializers.ChoiceField(["truth", "found"], default="found")


class Picture(View):
    """A held-out image: what is on it, or what the new model found."""

    content_negotiation_class = AnyType

    @endpoint(query=PictureQuery, replies={(200, "image/jpeg"): BINARY})
    def get(self, request: Request, pk: int, image: int) -> HttpResponse:
        """`image`: its id in exports, as in `examples`."""
        training = get_training(request.user, pk)
        content = example_picture(training, image, truth=self.query["of"] == "truth")
        response = HttpResponse(content, content_type="image/jpeg")
        response["Cache-Control"] = "private, max-age=86400"
        return response


class Weights(View):
    content_negotiation_class = AnyType

    @endpoint(replies={(200, "application/octet-stream"): BINARY})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """The weights of one of the project's models, as safetensors. Managers only."""
        model = get_trained(request.user, pk)
        file = path_of(model)
        if file is None or not file.exists():
            raise NotFound("weights file")
        name = f"{model.name}{file.suffix}"
        return FileResponse(file.open("rb"), as_attachment=True, filename=name)


class NewModelSerializer(serializers.Serializer):
    file = serializers.FileField()
    name = serializers.CharField()


class ProjectModels(UploadView):
    @endpoint(
        request={"multipart/form-data": NewModelSerializer},
        replies={201: ModelSerializer},
        errors=dict.fromkeys((409, 413, 422, 507), ErrorSerializer),
    )
    def post(self, request: Request, pk: int) -> Response:
        """Gives the project a model from a weights file. Managers only.

        safetensors; torch files only when the administrator allowed their hash.
        """
        project = find(Project.objects.all(), request.user, pk=pk)
        require(request.user, project, Role.MANAGER)
        uploads, data = self.form(request, "file", {"name"})
        model = adopt(request.user, project, uploads[0], data.get("name", ""))
        return Response(ModelSerializer(shown(model)).data, status=201)


class Use(View):
    @endpoint(replies={204: None}, errors={409: ErrorSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Makes one of the project's models the current one, whatever it measured."""
        services.use_model(request.user, get_trained(request.user, pk))
        return Response(status=204)


urlpatterns = [
    path("projects/<int:pk>/trainings", Trainings.as_view()),
    path("projects/<int:pk>/models", ProjectModels.as_view()),
    path("trainings/<int:pk>", Training.as_view()),
    path("trainings/<int:pk>/stop", Stop.as_view()),
    path("trainings/<int:pk>/images/<int:image>/picture", Picture.as_view()),
    path("models/<int:pk>/use", Use.as_view()),
    path("models/<int:pk>/weights", Weights.as_view()),
]
