"""JSON shapes of the queue: leases, batches and the rules of a project."""

from rest_framework import serializers

from annotations.api.base import StrictSerializer
from annotations.api.pagination import PageQuery
from annotations.api.serializers import PersonSerializer
from annotations.models import Batch, Lease, Project, ReviewRule
from annotations.services.work import MAX_ANNOTATORS

BIG = 2**63 - 1
INT = 2**31 - 1


class LeaseSerializer(serializers.Serializer):
    """What one has, and until when without a heartbeat."""

    id = serializers.IntegerField()
    purpose = serializers.ChoiceField(choices=Lease.Purpose.choices)
    until = serializers.DateTimeField()
    batch = serializers.CharField(allow_blank=True, help_text="Its name; empty: in none.")
    due_at = serializers.DateTimeField(allow_null=True)


class PullSerializer(StrictSerializer):
    mode = serializers.ChoiceField(choices=Lease.Purpose.choices, default=Lease.Purpose.LABEL)
    after = serializers.IntegerField(
        default=None, allow_null=True, min_value=0, max_value=BIG,
        help_text="The image that one leaves; it does not come again at once.",
    )  # fmt: skip


class PulledSerializer(serializers.Serializer):
    image = serializers.IntegerField(allow_null=True, help_text="Null: nothing is left.")
    annotation = serializers.IntegerField(allow_null=True, help_text="The one to be judged.")
    lease = LeaseSerializer(allow_null=True)


class SkipSerializer(StrictSerializer):
    reason = serializers.ChoiceField(choices=Lease.Reason.choices)
    note = serializers.CharField(max_length=1000, allow_blank=True, default="")


class LeaseQuery(PageQuery):
    state = serializers.ChoiceField(choices=Lease.State.choices, default=Lease.State.ACTIVE)


class LeaseLineSerializer(serializers.ModelSerializer):
    user = PersonSerializer()
    image_name = serializers.CharField(source="image.name")
    purpose = serializers.ChoiceField(choices=Lease.Purpose.choices)
    state = serializers.ChoiceField(choices=Lease.State.choices)

    class Meta:
        model = Lease
        fields = [
            "id", "user", "image", "image_name", "annotation", "purpose", "state", "begun_at",
            "until", "ended_at", "reason", "note",
        ]  # fmt: skip


class RulesSerializer(serializers.ModelSerializer):
    review_rule = serializers.ChoiceField(choices=ReviewRule.choices)

    class Meta:
        model = Project
        fields = [
            "annotators", "free_picking", "lease_minutes", "lone_review", "review_rule",
            "review_share",
        ]  # fmt: skip
        read_only_fields = fields  # else the schema would hold the database's own largest numbers


class RulesChangesSerializer(StrictSerializer):
    annotators = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_ANNOTATORS, help_text="People per image."
    )
    free_picking = serializers.BooleanField(
        required=False, help_text="Annotators may label any image."
    )
    lease_minutes = serializers.IntegerField(required=False, min_value=1, max_value=10_080)
    lone_review = serializers.BooleanField(
        required=False, help_text="Where nobody else may review, one judges the own work."
    )
    review_rule = serializers.ChoiceField(choices=ReviewRule.choices, required=False)
    review_share = serializers.IntegerField(
        required=False, min_value=1, max_value=100, help_text="Percent, by the rule `share`."
    )


class BatchSerializer(serializers.ModelSerializer):
    total = serializers.IntegerField(help_text="Images in it.")
    approved = serializers.IntegerField()
    open = serializers.IntegerField(help_text="Images that the queue may give.")

    class Meta:
        model = Batch
        fields = ["id", "name", "order", "due_at", "annotators", "total", "approved", "open"]
        read_only_fields = fields


class BatchChangesSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    due_at = serializers.DateTimeField(required=False, allow_null=True)
    annotators = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_ANNOTATORS
    )
    order = serializers.IntegerField(required=False, min_value=0, max_value=INT)


class NewBatchSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)
    due_at = serializers.DateTimeField(default=None, allow_null=True)
    annotators = serializers.IntegerField(
        default=None, allow_null=True, min_value=1, max_value=MAX_ANNOTATORS
    )


class PlaceSerializer(StrictSerializer):
    images = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=BIG), max_length=10_000
    )
    batch = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=BIG, help_text="Null: into none."
    )
    priority = serializers.IntegerField(required=False, min_value=-INT, max_value=INT)


class PlacedSerializer(serializers.Serializer):
    images = serializers.IntegerField(help_text="How many.")
