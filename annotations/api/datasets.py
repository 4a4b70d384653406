"""Data sets out and in: formats, exports, imports, the download."""

from django.http import HttpResponseBase
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.images import BINARY, AnyType, stream
from annotations.api.jobs import JobSerializer
from annotations.api.uploads import UploadView, full_name
from annotations.formats.registry import FORMATS
from annotations.models import Job, Project
from annotations.selectors import jobs as job_selectors
from annotations.selectors.projects import get_project
from annotations.services import exports, imports


class FormatSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    reads = serializers.BooleanField()
    writes = serializers.BooleanField()
    kinds = serializers.ListField(
        child=serializers.ChoiceField(Project.Kind.choices), help_text="Of projects it suits."
    )
    note = serializers.CharField()


class NewExportSerializer(StrictSerializer):
    format = serializers.CharField(max_length=40)
    status = serializers.ChoiceField(["approved", "submitted", "all"], default="approved")
    release = serializers.IntegerField(
        default=None, allow_null=True, help_text="Its id; null: of what there is now, by `status`."
    )
    images = serializers.BooleanField(default=False, help_text="Whether image files come along.")
    options = serializers.DictField(
        default=dict,
        help_text="`splits` {train, val, test}, `seed`, `stratify`, `contiguous`, `uncompressed`.",
    )


class NewImportSerializer(serializers.Serializer):
    format = serializers.CharField()
    file = serializers.FileField(help_text="A file of the format, or a zip of its folder.")

    def get_fields(self) -> dict[str, serializers.Field]:
        kind = serializers.ChoiceField(["predictions", "ground_truth"], default="predictions")
        return {**super().get_fields(), "as": kind}  # a word that Python keeps for itself


class Formats(View):
    @endpoint(replies=FormatSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(FormatSerializer(list(FORMATS.values()), many=True).data)


class Exports(View):
    @endpoint(
        body=NewExportSerializer,
        replies={202: JobSerializer},
        headers={"Idempotency-Key": "The same key again is the same export."},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Queue an export; COCO of a small project is done in the answer. Managers only."""
        project = get_project(request.user, pk)
        key = request.headers.get("Idempotency-Key", "")[:100]
        job = exports.start_export(request.user, project, key=key, **self.body)
        return Response(JobSerializer(job).data, status=202)


class Imports(UploadView):
    @endpoint(
        request={"multipart/form-data": NewImportSerializer},
        replies={201: JobSerializer, 202: JobSerializer},
        errors=dict.fromkeys((409, 413, 422, 507), ErrorSerializer),
    )
    def post(self, request: Request, pk: int) -> Response:
        """Import a data set, all of it or nothing. Managers only. A small one is done: 201."""
        project = get_project(request.user, pk)
        uploads, data = self.form(request, "file", {"format", "as"})
        job = imports.start_import(
            request.user,
            project,
            format=data.get("format", ""),
            kind=data.get("as", "predictions"),
            file=uploads[0],
            name=full_name(uploads[0]),
        )
        status = 201 if job.state == Job.State.DONE else 202
        return Response(JobSerializer(job).data, status=status)


class Download(View):
    """The file of a finished export."""

    content_negotiation_class = AnyType

    @endpoint(replies={(200, "application/zip"): BINARY}, errors={409: ErrorSerializer})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        name, shown = exports.finished_file(request.user, job_selectors.get_job(request.user, pk))
        response = stream(name, "application/zip", shown, download=True)
        response["Cache-Control"] = "private, no-cache"
        return response


urlpatterns = [
    path("formats", Formats.as_view()),
    path("projects/<int:pk>/exports", Exports.as_view()),
    path("projects/<int:pk>/imports", Imports.as_view()),
    path("jobs/<int:pk>/download", Download.as_view()),
]
