"""What every endpoint shares: unknown parameters and fields are refused, the schema says the rest.

class Projects(View):
    @endpoint(query=ProjectQuery, replies=page_of(ProjectSerializer))
    def get(self, request): ... self.query["after"] ...

    @endpoint(body=NewProjectSerializer, replies={201: ProjectSerializer})
    def post(self, request): ... self.body["name"] ...
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from annotations.services.people import check_scope

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


# The next classes have comments instead of docstrings, because the schema would show those for
# every class that inherits from them.


# A serializer that refuses what it does not know, also fields that only the server sets.
class StrictSerializer(serializers.Serializer):
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            known = {field.field_name for field in self._writable_fields}
            if unknown := sorted(set(data) - known):
                raise serializers.ValidationError(
                    {unknown[0]: "There is no such field, or it cannot be set."}
                )
        return super().to_internal_value(data)


# No field and no parameter.
class Nothing(StrictSerializer):
    pass


class ErrorSerializer(serializers.Serializer):
    code = serializers.CharField(help_text="A short word for programs.")
    detail = serializers.CharField(help_text="What is wrong, for people.")
    field = serializers.CharField(allow_blank=True, help_text="The item, as `writes[0].polygons`.")
    hint = serializers.CharField(allow_blank=True, help_text="What to do about it.")


@dataclass(frozen=True)
class Endpoint:
    query: type[StrictSerializer]
    body: type[serializers.BaseSerializer] | None
    """None: the handler reads the body itself."""

    # One of each for all requests: making their fields takes longer than reading with them.
    @cached_property
    def query_reader(self) -> Any:
        return self.query()

    @cached_property
    def body_reader(self) -> Any:
        return self.body and self.body()


def endpoint(
    *,
    replies: Any = None,
    query: type[StrictSerializer] = Nothing,
    body: type[serializers.BaseSerializer] | None = None,
    request: Any = None,
    errors: dict[int, Any] | None = None,
    headers: dict[str, str] | None = None,
    public: bool = False,
) -> Callable[[_Handler], _Handler]:
    """Declares what a handler takes and answers, for the check at run time and for the schema.

    `replies` is a serializer (200), `{status: serializer or None}`, or None (204). `request`
    replaces `body` in the schema where the handler reads the body itself. `errors` replaces the
    usual error's serializer for some statuses. `headers` names request headers.
    """
    if replies is None:
        replies = {204: None}
    if not isinstance(replies, dict):
        replies = {200: replies}
    statuses = [400] if public else [400, 401, 403, 404]
    replies = replies | dict.fromkeys(statuses, ErrorSerializer) | (errors or {})

    def decorate(handler: _Handler) -> _Handler:
        parameters: list[Any] = [] if query is Nothing else [query]
        parameters += [
            OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text)
            for name, text in (headers or {}).items()
        ]
        checked = Nothing if body is None and request is None else body
        # A function may carry attributes, which its type does not say.
        handler.endpoint = Endpoint(query, checked)  # type: ignore[attr-defined]
        return extend_schema(
            operation_id=_snake_case(handler.__qualname__),
            tags=[handler.__module__.split(".")[-1]],
            parameters=parameters,
            request=request if request is not None else body,
            responses=replies,
        )(handler)

    return decorate


def _snake_case(qualified: str) -> str:
    """`OwnAnnotation.post` → `own_annotation_post`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", qualified).replace(".", "_").lower()


# Parses by the handler's `endpoint`: `self.query` and `self.body` are checked values.
class View(APIView):
    query: dict[str, Any]
    body: dict[str, Any]
    # No OPTIONS: Django REST framework would answer it for things that one may not see.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    # Whether writing here needs a token of the scope `admin`.
    administers = False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if isinstance(request.auth, AuthToken):
            check_scope(request.auth, request.method not in SAFE_METHODS, self.administers)
        handler = getattr(self, (request.method or "").lower(), None)
        declared: Endpoint | None = getattr(handler, "endpoint", None)
        if declared is None:
            return
        self.query = {}
        if declared.query is not Nothing or request.query_params:
            self.query = declared.query_reader.run_validation(_single_values(request))
        if declared.body is not None and request.method not in SAFE_METHODS:
            # A form arrives as a QueryDict, of which a serializer reads single values.
            data = request.data.dict() if hasattr(request.data, "dict") else request.data
            self.body = declared.body_reader.run_validation(data)


def _single_values(request: Request) -> dict[str, str]:
    for key, values in request.query_params.lists():
        if len(values) > 1:
            raise serializers.ValidationError({key: "The parameter is there twice."})
    return request.query_params.dict()
