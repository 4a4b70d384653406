"""A click or a box becomes a mask."""

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.api.base import ErrorSerializer, StrictSerializer, View, endpoint
from inference.services import prompting


class RleSerializer(StrictSerializer):
    """COCO compressed RLE; size is [height, width]."""

    size = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2**31), min_length=2, max_length=2
    )
    counts = serializers.CharField(trim_whitespace=False)


class PointSerializer(StrictSerializer):
    x = serializers.FloatField(help_text="Pixels of the upright image.")
    y = serializers.FloatField()
    positive = serializers.BooleanField(default=True)


class PromptsSerializer(StrictSerializer):
    model = serializers.IntegerField(
        allow_null=True, default=None, min_value=1, max_value=2**63 - 1,
        help_text="null: the best one that is installed.",
    )  # fmt: skip
    points = PointSerializer(many=True, default=list, help_text="In the order they were clicked.")
    box = serializers.ListField(
        child=serializers.FloatField(), min_length=4, max_length=4, allow_null=True, default=None,
        help_text="[x, y, width, height], pixels.",
    )  # fmt: skip
    mask = RleSerializer(
        allow_null=True, default=None, help_text="What the points before the last one led to."
    )


class CandidateSerializer(serializers.Serializer):
    mask = RleSerializer()
    score = serializers.FloatField(help_text="0…1, the model's own estimate of the IoU.")


class SegmentedSerializer(serializers.Serializer):
    model = serializers.CharField()
    candidates = CandidateSerializer(many=True, help_text="The best first; three at most.")
    seconds = serializers.FloatField()


class Segment(View):
    @endpoint(
        body=PromptsSerializer,
        replies=SegmentedSerializer,
        errors={409: ErrorSerializer, 503: ErrorSerializer},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Masks for points, a box or a previous mask. Stores nothing."""
        return Response(prompting.segment(request.user, pk, self.body))


urlpatterns = [path("images/<int:pk>/segment", Segment.as_view())]
