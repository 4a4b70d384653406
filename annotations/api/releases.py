"""Releases: make, list, name, compare, remove."""

from django.http import HttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find
from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from annotations.api.images import BINARY, AnyType
from annotations.api.jobs import JobSerializer
from annotations.api.pagination import PageQuery, page, page_of
from annotations.models import Project
from annotations.models.projects import Role
from annotations.selectors import releases as selectors
from annotations.selectors.exports import WANTED, Rule
from annotations.services import releases


class RuleSerializer(serializers.Serializer):
    status = serializers.ChoiceField(list(WANTED))
    search = serializers.CharField(help_text="Part of the images' names.")
    annotator = serializers.CharField(help_text="A username.")


class ReleaseCountSerializer(serializers.Serializer):
    """What one category has."""

    id = serializers.IntegerField(help_text="As in exports.")
    name = serializers.CharField()
    color = serializers.CharField()
    images = serializers.IntegerField()
    regions = serializers.IntegerField()
    area = serializers.IntegerField(help_text="Pixels.")


class ReleaseSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField(help_text="Empty: made by an export.")
    sha256 = serializers.CharField(help_text="Of the content; the same content has the same.")
    rule = RuleSerializer()
    images = serializers.IntegerField()
    regions = serializers.IntegerField()
    counts = ReleaseCountSerializer(many=True)
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)
    created_at = serializers.DateTimeField()


class ReleaseQuery(PageQuery):
    named = serializers.BooleanField(default=False, help_text="Only those with a name.")


class NewReleaseSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)
    status = serializers.ChoiceField(list(WANTED), default="approved")
    search = serializers.CharField(max_length=200, allow_blank=True, default="")
    annotator = serializers.CharField(max_length=150, allow_blank=True, default="")


class ReleaseNameSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)


class NumbersSerializer(serializers.Serializer):
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    changed = serializers.IntegerField()


class CategoryChangeSerializer(serializers.Serializer):
    id = serializers.IntegerField(help_text="As in exports.")
    name = serializers.CharField()
    color = serializers.CharField()
    before = serializers.CharField(help_text="Its name in the older release; empty: it is new.")
    regions = NumbersSerializer()


class ImageChangeSerializer(serializers.Serializer):
    id = serializers.IntegerField(help_text="As in exports.")
    name = serializers.CharField()
    state = serializers.ChoiceField(["added", "removed", "changed"])
    regions = NumbersSerializer()


class ImageChangesSerializer(serializers.Serializer):
    results = ImageChangeSerializer(many=True)
    next = serializers.IntegerField(allow_null=True)


class DifferenceSerializer(serializers.Serializer):
    images = NumbersSerializer()
    same = serializers.IntegerField(help_text="Images that are equal in both.")
    regions = NumbersSerializer()
    categories = CategoryChangeSerializer(many=True)
    changes = ImageChangesSerializer()


class AgainstQuery(StrictSerializer):
    against = serializers.IntegerField(help_text="The id of the older release.")


class DifferenceQuery(PageQuery, AgainstQuery):
    category = serializers.IntegerField(required=False, help_text="Its id in exports.")


class Releases(View):
    @endpoint(query=ReleaseQuery, replies=page_of(ReleaseSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """The newest first. Reviewers and above."""
        project = find(Project.objects.all(), request.user, pk=pk)
        rows = selectors.list_releases(request.user, project, named=self.query["named"])
        found, after = page(rows, self.query, descending=True)
        return Response({"results": ReleaseSerializer(found, many=True).data, "next": after})

    @endpoint(
        body=NewReleaseSerializer,
        replies={202: JobSerializer},
        errors={409: ErrorSerializer},
        headers={"Idempotency-Key": "The same key again is the same release."},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Queue the making of a release. Managers only."""
        project = find(Project.objects.all(), request.user, pk=pk)
        key = request.headers.get("Idempotency-Key", "")[:100]
        name = self.body.pop("name")
        job = releases.start_release(
            request.user, project, name=name, rule=Rule(**self.body), key=key
        )
        return Response(JobSerializer(job).data, status=202)


class OneRelease(View):
    @endpoint(replies=ReleaseSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(ReleaseSerializer(selectors.get_release(request.user, pk)).data)

    @endpoint(body=ReleaseNameSerializer, replies=ReleaseSerializer, errors={409: ErrorSerializer})
    def patch(self, request: Request, pk: int) -> Response:
        """Name a release that an export made. Managers only."""
        release = selectors.get_release(request.user, pk, Role.MANAGER)
        named = releases.name_release(request.user, release, self.body["name"])
        return Response(ReleaseSerializer(named).data)

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Remove a release. Owners only."""
        release = selectors.get_release(request.user, pk, Role.OWNER)
        releases.remove_release(request.user, release)
        return Response(status=204)


class ReleaseDifference(View):
    @endpoint(query=DifferenceQuery, replies=DifferenceSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """What changed from the release `against` to this one."""
        older, newer = selectors.get_pair(request.user, pk, self.query["against"])
        found = selectors.difference(older, newer)
        changes, after = selectors.changes(
            found,
            after=self.query.get("after", 0),
            limit=self.query["limit"],
            category=self.query.get("category"),
        )
        data = {
            "images": found.images,
            "same": found.same,
            "regions": found.regions,
            "categories": found.categories,
            "changes": {"results": changes, "next": after},
        }
        return Response(DifferenceSerializer(data).data)


class ReleasePicture(View):
    """A small picture of an image with its regions."""

    content_negotiation_class = AnyType

    @endpoint(query=AgainstQuery, replies={(200, "image/jpeg"): BINARY})
    def get(self, request: Request, pk: int, image: int) -> HttpResponse:
        """JPEG of at most 320 pixels; regions that differ from the other release stand out."""
        other, release = selectors.get_pair(request.user, pk, self.query["against"])
        data = selectors.picture(release, other, image)
        response = HttpResponse(data, content_type="image/jpeg")
        response["Cache-Control"] = "private, max-age=86400"
        return response


urlpatterns = [
    path("projects/<int:pk>/releases", Releases.as_view()),
    path("releases/<int:pk>", OneRelease.as_view()),
    path("releases/<int:pk>/diff", ReleaseDifference.as_view()),
    path("releases/<int:pk>/images/<int:image>/picture", ReleasePicture.as_view()),
]
