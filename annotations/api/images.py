"""Images: the grid, uploads, and the bytes."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.urls import path
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from annotations.access import MAX_ID, find
from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.jobs import JobSerializer
from annotations.api.pagination import PageQuery, page_of
from annotations.api.uploads import UploadView, full_name
from annotations.errors import NotFound, ServiceError
from annotations.models import Annotation, Image, Job, Project, StoredFile
from annotations.selectors import images as selectors
from annotations.selectors import pictures
from annotations.selectors.projects import get_project
from annotations.services import frames, ingest, references, thumbnails
from annotations.services.files import plain_name, tile_folder, tile_grid
from annotations.services.uploads import upload_files


class _AnnotatorSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    username = serializers.CharField()


class ImageAnnotationSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    status = serializers.ChoiceField(Annotation.Status.choices)
    annotator = _AnnotatorSerializer()


class ImageSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    uuid = serializers.UUIDField()
    name = serializers.CharField()
    width = serializers.IntegerField(help_text="Of the upright raster, pixels.")
    height = serializers.IntegerField()
    status = serializers.ChoiceField(Image.Status.choices)
    created_at = serializers.DateTimeField()
    url = serializers.CharField()
    thumbnail_url = serializers.CharField()
    annotations = ImageAnnotationSerializer(many=True, help_text="Those that you may see.")


class ImageQuery(PageQuery):
    status = serializers.ChoiceField(Image.Status.choices, required=False)
    search = serializers.CharField(required=False, help_text="Part of the name, in any case.")
    annotator = serializers.CharField(required=False, help_text="A username.")
    category = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_ID, help_text="Images with a region of it."
    )


class UploadSerializer(serializers.Serializer):
    files = serializers.ListField(
        child=serializers.FileField(),
        help_text="Images, volumes, videos and zips; a name may hold its folder.",
    )
    allow_partial = serializers.BooleanField(
        default=False, help_text="Take the good images of a zip that holds bad ones."
    )
    every = serializers.IntegerField(
        required=False, min_value=1, help_text="Of a video: every so manieth frame."
    )
    seconds = serializers.FloatField(
        required=False, help_text="Of a video: one frame in so many seconds. Default 1."
    )


class UploadedSerializer(serializers.Serializer):
    file = serializers.IntegerField(help_text="Which of the request's files it is of, from 0.")
    name = serializers.CharField()
    image = ImageSerializer(allow_null=True)
    error = ErrorSerializer(allow_null=True)


class UploadResultSerializer(serializers.Serializer):
    results = UploadedSerializer(many=True, help_text="One per image.")
    jobs = JobSerializer(many=True, help_text="What takes long is ingested by a worker.")


class Images(UploadView):
    @endpoint(query=ImageQuery, replies=page_of(ImageSerializer))
    def get(self, request: Request, pk: int) -> Response:
        project = find(Project.objects.all(), request.user, pk=pk)
        rows, after = selectors.list_images(request.user, project, **self.query)
        return Response({"results": [selectors.image_line(row) for row in rows], "next": after})

    @endpoint(
        request={"multipart/form-data": UploadSerializer},
        replies={201: UploadResultSerializer, 202: UploadResultSerializer},
        errors=dict.fromkeys((409, 413, 415, 422, 507), ErrorSerializer),
    )
    def post(self, request: Request, pk: int) -> Response:
        """Upload images, volumes, videos and zips. Each file stands alone: what is good is stored.

        201 when something was stored, 202 when all of it waits for a worker. When nothing could be
        taken the answer is the first file's error, with all under `results`.
        """
        project = get_project(request.user, pk)
        uploads, data = self.form(request, "files", {"allow_partial", "every", "seconds"})
        allow_partial = self.flag(data, "allow_partial")
        sampling = frames.sampling_of(data)
        results: list[dict[str, Any]] = []
        jobs: list[Job] = []
        failed: ServiceError | None = None
        outcomes = upload_files(
            request.user,
            project,
            [(upload, full_name(upload)) for upload in uploads],
            sampling=sampling,
            allow_partial=allow_partial,
        )
        for number, (name, took) in enumerate(outcomes):
            if isinstance(took, ServiceError):
                failed = failed or took
                found = [{"name": name, "image": None, "error": _error(took.body)}]
            elif isinstance(took, Job):
                jobs.append(took)
                found = []
            else:
                found = _file_results(took)
            results += [{"file": number, **one} for one in found]
        body = {"results": results, "jobs": JobSerializer(jobs, many=True).data}
        stored = any(result["image"] for result in results)
        if failed and not stored and not jobs:
            said = failed.body | {"results": body["results"]}
            return Response(said, status=failed.status, headers=failed.headers)
        return Response(body, status=201 if stored else 202)


def _error(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ("code", "detail", "field", "hint")}


def _file_results(took: ingest.FilesResult) -> list[dict[str, Any]]:
    added = [
        {"name": image.name, "image": selectors.image_line(image), "error": None}
        for image in took.added
    ]
    bad = [{"name": one["name"], "image": None, "error": _error(one)} for one in took.bad]
    known = [
        {"name": name, "image": None, "error": _error(ServiceError(
            409, "duplicate", f"“{name}” is already in this project.", field=name
        ).body)}
        for name in took.known
    ]  # fmt: skip
    return [*added, *bad, *known]


class OneImage(View):
    @endpoint(replies=ImageSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(selectors.image_line(selectors.get_image(request.user, pk)))

    @endpoint()
    def delete(self, request: Request, pk: int) -> Response:
        """Delete an image with all work on it. Managers only."""
        ingest.delete_image(request.user, selectors.get_image(request.user, pk))
        return Response(status=204)


class AnyType(BaseContentNegotiation):
    """A picture is sent as what it is, whatever the client says it accepts."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


