"""JSON shapes of annotations, regions, writes, reviews and the workspace."""

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from annotations.api.base import ErrorSerializer, StrictSerializer
from annotations.api.pagination import PageQuery
from annotations.api.serializers import (
    CategorySerializer,
    PersonSerializer,
    WorkspaceImageSerializer,
)
from annotations.api.serializers_work import LeaseSerializer
from annotations.models import Annotation, Image, Lease, Project, Review
from annotations.models.projects import Role
from annotations.services.regions import MAX_SECONDS
from annotations.services.writes import Delete, Dismiss, Restore, Upsert

BIG = 2**63 - 1
INT = 2**31 - 1


class GivenField(serializers.JSONField):
    """As it came: `services.regions` checks it."""

    def to_internal_value(self, data: Any) -> Any:
        return data


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "description": "Polygons, each a list of rings [x0, y0, x1, y1, …]: the outside, holes.",
    }
)
class PolygonsField(GivenField):
    pass


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "size": {
                "type": "array",
                "items": {"type": "integer"},
                "minItems": 2,
                "maxItems": 2,
                "description": "[height, width]",
            },
            "counts": {"type": "string", "description": "COCO's compressed RLE."},
        },
        "required": ["size", "counts"],
        "additionalProperties": False,
    }
)
class MaskField(GivenField):
    pass


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {
            "oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]
        },
    }
)
class AttributesField(GivenField):
    pass


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 4,
        "maxItems": 4,
        "description": "[x, y, width, height], pixels.",
    }
)
class BoxField(serializers.JSONField):
    pass


class RegionSerializer(serializers.Serializer):
    """Either `mask` or `polygons`; the other one is null. `author`: who wrote last."""

    uuid = serializers.UUIDField()
    category = serializers.IntegerField()
    mask = MaskField(allow_null=True)
    polygons = PolygonsField(allow_null=True)
    area = serializers.FloatField(help_text="Pixels of the mask.")
    bbox = BoxField()
    is_crowd = serializers.BooleanField()
    order = serializers.IntegerField(help_text="Greater is in front.")
    attributes = AttributesField()
    # A field of that name, where the framework has an attribute.
    source = serializers.CharField()  # type: ignore[assignment]
    proposal = serializers.IntegerField(allow_null=True)
    version = serializers.IntegerField()
    author = serializers.CharField()


class ProposalSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    category = serializers.IntegerField(allow_null=True)
    mask = MaskField(allow_null=True)
    polygons = PolygonsField(allow_null=True)
    area = serializers.FloatField()
    bbox = BoxField()
    score = serializers.FloatField()
    is_crowd = serializers.BooleanField()
    model = serializers.CharField()
    model_version = serializers.CharField()


class ReviewSerializer(serializers.Serializer):
    verdict = serializers.ChoiceField(choices=Review.Verdict.choices)
    fixed = serializers.BooleanField(help_text="The reviewer had corrected it before.")
    comment = serializers.CharField(allow_blank=True)
    reviewer = serializers.CharField()
    at = serializers.DateTimeField()
    revision = serializers.IntegerField()


class CommentSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    text = serializers.CharField()
    x = serializers.FloatField(allow_null=True)
    y = serializers.FloatField(allow_null=True)
    region = serializers.UUIDField(allow_null=True)
    author = serializers.CharField()
    at = serializers.DateTimeField()
    reply_to = serializers.IntegerField(allow_null=True, help_text="The comment it answers.")
    resolved = serializers.BooleanField()
    stale = serializers.BooleanField(help_text="The pixels under it changed since.")


class AnnotationSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    image = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Annotation.Status.choices)
    revision = serializers.IntegerField()
    annotator = PersonSerializer()
    editable = serializers.BooleanField()
    reviewable = serializers.BooleanField()
    fixing = serializers.BooleanField(help_text="One corrects it before the verdict.")
    regions = RegionSerializer(many=True)
    dismissed = serializers.ListField(child=serializers.IntegerField())
    reviews = ReviewSerializer(many=True)
    comments = CommentSerializer(many=True)


