"""Jobs: progress, items, cancel, retry."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.pagination import PageQuery, page, page_of
from annotations.models import Job, Project
from annotations.selectors import jobs as selectors
from annotations.services import jobs


class JobSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(Job.Kind.choices)
    state = serializers.ChoiceField(Job.State.choices)
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    failed_items = serializers.IntegerField(default=0)
    message = serializers.CharField()
    error = ErrorSerializer(allow_null=True)
    result = serializers.JSONField(help_text="What came out, by kind.")
    attempts = serializers.IntegerField()
    cancel_requested = serializers.BooleanField()
    created_by = serializers.CharField(source="created_by.username")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class WorkerSerializer(serializers.Serializer):
    worker = serializers.CharField(help_text="Host and process.")
    device = serializers.CharField()
    done = serializers.IntegerField(help_text="Images that it ended.")
    images_per_second = serializers.FloatField(source="speed")
    memory_used = serializers.IntegerField(allow_null=True, help_text="Bytes of the GPU's memory.")
    memory_total = serializers.IntegerField(allow_null=True)


class OneJobSerializer(JobSerializer):
    workers = WorkerSerializer(many=True, source="shares.all", help_text="Who does it now.")


class JobItemSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    image = serializers.IntegerField(source="image_id")
    name = serializers.CharField(source="image.name")
    state = serializers.ChoiceField(Job.State.choices)
    attempts = serializers.IntegerField()
    error = serializers.CharField()
    seconds = serializers.FloatField()


class JobQuery(PageQuery):
    kind = serializers.ChoiceField(Job.Kind.choices, required=False)
    state = serializers.ChoiceField(Job.State.choices, required=False)


class JobItemQuery(PageQuery):
    state = serializers.ChoiceField(Job.State.choices, required=False)


class Jobs(View):
    @endpoint(query=JobQuery, replies=page_of(JobSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The newest first. Managers see all, others their own."""
        project = find(Project.objects.all(), request.user, pk=pk)
        filters = {key: self.query.get(key, "") for key in ("kind", "state")}
        rows = selectors.list_jobs(request.user, project, **filters)
        found, after = page(rows, self.query, descending=True)
        return Response({"results": JobSerializer(found, many=True).data, "next": after})


class OneJob(View):
    @endpoint(replies=OneJobSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(OneJobSerializer(selectors.get_job(request.user, pk)).data)


class JobItems(View):
    @endpoint(query=JobItemQuery, replies=page_of(JobItemSerializer))
    def get(self, request: Request, pk: int) -> Response:
        job = selectors.get_job(request.user, pk)
        rows, after = page(selectors.list_items(job, state=self.query.get("state", "")), self.query)
        return Response({"results": JobItemSerializer(rows, many=True).data, "next": after})


class CancelJob(View):
    @endpoint(replies=JobSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """A queued job ends at once, a running one at its next step."""
        jobs.cancel(selectors.get_job(request.user, pk))
        return Response(JobSerializer(selectors.get_job(request.user, pk)).data)


class RetryJob(View):
    @endpoint(replies=JobSerializer, errors={409: ErrorSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Queue a failed or cancelled job again; what was done stays done."""
        jobs.retry(request.user, selectors.get_job(request.user, pk))
        return Response(JobSerializer(selectors.get_job(request.user, pk)).data)


urlpatterns = [
    path("projects/<int:pk>/jobs", Jobs.as_view()),
    path("jobs/<int:pk>", OneJob.as_view()),
    path("jobs/<int:pk>/items", JobItems.as_view()),
    path("jobs/<int:pk>/cancel", CancelJob.as_view()),
    path("jobs/<int:pk>/retry", RetryJob.as_view()),
]
