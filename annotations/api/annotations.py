"""Annotations and the save protocol."""

import re
import uuid
from dataclasses import asdict, fields
from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import find, role_in
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.pagination import page, page_of
from annotations.api.serializers_annotations import (
    BIG,
    INT,
    WRITES,
    AnnotationLineSerializer,
    AnnotationQuery,
    AnnotationSerializer,
    OwnPatchResultSerializer,
    OwnPatchSerializer,
    PatchResultSerializer,
    PatchSerializer,
    RegionBodySerializer,
    RegionResultSerializer,
    RegionSerializer,
    StaleSerializer,
)
from annotations.errors import NotFound, ServiceError
from annotations.models import Annotation, Image
from annotations.selectors.annotations import get_annotation, list_annotations, region_values
from annotations.selectors.projects import get_project
from annotations.selectors.workspace import annotation_values, new_annotation_values
from annotations.services import submissions
from annotations.services.regions import PatchResult, apply_patch
from annotations.services.reviews import start_annotation
from annotations.services.writes import Delete, Upsert, Write

SAVE_ERRORS: dict[int, Any] = {409: ErrorSerializer, 412: StaleSerializer, 428: ErrorSerializer}
PRECONDITIONS = {
    "If-Match": 'The version that the write is based on, in quotes: "4".',
    "If-None-Match": "`*` to make a region.",
    "Idempotency-Key": "A UUID, one for each write, repeated when it is retried.",
}


def _values(user, annotation: Annotation) -> dict[str, Any]:
    role = role_in(user, annotation.project_id)
    return annotation_values(user, role, annotation, annotation.image)


class OwnAnnotation(View):
    @endpoint(
        replies={200: AnnotationSerializer, 201: AnnotationSerializer},
        errors={409: ErrorSerializer},
    )
    def post(self, request: Request, pk: int) -> Response:
        """The own annotation of the image: made now (201), or there already (200)."""
        image = find(Image.objects.select_related("project"), request.user, pk=pk)
        annotation, made = start_annotation(request.user, image)
        if made:
            return Response(new_annotation_values(annotation), status=201)
        return Response(_values(request.user, get_annotation(request.user, annotation.pk)))


class OwnPatches(View):
    @endpoint(body=OwnPatchSerializer, replies=OwnPatchResultSerializer, errors=SAVE_ERRORS)
    def post(self, request: Request, pk: int) -> Response:
        """A patch of the own annotation, begun if there is none, and its submission: one commit."""
        values = self.body | {"writes": read_writes(self.body["writes"])}
        annotation, result = submissions.save(request.user, pk, **values)
        about = {"annotation": annotation.pk, "status": annotation.status}
        return Response(about | _result(result))


class Annotations(View):
    @endpoint(query=AnnotationQuery, replies=page_of(AnnotationLineSerializer))
    def get(self, request: Request, pk: int) -> Response:
        """Reviewers see all annotations of the project, annotators their own."""
        rows = list_annotations(
            request.user,
            get_project(request.user, pk),
            status=self.query.get("status", ""),
            annotator=self.query.get("annotator", ""),
        )
        found, cursor = page(rows, self.query)
        lines = AnnotationLineSerializer(found, many=True).data
        return Response({"results": lines, "next": cursor})


