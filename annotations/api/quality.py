"""Quality: reports, gold images, consensus, suspicious labels."""

import csv
import io
from typing import Any

from django.http import HttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find, require
from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.images import BINARY, AnyType
from annotations.api.jobs import JobSerializer
from annotations.api.pagination import PageQuery, page, page_of
from annotations.errors import NotFound
from annotations.formats.names import csv_cell
from annotations.models import Gold, Project, RegionFact, Suspicion
from annotations.models.projects import Role
from annotations.selectors import jobs as job_selectors
from annotations.selectors import quality
from annotations.selectors import suspects as suspect_selectors
from annotations.services import consensus, gold, suspects


class FilterQuery(StrictSerializer):
    start = serializers.DateField(required=False, help_text="First day of submission, UTC.")
    end = serializers.DateField(required=False, help_text="Last day.")
    person = serializers.CharField(required=False, max_length=150, help_text="A username.")
    category = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    batch = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class ReportQuery(FilterQuery):
    FORMS = ("json", "csv")
    form = serializers.ChoiceField(FORMS, default="json")


class ColumnSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(
        ["text", "number", "percent", "seconds", "hours", "score"],
        help_text="percent and score are 0…1.",
    )


class ReportSerializer(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    columns = ColumnSerializer(many=True)
    rows = serializers.ListField(
        child=serializers.DictField(), help_text="By the columns' names; null: not known."
    )


class ForecastSerializer(serializers.Serializer):
    left = serializers.IntegerField(help_text="Images that are not submitted yet.")
    per_day = serializers.FloatField()
    end = serializers.DateField(allow_null=True)
    early = serializers.DateField(allow_null=True)
    late = serializers.DateField(allow_null=True)


class AcceptedProposalSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    region = serializers.UUIDField(source="uuid")
    image = serializers.IntegerField()
    person = serializers.CharField()
    day = serializers.DateField()
    model = serializers.CharField()
    model_version = serializers.CharField()
    proposed = serializers.IntegerField(source="proposed_id", allow_null=True)
    category = serializers.IntegerField(source="category_id")
    edited = serializers.SerializerMethodField()
    iou = serializers.FloatField(help_text="Of the proposal and what was made of it.")
    pixels_changed = serializers.IntegerField()
    seconds = serializers.FloatField()

    def get_edited(self, row: RegionFact) -> bool:
        return row.origin == RegionFact.Origin.EDITED


class AcceptedQuery(PageQuery, FilterQuery):
    pass


class GoldSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    image = serializers.IntegerField(source="image_id")
    name = serializers.CharField(source="image.name")
    truth = serializers.IntegerField(source="truth_id", help_text="An annotation.")
    created_at = serializers.DateTimeField()


class NewGoldSerializer(StrictSerializer):
    annotations = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        min_length=1,
        max_length=1000,
    )


class GoldListSerializer(serializers.Serializer):
    results = GoldSerializer(many=True)


class NewConsensusSerializer(StrictSerializer):
    method = serializers.ChoiceField(list(consensus.METHODS), default="majority")
    images = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        allow_null=True,
        default=None,
        max_length=10_000,
    )
    least = serializers.IntegerField(default=2, min_value=2, max_value=20)


class UndoneSerializer(serializers.Serializer):
    removed = serializers.IntegerField(help_text="Predictions.")


class SuspicionSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    image = serializers.IntegerField(source="annotation.image_id")
    annotation = serializers.IntegerField(source="annotation_id")
    region = serializers.UUIDField(source="region.uuid", default=None, allow_null=True)
    category = serializers.IntegerField(source="category_id", allow_null=True)
    reason = serializers.ChoiceField(Suspicion.Reason.choices)
    detail = serializers.CharField()
    score = serializers.FloatField()
    bbox = serializers.ListField(child=serializers.FloatField())
    verdict = serializers.CharField()
    judged_by = serializers.CharField(source="judged_by.username", default=None, allow_null=True)


class SuspicionQuery(StrictSerializer):
    verdict = serializers.ChoiceField(["", *Suspicion.Verdict.values], default="")
    reason = serializers.ChoiceField(["", *Suspicion.Reason.values], default="")
    limit = serializers.IntegerField(default=100, min_value=1, max_value=2000)


class SuspicionListSerializer(serializers.Serializer):
    results = SuspicionSerializer(many=True)


class JudgementSerializer(StrictSerializer):
    verdict = serializers.ChoiceField(Suspicion.Verdict.values)


def wanted_by(project: Project, query: dict[str, Any]) -> quality.Filter:
    """The filter of a query that was checked. NotFound: nobody of that name works here."""
    fields = {key: query.get(key) for key in ("start", "end", "category", "batch")}
    person = None
    if name := query.get("person"):
        person = quality.person_named(project, name)
        if person is None:
            raise NotFound("person in this project")
    return quality.Filter(person=person, **fields)


def as_csv(table: quality.Table) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text)
    names = [column.name for column in table.columns]
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in table.rows)
    reply = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    reply["Content-Disposition"] = f'attachment; filename="{table.name}.csv"'
    return reply


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return csv_cell(value)  # such as names of people and categories
    return "" if value is None else value


