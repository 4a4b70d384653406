"""JSON shapes of people, projects and categories."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from knox.models import AuthToken
from rest_framework import serializers

from annotations import attributes as typed
from annotations.api.base import StrictSerializer
from annotations.api.pagination import PageQuery
from annotations.models import Category, Image, Membership, Project, Scope, TokenGrant, User
from annotations.models.projects import Role

MAX_GUIDELINES = 100_000


class PersonSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "username"]


class MeSerializer(PersonSerializer):
    csrf = serializers.CharField(help_text="For the X-CSRFToken header of unsafe requests.")

    class Meta(PersonSerializer.Meta):
        fields = ["id", "username", "csrf"]


class LoginSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False)


class KeysField(serializers.DictField):
    """At most 300 commands, each with at most 4 keys as the editor writes them: `Ctrl+Shift+Z`."""

    child = serializers.ListField(child=serializers.CharField(max_length=40), max_length=4)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (len(data) > 300 or any(len(str(k)) > 60 for k in data)):
            raise serializers.ValidationError("Those are more or longer names than commands have.")
        return super().to_internal_value(data)


class PreferencesSerializer(StrictSerializer):
    """What a person wants of the editor, on every machine."""

    keys = KeysField(default=dict, help_text="Command to its keys, where they are not the usual.")
    left_handed = serializers.BooleanField(default=False, help_text="Tools right, lists left.")


class TokenSerializer(serializers.Serializer):
    key = serializers.CharField(source="token_key", help_text="How the secret starts.")
    created = serializers.DateTimeField()
    expiry = serializers.DateTimeField(allow_null=True)
    name = serializers.CharField(source="grant.name", default="")
    scope = serializers.ChoiceField(
        choices=Scope.choices, source="grant.scope", default=Scope.ADMIN
    )

    def to_representation(self, token: AuthToken) -> dict[str, Any]:
        if not hasattr(token, "grant"):
            token.grant = TokenGrant(token=token)  # one without this row may do everything
        return super().to_representation(token)


class NewTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="The secret, shown this once.")


class TokenWishSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100, allow_blank=True, default="")
    scope = serializers.ChoiceField(choices=Scope.choices, default=Scope.ADMIN)
    days = serializers.IntegerField(default=None, allow_null=True, min_value=1, max_value=3650)


class CountsSerializer(serializers.Serializer):
    """The number of images in each status."""

    new = serializers.IntegerField()
    in_progress = serializers.IntegerField()
    submitted = serializers.IntegerField()
    sent_back = serializers.IntegerField()
    approved = serializers.IntegerField()


class ProjectSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=Project.Kind.choices)
    role = serializers.ChoiceField(choices=Role.choices)
    archived = serializers.BooleanField(help_text="Nothing in it changes.")
    counts = CountsSerializer()

    class Meta:
        model = Project
        fields = ["id", "name", "kind", "guidelines", "role", "archived", "created_at", "counts"]


class ProjectQuery(PageQuery):
    archived = serializers.BooleanField(default=False)


class NewProjectSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=Project.Kind.choices)
    guidelines = serializers.CharField(
        max_length=MAX_GUIDELINES, allow_blank=True, default="", trim_whitespace=False
    )


class ProjectChangesSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    guidelines = serializers.CharField(
        max_length=MAX_GUIDELINES, allow_blank=True, required=False, trim_whitespace=False
    )
    archived = serializers.BooleanField(required=False)


@extend_schema_field(
    {
        "oneOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}],
        "nullable": True,
    }
)
class AttributeValueField(serializers.JSONField):
    """As it came: services check it."""


class AttributeSerializer(StrictSerializer):
    """What each region of a category carries under this name."""

    name = serializers.CharField(max_length=typed.MAX_NAME)
    type = serializers.ChoiceField(choices=typed.TYPES)
    # Declared fields leave the class, so the attribute `required` of serializers stays.
    required = serializers.BooleanField(  # type: ignore[assignment]
        default=False, help_text="Nothing is submitted without it."
    )
    default = AttributeValueField(
        default=None, allow_null=True, help_text="Of new regions; null: none."
    )
    choices = serializers.ListField(
        child=serializers.CharField(max_length=typed.MAX_NAME),
        default=list,
        max_length=typed.MAX_CHOICES,
        help_text="The texts that a choice may be.",
    )


class CategorySerializer(serializers.ModelSerializer):
    order = serializers.IntegerField()
    attributes = AttributeSerializer(many=True)
    archived = serializers.BooleanField()

    class Meta:
        model = Category
        fields = [
            "id", "name", "supercategory", "color", "hotkey", "is_thing", "order",
            "attributes", "archived",
        ]  # fmt: skip


class CategoryChangesSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200, required=False)
    supercategory = serializers.CharField(max_length=200, allow_blank=True, required=False)
    color = serializers.RegexField(r"\A#[0-9a-fA-F]{6}\Z", required=False, help_text="#rrggbb")
    hotkey = serializers.RegexField(
        r"\A[a-zA-Z0-9]?\Z", allow_blank=True, required=False, help_text="A letter or a digit."
    )
    is_thing = serializers.BooleanField(required=False, help_text="Countable; stuff otherwise.")
    order = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    attributes = AttributeSerializer(many=True, required=False)
    archived = serializers.BooleanField(required=False)


class NewCategorySerializer(CategoryChangesSerializer):
    """What is left out gets the next free value."""

    name = serializers.CharField(max_length=200)
    archived = None  # type: ignore[assignment]


class MemberSerializer(serializers.ModelSerializer):
    user = PersonSerializer()
    role = serializers.ChoiceField(
        choices=Role.choices, help_text="The best of the own one and those of teams."
    )
    own_role = serializers.ChoiceField(
        source="own", choices=Role.choices, allow_null=True, help_text="null: here by a team alone."
    )

    class Meta:
        model = Membership
        fields = ["id", "user", "role", "own_role", "created_at"]


class NewMemberSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices)


class RoleSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=Role.choices)


class WindowSerializer(serializers.Serializer):
    """A pixel of `/values` × scale + offset is its value; values low…high are shown."""

    low = serializers.FloatField()
    high = serializers.FloatField()
    least = serializers.FloatField()
    greatest = serializers.FloatField()
    scale = serializers.FloatField()
    offset = serializers.FloatField()
    inverted = serializers.BooleanField()


class WorkspaceImageSerializer(serializers.Serializer):
    """`url`: the upright raster; `thumbnail_url`: at most 320 pixels."""

    id = serializers.IntegerField()
    uuid = serializers.UUIDField()
    name = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Image.Status.choices)
    reason = serializers.CharField(
        allow_blank=True, help_text="Why a model wants it labeled soon, while nobody began."
    )
    url = serializers.CharField()
    thumbnail_url = serializers.CharField()
    levels = serializers.IntegerField(help_text="Of the tile pyramid; 0: there is none.")
    window = WindowSerializer(allow_null=True, help_text="Gray of more than 8 bits, else null.")
