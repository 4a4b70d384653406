"""Mask decoders as ONNX, for browsers."""

from django.http import HttpResponseBase
from django.urls import path
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

from annotations.api.base import ErrorSerializer, View, endpoint
from annotations.api.images import AnyType, stream
from annotations.errors import NotFound
from inference.selectors import get_model
from inference.services import decoders


class DecoderFile(View):
    """The part of a prompt model that answers clicks, as ONNX. For whoever is logged in."""

    content_negotiation_class = AnyType

    @endpoint(
        replies={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        errors={409: ErrorSerializer},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        model = get_model(pk, "prompt")
        if not decoders.stored(model):
            raise NotFound("decoder")
        etag = f'"{model.sha256}-{decoders.LAYOUT}"'
        response: HttpResponseBase | None = get_conditional_response(request._request, etag=etag)
        if response is None:
            name = decoders.storage_name(model)
            response = stream(name, "application/octet-stream", "decoder.onnx", download=False)
        response["ETag"] = etag
        # The same address may mean other weights tomorrow: ask, and get 304.
        response["Cache-Control"] = "private, no-cache"
        return response


urlpatterns = [path("models/<int:pk>/decoder", DecoderFile.as_view())]