class AnnotationLineSerializer(serializers.ModelSerializer):
    """An annotation in a list."""

    image_name = serializers.CharField(source="image.name")
    annotator = PersonSerializer()
    revision = serializers.IntegerField()
    seconds_spent = serializers.IntegerField(help_text="Active time in the editor.")

    class Meta:
        model = Annotation
        fields = [
            "id", "image", "image_name", "annotator", "status", "revision", "seconds_spent",
            "updated_at", "submitted_at", "approved_at",
        ]  # fmt: skip


class AnnotationQuery(PageQuery):
    status = serializers.ChoiceField(choices=Annotation.Status.choices, required=False)
    annotator = serializers.CharField(required=False, max_length=150, help_text="A username.")


# --- writes ---------------------------------------------------------------------------------------
class RegionBodySerializer(StrictSerializer):
    """All of a region: what is left out has its default. Either `mask` or `polygons`."""

    category = serializers.IntegerField(min_value=1, max_value=BIG)
    mask = MaskField(required=False, allow_null=True)
    polygons = PolygonsField(required=False, allow_null=True)
    is_crowd = serializers.BooleanField(required=False)
    order = serializers.IntegerField(required=False, min_value=-INT, max_value=INT)
    attributes = AttributesField(required=False)
    # A field of that name, where the framework has an attribute.
    source = serializers.CharField(required=False, max_length=40)  # type: ignore[assignment]
    proposal = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=BIG, help_text="Accepted from it."
    )

    def validate_mask(self, mask: Any) -> Any:
        if mask is not None and (not isinstance(mask, dict) or set(mask) != {"size", "counts"}):
            raise serializers.ValidationError("A mask is {size, counts}.")
        return mask


class RegionWriteSerializer(StrictSerializer):
    region = serializers.UUIDField(help_text="Made by the client.")
    based_on = serializers.IntegerField(
        min_value=0, max_value=BIG, help_text="The version that this write starts from; 0: none."
    )
    key = serializers.UUIDField(help_text="One for each write, repeated when it is retried.")


class UpsertSerializer(RegionWriteSerializer, RegionBodySerializer):
    op = serializers.ChoiceField(choices=["upsert"])


class DeleteSerializer(RegionWriteSerializer):
    op = serializers.ChoiceField(choices=["delete"])


class DismissSerializer(StrictSerializer):
    op = serializers.ChoiceField(choices=["dismiss"])
    proposal = serializers.IntegerField(min_value=1, max_value=BIG)


class RestoreSerializer(StrictSerializer):
    op = serializers.ChoiceField(choices=["restore"])
    proposal = serializers.IntegerField(min_value=1, max_value=BIG)


WRITES: dict[str, tuple[type[StrictSerializer], type]] = {
    "upsert": (UpsertSerializer, Upsert),
    "delete": (DeleteSerializer, Delete),
    "dismiss": (DismissSerializer, Dismiss),
    "restore": (RestoreSerializer, Restore),
}


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="Write",
        serializers={name: serializer for name, (serializer, _) in WRITES.items()},
        resource_type_field_name="op",
        many=True,
    )
)
class WritesField(serializers.ListField):
    """As they came: `annotations.api.annotations` reads them one by one."""


class PatchSerializer(StrictSerializer):
    writes = WritesField()
    seconds = serializers.IntegerField(
        default=0, min_value=0, max_value=MAX_SECONDS, help_text="Active time since the last one."
    )


class OutcomeSerializer(serializers.Serializer):
    region = serializers.UUIDField()
    version = serializers.IntegerField()
    deleted = serializers.BooleanField()
    area = serializers.FloatField()


class PatchResultSerializer(serializers.Serializer):
    revision = serializers.IntegerField(help_text="Of the annotation.")
    regions = OutcomeSerializer(many=True)