class Report(View):
    @endpoint(query=ReportQuery, replies=ReportSerializer)
    def get(self, request: Request, pk: int, name: str) -> Response | HttpResponse:
        """A report, as JSON or CSV. Managers see everybody, others their own numbers."""
        project = find(Project.objects.all(), request.user, pk=pk)
        table = quality.report(request.user, project, name, wanted_by(project, self.query))
        if self.query["form"] == "csv":
            return as_csv(table)
        return Response(ReportSerializer(table).data)


class Forecast(View):
    @endpoint(replies=ForecastSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """When all images are submitted, at the pace of the last two weeks. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        return Response(ForecastSerializer(quality.forecast(request.user, project)).data)


class Accepted(View):
    @endpoint(query=AcceptedQuery, replies=page_of(AcceptedProposalSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """Each region that was accepted from a proposal, and what it took. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        rows = quality.accepted_proposals(request.user, project, wanted_by(project, self.query))
        found, after = page(rows, self.query)
        return Response(
            {"results": AcceptedProposalSerializer(found, many=True).data, "next": after}
        )


class GoldImages(View):
    @endpoint(replies=GoldListSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """The images whose truth is known. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        require(request.user, project, Role.MANAGER)
        rows = Gold.objects.visible_to(request.user).filter(image__project=project)
        rows = rows.select_related("image").order_by("pk")
        return Response({"results": GoldSerializer(rows, many=True).data})

    @endpoint(
        body=NewGoldSerializer, replies={201: GoldListSerializer}, errors={409: ErrorSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Makes approved annotations the truth of their images. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        made = gold.add(request.user, project, self.body["annotations"])
        return Response({"results": GoldSerializer(made, many=True).data}, status=201)


class OneGold(View):
    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """The image is an ordinary one again. Managers only; to others there is no gold."""
        gold.remove(request.user, find(Gold.objects.select_related("image"), request.user, pk=pk))
        return Response(status=204)


class Consensus(View):
    @endpoint(
        body=NewConsensusSerializer,
        replies={202: JobSerializer},
        errors={409: ErrorSerializer},
        headers={"Idempotency-Key": "The same key again is the same job."},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Queue a proposal of what several people say together. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        key = request.headers.get("Idempotency-Key", "")[:100]
        job = consensus.start(request.user, project, **self.body, key=key)
        return Response(JobSerializer(job).data, status=202)


class ConsensusUndone(View):
    @endpoint(replies=UndoneSerializer, errors={409: ErrorSerializer})
    def delete(self, request: Request, pk: int) -> Response:
        """Removes what a consensus job proposed; regions accepted from it stay. Managers only."""
        job = job_selectors.get_job(request.user, pk)
        return Response({"removed": consensus.undo(request.user, job)})


class Suspicions(View):
    @endpoint(query=SuspicionQuery, replies=SuspicionListSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """The most suspicious labels first. Reviewers and above."""
        project = find(Project.objects.all(), request.user, pk=pk)
        limit = self.query.pop("limit")
        rows = suspect_selectors.list_suspicions(request.user, project, **self.query)[:limit]
        return Response({"results": SuspicionSerializer(rows, many=True).data})

    @endpoint(body=None, replies={202: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Queue a search through everything submitted or approved. Reviewers and above."""
        project = find(Project.objects.all(), request.user, pk=pk)
        return Response(JobSerializer(suspects.start(request.user, project)).data, status=202)


class Judgement(View):
    @endpoint(body=JudgementSerializer, replies=SuspicionSerializer, errors={409: ErrorSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """right, wrong (sends back, or reopens what was approved) or skip. Reviewers and above."""
        suspicion = find(Suspicion.objects.all(), request.user, pk=pk)
        judged = suspects.judge(request.user, suspicion, self.body["verdict"])
        return Response(SuspicionSerializer(judged).data)


class SuspicionPicture(View):
    content_negotiation_class = AnyType

    @endpoint(replies={(200, "image/webp"): BINARY})
    def get(self, request: Request, pk: int) -> HttpResponse:
        """WebP of the place, at most 320 pixels, with its outline."""
        rows = Suspicion.objects.select_related("annotation__image__file", "region")
        data = suspect_selectors.picture(find(rows, request.user, pk=pk))
        reply = HttpResponse(data, content_type="image/webp")
        reply["Cache-Control"] = "private, max-age=3600"
        return reply


urlpatterns = [
    path("projects/<int:pk>/quality/accepted", Accepted.as_view()),
    path("projects/<int:pk>/quality/forecast", Forecast.as_view()),
    path("projects/<int:pk>/quality/<slug:name>", Report.as_view()),
    path("projects/<int:pk>/gold", GoldImages.as_view()),
    path("gold/<int:pk>", OneGold.as_view()),
    path("projects/<int:pk>/consensus", Consensus.as_view()),
    path("jobs/<int:pk>/predictions", ConsensusUndone.as_view()),
    path("projects/<int:pk>/suspicions", Suspicions.as_view()),
    path("suspicions/<int:pk>/verdict", Judgement.as_view()),
    path("suspicions/<int:pk>/picture", SuspicionPicture.as_view()),
]
