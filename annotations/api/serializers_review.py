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


class AcceptedSerializer(serializers.Serializer):
    approved = serializers.IntegerField(help_text="How many.")
