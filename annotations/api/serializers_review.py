"""JSON shapes of comparing in a review."""

from rest_framework import serializers

from annotations.api.serializers_annotations import MaskField, PolygonsField


class BaseSerializer(serializers.Serializer):
    key = serializers.CharField()
    title = serializers.CharField(help_text="For people.")


class BasesSerializer(serializers.Serializer):
    results = BaseSerializer(many=True)


class BaseRegionSerializer(serializers.Serializer):
    """A region without who and when; either `mask` or `polygons`."""

    category = serializers.IntegerField(allow_null=True)
    mask = MaskField(allow_null=True)
    polygons = PolygonsField(allow_null=True)


class BaseRegionsSerializer(serializers.Serializer):
    regions = BaseRegionSerializer(many=True)


class PastRegionSerializer(BaseRegionSerializer):
    """A region after one write. To restore it, write it again, based on the newest version."""

    version = serializers.IntegerField()
    author = serializers.CharField()
    at = serializers.DateTimeField()
    seconds = serializers.FloatField(allow_null=True, help_text="Active time of the write.")
    # Declared fields leave the class, so the attribute `source` of serializers stays.
    source = serializers.CharField(help_text="The tool, or import.")  # type: ignore[assignment]
    model = serializers.CharField(allow_blank=True, help_text="Whose proposal it was.")
    model_version = serializers.CharField(allow_blank=True)
    deleted = serializers.BooleanField()
    is_crowd = serializers.BooleanField()
    order = serializers.IntegerField()
    attributes = serializers.DictField()


class HistorySerializer(serializers.Serializer):
    results = PastRegionSerializer(many=True)


class AcceptedSerializer(serializers.Serializer):
    approved = serializers.IntegerField(help_text="How many.")
