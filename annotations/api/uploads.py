"""Reading uploads: multipart forms whose files keep the folder that is part of their name."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.http.multipartparser import MultiPartParser as DjangoMultiPartParser
from django.http.multipartparser import MultiPartParserError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import DataAndFiles, MultiPartParser
from rest_framework.request import Request

from annotations.api.base import View
from annotations.api.parsers import check_text
from annotations.errors import ServiceError


class _Parser(DjangoMultiPartParser):
    """Remembers the names as they came; Django keeps what is behind the last slash."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names: list[str] = []

    def sanitize_file_name(self, file_name: str) -> str | None:
        safe = super().sanitize_file_name(file_name)
        if safe:
            self.names.append(file_name)
        return safe


class FolderParser(MultiPartParser):
    """multipart/form-data; each file's `full_name` is its name with folders. No field is null."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles:
        context = parser_context or {}
        request = context["request"]
        meta = request.META | {"CONTENT_TYPE": media_type or ""}
        encoding = context.get("encoding") or settings.DEFAULT_CHARSET
        try:
            parser = _Parser(meta, stream, request.upload_handlers, encoding)
            data, files = parser.parse()
        except MultiPartParserError as error:
            raise ParseError(f"The form could not be read: {error}.")
        for key, values in data.lists():
            for text in (key, *values):
                check_text(text)
        uploads = [file for _, group in files.lists() for file in group]
        if len(files) == 1:
            for file, name in zip(uploads, parser.names, strict=True):
                file.full_name = name
        return DataAndFiles(data, files)


class UploadView(View):
    """A view that takes uploads. Refuses by the announced length before a byte is read."""

    parser_classes = [FolderParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        length = request.META.get("CONTENT_LENGTH") or 0
        if int(length) > settings.MAX_UPLOAD_BYTES:
            raise ServiceError(
                413,
                "too_large",
                f"The request is larger than {settings.MAX_UPLOAD_BYTES // 2**20} MiB.",
                hint="Send the files in several requests.",
            )
        super().initial(request, *args, **kwargs)

    def form(
        self, request: Request, file_field: str, fields: set[str]
    ) -> tuple[list[UploadedFile], QueryDict]:
        """The files of `file_field` and the other values. 400 for what is not known or missing."""
        files, data = request.FILES, request.POST
        unknown = (set(files) - {file_field}) | (set(data) - fields)
        if unknown:
            name = min(unknown)
            raise ServiceError(
                400, "invalid", f"There is no field “{name:.100}”.", field=name[:100]
            )
        found = files.getlist(file_field)
        if not found:
            raise ServiceError(400, "invalid", "There is no file in the request.", field=file_field)
        return found, data

    @staticmethod
    def flag(data: QueryDict, name: str) -> bool:
        """A field that is `true` or `false`; absent: false."""
        value = data.get(name, "false").lower()
        if value not in ("true", "false"):
            raise ServiceError(400, "invalid", "This is true or false.", field=name)
        return value == "true"


def full_name(file: UploadedFile) -> str:
    """The name as it was sent, with folders."""
    return getattr(file, "full_name", "") or file.name or ""
