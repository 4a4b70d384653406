"""Keyset paging: a page costs the same wherever in the list it is."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers

from annotations.api.base import StrictSerializer

MAX_LIMIT = 500
_Row = TypeVar("_Row", bound=Model)


# `?after=<cursor>&limit=`; lists with filters inherit from it.
class PageQuery(StrictSerializer):
    after = serializers.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, help_text="`next` of the page before."
    )
    limit = serializers.IntegerField(default=100, min_value=1, max_value=MAX_LIMIT)


def page(
    rows: QuerySet[_Row], query: dict[str, Any], *, descending: bool = False
) -> tuple[list[_Row], int | None]:
    """One page of `rows` by id, and the cursor of the next or None. Replaces any other order."""
    limit = query["limit"]
    if "after" in query:
        rows = rows.filter(**{"pk__lt" if descending else "pk__gt": query["after"]})
    found = list(rows.order_by("-pk" if descending else "pk")[: limit + 1])
    more = len(found) > limit
    return found[:limit], found[limit - 1].pk if more else None


def page_of(item: type[serializers.BaseSerializer]) -> type[serializers.BaseSerializer]:
    """The serializer of `{results: [item], next}`."""
    name = "PageOf" + item.__name__.removesuffix("Serializer")
    fields = {
        "results": item(many=True),
        "next": serializers.IntegerField(allow_null=True),
    }
    return type(name, (serializers.Serializer,), fields)