class AnnotationView(View):
    @endpoint(replies=AnnotationSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """The annotation with its regions, reviews and comments."""
        return Response(_values(request.user, get_annotation(request.user, pk)))


class Patches(View):
    @endpoint(body=PatchSerializer, replies=PatchResultSerializer, errors=SAVE_ERRORS)
    def post(self, request: Request, pk: int) -> Response:
        """The save protocol: all writes or none. 200 is sent after COMMIT."""
        annotation = get_annotation(request.user, pk)
        writes = read_writes(self.body["writes"])
        result = apply_patch(request.user, annotation, writes, self.body["seconds"])
        return Response(_result(result))


def read_writes(raws: list[Any]) -> list[Write]:
    """The writes of a patch. ServiceError 400, or 428 where a version is missing."""
    return [_plain_upsert(raw) or _read_write(index, raw) for index, raw in enumerate(raws)]


_READERS = {op: (serializer(), made) for op, (serializer, made) in WRITES.items()}
_UPSERT = {field.name for field in fields(Upsert)} | {"op"}
_NEEDED = {"op", "region", "based_on", "key", "category"}


def _plain_upsert(raw: Any) -> Upsert | None:
    """What editors send, read ten times as fast; None: the serializer says what it is."""
    if not isinstance(raw, dict) or not _NEEDED <= raw.keys() <= _UPSERT or raw["op"] != "upsert":
        return None
    given = raw.get
    source, mask, proposal = given("source", "api"), given("mask"), given("proposal")
    numbers = (raw["based_on"], raw["category"], given("order", 0))
    try:
        region, key = uuid.UUID(hex=raw["region"]), uuid.UUID(hex=raw["key"])
    except (ValueError, AttributeError, TypeError):
        return None
    if (
        not all(type(number) is int for number in numbers)
        or not 0 <= numbers[0] <= BIG
        or not 1 <= numbers[1] <= BIG
        or not -INT <= numbers[2] <= INT
        or not (proposal is None or (type(proposal) is int and 1 <= proposal <= BIG))
        or type(given("is_crowd", False)) is not bool
        or given("attributes", {}) is None
        or type(source) is not str
        or not (source.isascii() and source.isprintable() and 0 < len(source.strip()) <= 40)
        or source != source.strip()
        or (mask is not None and (type(mask) is not dict or mask.keys() != {"size", "counts"}))
    ):
        return None
    values = {name: value for name, value in raw.items() if name != "op"}
    return Upsert(**values | {"region": region, "key": key})


def _read_write(index: int, raw: Any) -> Write:
    op = raw.get("op") if isinstance(raw, dict) else None
    if not isinstance(op, str) or op not in _READERS:
        raise ServiceError(
            400,
            "invalid",
            "A write is an upsert, delete, dismiss or restore.",
            f"writes[{index}].op",
        )
    reader, write_class = _READERS[op]
    if "based_on" not in raw and write_class in (Upsert, Delete):
        raise _precondition_missing(f"writes[{index}].based_on", raw.get("region"))
    try:
        values = dict(reader.run_validation(raw))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({f"writes[{index}]": error.detail}) from None
    del values["op"]
    return write_class(**values)


def _precondition_missing(field: str, region: Any) -> ServiceError:
    return ServiceError(
        428,
        "precondition_needed",
        "The write does not say which version it is based on.",
        field,
        "Send the version that you have, or 0 (If-None-Match: *) to make a region.",
        {"region": region if isinstance(region, str) else None},
    )


def _result(result: PatchResult) -> dict[str, Any]:
    # The renderer writes dataclasses by itself.
    return {"revision": result.revision, "regions": result.regions}


class RegionView(View):
    @endpoint(replies=RegionSerializer)
    def get(self, request: Request, pk: int, region: uuid.UUID) -> Response:
        """The region; its version is the ETag."""
        annotation = get_annotation(request.user, pk)
        rows = annotation.regions.filter(uuid=region, deleted_at=None).select_related("author")
        if (found := rows.first()) is None:
            raise NotFound("region")
        return Response(region_values(found, annotation.image), headers=_etag(found.version))

    @endpoint(
        body=RegionBodySerializer,
        replies={200: RegionResultSerializer, 201: RegionResultSerializer},
        errors=SAVE_ERRORS,
        headers=PRECONDITIONS,
    )
    def put(self, request: Request, pk: int, region: uuid.UUID) -> Response:
        """Makes or replaces one region."""
        based_on = _based_on(request, region)
        write = Upsert(region=region, based_on=based_on, key=_key(request), **self.body)
        return self._apply(request, pk, write, 200 if based_on else 201)

    @endpoint(replies=RegionResultSerializer, errors=SAVE_ERRORS, headers=PRECONDITIONS)
    def delete(self, request: Request, pk: int, region: uuid.UUID) -> Response:
        """Deletes one region."""
        based_on = _based_on(request, region)
        return self._apply(request, pk, Delete(region, based_on, _key(request)), 200)

    def _apply(self, request: Request, pk: int, write: Upsert | Delete, status: int) -> Response:
        try:
            result = apply_patch(request.user, get_annotation(request.user, pk), [write])
        except ServiceError as error:
            error.field = error.field.removeprefix("writes[0].")
            raise
        outcome = result.regions[0]
        body = asdict(outcome) | {"revision": result.revision}
        return Response(body, status=status, headers=_etag(outcome.version))


def _etag(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


def _based_on(request: Request, region: uuid.UUID) -> int:
    """The version in If-Match, or 0 for If-None-Match: *."""
    match, none_match = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if match is None and none_match is None:
        raise _precondition_missing("If-Match", str(region))
    if match is None and none_match == "*":
        return 0
    found = re.fullmatch(r'"([1-9][0-9]{0,17})"', match or "")
    if found is None or none_match is not None:
        raise ServiceError(
            400, "invalid", 'The condition is either If-Match: "4" or If-None-Match: *.', "If-Match"
        )
    return int(found[1])


def _key(request: Request) -> uuid.UUID:
    given = request.headers.get("Idempotency-Key")
    try:
        return uuid.UUID(given) if given else uuid.uuid4()
    except ValueError:
        raise ServiceError(400, "invalid", "The key must be a UUID.", "Idempotency-Key") from None


urlpatterns = [
    path("images/<int:pk>/annotations", OwnAnnotation.as_view()),
    path("images/<int:pk>/patches", OwnPatches.as_view()),
    path("projects/<int:pk>/annotations", Annotations.as_view()),
    path("annotations/<int:pk>", AnnotationView.as_view()),
    path("annotations/<int:pk>/patches", Patches.as_view()),
    path("annotations/<int:pk>/regions/<uuid:region>", RegionView.as_view()),
]
