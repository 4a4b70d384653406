"""Reading request bodies: nothing reaches a serializer that a database cannot store."""

import codecs
import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any

from rest_framework import parsers

from annotations.errors import ServiceError

MAX_DEPTH = 64
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def _refuse(detail: str) -> ServiceError:
    return ServiceError(400, "invalid_json", detail, hint="Nothing was changed.")


def _check_depth(bare: bytes) -> None:
    depth = 0
    for character in bare.translate(None, _NO_BRACKETS):
        if character in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _refuse(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        else:
            depth -= 1


def _maybe_large(bare: bytes) -> bool:
    """Whether a number may be one that `_float` or `_int` refuses. Most bodies hold none."""
    words = bare.count(b"true") + bare.count(b"false")
    return bare.count(b"e") + bare.count(b"E") > words or b"0" * 19 in bare.translate(_ZEROS)


def check_text(text: str) -> None:
    """Refuses NUL and lone surrogates, which PostgreSQL cannot store."""
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise _refuse("A text holds a NUL character or half a surrogate pair.")


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key)
            _check_texts(item)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _refuse(f"The key {twice!r:.100} is there twice.")
    return result


def _constant(name: str) -> float:
    raise _refuse(f"{name} is not a number in JSON.")


def _float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise _refuse(f"The number {literal:.30} is too large.")
    return value


def _int(literal: str) -> int:
    if len(literal) > 19:
        raise _refuse(f"The number {literal:.30} is too large.")
    return int(literal)


def parse_json(raw: bytes) -> Any:
    """JSON by the letter: UTF-8, finite numbers, no key twice, at most MAX_DEPTH levels."""
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        raise _refuse("The body is not UTF-8.") from None
    bare = _STRING.sub(b"", raw)
    _check_depth(bare)
    numbers: dict[str, Any] = {}
    if _maybe_large(bare):
        numbers = {"parse_float": _float, "parse_int": _int}
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant, **numbers)
    except json.JSONDecodeError as error:
        raise _refuse(
            f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        ) from None
    # Without such an escape the decoder above has already refused both.
    if _SUSPECT_ESCAPE.search(text):
        _check_texts(value)
    return value


class StrictJSONParser(parsers.JSONParser):
    """`parse_json` of the body. Django's limit on the size of a body holds."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {}).get("request")
        # `body` checks DATA_UPLOAD_MAX_MEMORY_SIZE; the stream does not.
        return parse_json(request._request.body if request is not None else stream.read())


class StrictMultiPartParser(parsers.MultiPartParser):
    """Forms with files. Texts obey the same rules as those in JSON."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        parsed = super().parse(*args, **kwargs)
        for key, values in parsed.data.lists():
            check_text(key)
            for value in values:
                check_text(value)
        return parsed
