"""Writing JSON replies."""

from collections.abc import Mapping
from typing import Any

import orjson
from rest_framework import renderers
from rest_framework.utils.encoders import JSONEncoder

_other = JSONEncoder().default


class JSONRenderer(renderers.JSONRenderer):
    """Ten times as fast as the standard library's. NaN, which JSON does not have, becomes null."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        options = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
        return orjson.dumps(data, default=_other, option=options)