BINARY = OpenApiTypes.BINARY
_DRAWN = {(200, "image/jpeg"): BINARY, (304, "image/jpeg"): None}
_PICTURE = {(200, "image/*"): BINARY, (304, "image/*"): None}


class ImageFile(View):
    """The upright raster that browsers draw."""

    content_negotiation_class = AnyType

    @endpoint(replies=_PICTURE)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        image = find(Image.objects.select_related("file"), request.user, pk=pk)
        return send(request, image.file.upright, image.file.upright_type, image, "upright")


class Thumbnail(View):
    """A JPEG or WebP of at most 320 pixels."""

    content_negotiation_class = AnyType

    @endpoint(replies=_PICTURE)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        image = find(Image.objects.select_related("file"), request.user, pk=pk)
        name = image.file.thumbnail
        mime = "image/webp" if name.endswith(".webp") else "image/jpeg"
        if settings.USE_X_ACCEL:  # the proxy cannot make it
            thumbnails.ensure(image.file)
        try:
            return send(request, name, mime, image, "thumbnail")
        except ServiceError:
            thumbnails.ensure(image.file)
            return send(request, name, mime, image, "thumbnail")


class AnnotationPicture(View):
    """The thumbnail with an annotation's regions, as they are now."""

    content_negotiation_class = AnyType

    @endpoint(replies=_DRAWN)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """JPEG of at most 320 pixels; 304 while neither regions nor colours changed."""
        rows = Annotation.objects.select_related("image__file", "project")
        annotation = find(rows, request.user, pk=pk)
        colors = pictures.category_colors(annotation.project)
        etag = pictures.etag(annotation, colors)
        draw = partial(pictures.draw_annotation, annotation, colors)
        return _drawn(request, etag, annotation.image.file, draw)


class ProposalsPicture(View):
    """The thumbnail with what models propose, more faintly than regions."""

    content_negotiation_class = AnyType

    @endpoint(replies=_DRAWN)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """JPEG of at most 320 pixels; 304 while neither proposals nor colours changed."""
        image = find(Image.objects.select_related("file", "project"), request.user, pk=pk)
        colors = pictures.category_colors(image.project)
        newest = pictures.newest_predictions(image)
        etag = pictures.proposals_etag(image, newest, colors)
        draw = partial(pictures.draw_proposals, image, newest, colors)
        return _drawn(request, etag, image.file, draw)


