"""JSON shapes of comparing in a review."""

from rest_framework import serializers

from annotations.api.pagination import PageQuery
from annotations.api.serializers_annotations import AttributesField, MaskField, PolygonsField


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


class RegionFieldsSerializer(BaseRegionSerializer):
    is_crowd = serializers.BooleanField()
    order = serializers.IntegerField()
    attributes = AttributesField()
    # Declared fields leave the class, so the attribute `source` of serializers stays.
    # A field of that name, where the framework has an attribute.
    source = serializers.CharField(help_text="The tool, or import.")  # type: ignore[assignment]
    version = serializers.IntegerField()
    author = serializers.CharField()


class WrittenSerializer(serializers.Serializer):
    """Who wrote a region, when and from what."""

    version = serializers.IntegerField()
    author = serializers.CharField()
    at = serializers.DateTimeField()
    seconds = serializers.FloatField(help_text="Active time of the write.")
    # A field of that name, where the framework has an attribute.
    source = serializers.CharField(help_text="The tool, or import.")  # type: ignore[assignment]
    model = serializers.CharField(
        allow_blank=True, help_text="Whose proposal the region was accepted from."
    )
    model_version = serializers.CharField(allow_blank=True)
    deleted = serializers.BooleanField()


class PastRegionSerializer(WrittenSerializer, RegionFieldsSerializer):
    """A region after one write. To restore it, write it again, based on the newest version."""


class RevisionLineSerializer(WrittenSerializer):
    """One write; `history/{id}` says how all regions were right after it."""

    id = serializers.IntegerField()
    region = serializers.UUIDField()
    category = serializers.IntegerField()


class RevisionQuery(PageQuery):
    region = serializers.UUIDField(required=False, help_text="Only of this one.")


class StateRegionSerializer(RegionFieldsSerializer):
    """A region as it was; to restore it, write it again, based on the newest version."""

    uuid = serializers.UUIDField()
    proposal = serializers.IntegerField(allow_null=True)


class StateSerializer(serializers.Serializer):
    regions = StateRegionSerializer(many=True)


class HistorySerializer(serializers.Serializer):
    results = PastRegionSerializer(many=True)


class AcceptedSerializer(serializers.Serializer):
    approved = serializers.IntegerField(help_text="How many.")
