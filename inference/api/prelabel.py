"""Starting a run of a model over a project's images. The job itself: `/api/jobs/{id}`."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find, require
from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.jobs import JobSerializer
from annotations.models import Image, Project
from annotations.models.projects import Role
from annotations.selectors.jobs import get_job
from inference.selectors import get_model
from inference.services.prelabel import start_prelabel

MAX_IMAGES = 100_000


class PrelabelSerializer(StrictSerializer):
    model = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    images = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        allow_null=True,
        default=None,
        max_length=MAX_IMAGES,
        help_text="Ids; null: all images, with `status` where given.",
    )
    status = serializers.ChoiceField(Image.Status.choices, allow_blank=True, default="")
    category_map = serializers.DictField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        allow_null=True,
        default=None,
        help_text="The model's class → id of a category; null pairs equal names.",
    )
    min_score = serializers.FloatField(min_value=0, max_value=1, allow_null=True, default=None)
    min_scores = serializers.DictField(
        child=serializers.FloatField(min_value=0, max_value=1),
        default=dict,
        help_text="The model's class → its least score, in place of `min_score`.",
    )
    borders = serializers.BooleanField(
        allow_null=True,
        default=None,
        help_text="Whether borders follow the image; null: as was better when it was measured.",
    )
    preview = serializers.BooleanField(
        default=False,
        help_text="Try it on at most four of the images; the job's result holds what it would "
        "propose (`preview`), and nothing is stored.",
    )
    max_proposals = serializers.IntegerField(
        min_value=1, max_value=1000, allow_null=True, default=None, help_text="Per image."
    )


class Prelabel(View):
    @endpoint(body=PrelabelSerializer, replies={202: JobSerializer}, errors={409: ErrorSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Queues a job. Managers only; nobody's regions are touched."""
        project = find(Project.objects.all(), request.user, pk=pk)
        require(request.user, project, Role.MANAGER)
        body = dict(self.body)
        job = start_prelabel(
            request.user, project, get_model(body.pop("model"), "detector", project), **body
        )
        return Response(JobSerializer(get_job(request.user, job.pk)).data, status=202)


urlpatterns = [path("projects/<int:pk>/prelabel", Prelabel.as_view())]