def _drawn(
    request: Request, etag: str, file: StoredFile, draw: Callable[[], bytes]
) -> HttpResponseBase:
    """What `draw` makes of the file's thumbnail, unless the browser has it."""
    tag = f'"{etag}"'
    response: HttpResponseBase | None = get_conditional_response(request._request, etag=tag)
    if response is None:
        thumbnails.ensure(file)
        response = HttpResponse(draw(), content_type="image/jpeg")
    response["ETag"] = tag
    response["Cache-Control"] = "private, no-cache"
    return response


class Original(View):
    """The bytes as they were uploaded, as a download."""

    content_negotiation_class = AnyType

    @endpoint(replies=_PICTURE)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        image = find(Image.objects.select_related("file"), request.user, pk=pk)
        file = image.file
        return send(request, file.original, file.original_type, image, "original", download=True)


class Values(View):
    """Gray of more than 8 bits: gzipped little-endian uint16, row after row.

    The workspace's `window` says what they mean.
    """

    content_negotiation_class = AnyType

    @endpoint(replies={(200, "application/gzip"): BINARY, (304, "application/gzip"): None})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        image = find(Image.objects.select_related("file"), request.user, pk=pk)
        if not image.file.values:
            raise NotFound("value")
        return send(request, image.file.values, "application/gzip", image, "values")


class Tile(View):
    """A JPEG of at most 512 × 512 pixels of a large image. Level 0 is the whole image in one tile.

    Each next level is twice as wide and high; the last one has the image's own pixels.
    """

    content_negotiation_class = AnyType

    @endpoint(replies={(200, "image/jpeg"): BINARY, (304, "image/jpeg"): None})
    def get(self, request: Request, pk: int, level: int, x: int, y: int) -> HttpResponseBase:
        image = find(Image.objects.select_related("file"), request.user, pk=pk)
        file = image.file
        if level >= file.levels:
            raise NotFound("tile")
        columns, rows = tile_grid(file, level)
        if x >= columns or y >= rows:
            raise NotFound("tile")
        name = f"{tile_folder(file.sha256)}/{level}/{x}_{y}.jpg"
        return send(request, name, "image/jpeg", image, f"{level}-{x}-{y}")


def send(
    request: Request, name: str, mime: str, image: Image, view: str, *, download: bool = False
) -> HttpResponseBase:
    """A stored file of an image; 304 when the client has it. Content never changes under a name."""
    etag = f'"{image.file.sha256}-{view}"'
    response: HttpResponseBase | None = get_conditional_response(request._request, etag=etag)
    if response is None and image.file.reference and name == image.file.original:
        opened = references.open_original(image.file)
        response = _named(
            FileResponse(opened, content_type=mime), plain_name(image.name), download=download
        )
    elif response is None:
        response = stream(name, mime, plain_name(image.name), download=download)
    response["ETag"] = etag
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def stream(name: str, mime: str, file_name: str, *, download: bool) -> HttpResponseBase:
    """A stored file under a safe name, sent by the proxy where USE_X_ACCEL says so."""
    response: HttpResponseBase
    if settings.USE_X_ACCEL:
        response = HttpResponse(content_type=mime)
        response["X-Accel-Redirect"] = f"/protected/{quote(name)}"
    else:
        try:
            response = FileResponse(default_storage.open(name), content_type=mime)
        except FileNotFoundError:
            raise ServiceError(404, "file_missing", "The file is missing on the server.")
    return _named(response, file_name, download=download)


def _named(response: HttpResponseBase, file_name: str, *, download: bool) -> HttpResponseBase:
    disposition = content_disposition_header(download, file_name)
    if disposition:
        response["Content-Disposition"] = disposition
    response["X-Content-Type-Options"] = "nosniff"
    return response


urlpatterns = [
    path("projects/<int:pk>/images", Images.as_view()),
    path("images/<int:pk>", OneImage.as_view()),
    path("images/<int:pk>/file", ImageFile.as_view()),
    path("images/<int:pk>/thumbnail", Thumbnail.as_view()),
    path("images/<int:pk>/proposals/picture", ProposalsPicture.as_view()),
    path("annotations/<int:pk>/picture", AnnotationPicture.as_view()),
    path("images/<int:pk>/original", Original.as_view()),
    path("images/<int:pk>/values", Values.as_view()),
    path("images/<int:pk>/tiles/<int:level>/<int:x>/<int:y>", Tile.as_view()),
]