class OwnPatchSerializer(PatchSerializer):
    submit = serializers.UUIDField(
        allow_null=True, default=None,
        help_text="Submit it afterwards, under this key: one for each submission, repeated when "
        "the request is retried.",
    )  # fmt: skip
    revision = serializers.IntegerField(
        allow_null=True, default=None, min_value=0, max_value=BIG,
        help_text="Submit only if the annotation was at this one before the writes.",
    )  # fmt: skip


class OwnPatchResultSerializer(PatchResultSerializer):
    annotation = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Annotation.Status.choices)


class RegionResultSerializer(OutcomeSerializer):
    revision = serializers.IntegerField(help_text="Of the annotation.")


class TheirRegionSerializer(RegionSerializer):
    deleted = serializers.BooleanField()


class ConflictSerializer(serializers.Serializer):
    region = serializers.UUIDField()
    mine = PolymorphicProxySerializer(
        component_name="RegionWrite",
        serializers={"upsert": UpsertSerializer, "delete": DeleteSerializer},
        resource_type_field_name="op",
    )
    theirs = TheirRegionSerializer(allow_null=True, help_text="Null: there is no such region.")


class StaleSerializer(ErrorSerializer):
    """Nothing was saved: `conflicts` holds both versions of each region."""

    conflicts = ConflictSerializer(many=True)


# --- reviews --------------------------------------------------------------------------------------
class RevisionSerializer(StrictSerializer):
    revision = serializers.IntegerField(
        min_value=0, max_value=BIG, help_text="The revision that the person saw."
    )


class VerdictSerializer(RevisionSerializer):
    comment = serializers.CharField(max_length=10_000, allow_blank=True, default="")


class AnnotationStateSerializer(serializers.ModelSerializer):
    revision = serializers.IntegerField()

    class Meta:
        model = Annotation
        fields = ["id", "image", "status", "revision", "submitted_at", "approved_at"]


class NewCommentSerializer(StrictSerializer):
    text = serializers.CharField(max_length=10_000)
    x = serializers.FloatField(required=False, allow_null=True)
    y = serializers.FloatField(required=False, allow_null=True)
    region = serializers.UUIDField(required=False, allow_null=True)
    reply_to = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=BIG, help_text="A comment's id."
    )


class ResolvedSerializer(StrictSerializer):
    resolved = serializers.BooleanField()


# --- workspace ------------------------------------------------------------------------------------
class WorkspaceProjectSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Project.Kind.choices)
    guidelines = serializers.CharField(allow_blank=True)
    role = serializers.ChoiceField(choices=Role.choices)


class WorkspaceSerializer(serializers.Serializer):
    project = WorkspaceProjectSerializer()
    image = WorkspaceImageSerializer()
    categories = CategorySerializer(many=True)
    annotation = AnnotationSerializer(allow_null=True)
    proposals = ProposalSerializer(many=True)
    lease = LeaseSerializer(allow_null=True, help_text="Null: it is not one's own to do now.")
    may_start = serializers.BooleanField(help_text="Whether one may begin an annotation of it.")
    previous = serializers.IntegerField(allow_null=True)
    next = serializers.IntegerField(allow_null=True)
    position = serializers.IntegerField(help_text="From 1.")
    total = serializers.IntegerField()


class WorkspaceQuery(StrictSerializer):
    annotation = serializers.IntegerField(required=False, min_value=0, max_value=BIG)
    status = serializers.ChoiceField(
        choices=Image.Status.choices, required=False, help_text="Of previous and next."
    )


class NextQuery(StrictSerializer):
    after = serializers.IntegerField(
        required=False, min_value=0, max_value=BIG, help_text="The image that one leaves."
    )
    mode = serializers.ChoiceField(choices=Lease.Purpose.choices, default=Lease.Purpose.LABEL)


class NextSerializer(serializers.Serializer):
    image = serializers.IntegerField(allow_null=True, help_text="Null: nothing else is left.")
    annotation = serializers.IntegerField(
        allow_null=True, help_text="The one to be reviewed, in mode `review`."
    )
