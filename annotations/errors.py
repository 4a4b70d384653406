"""The one exception that services and selectors raise for what a person can put right."""

from typing import Any


class ServiceError(Exception):
    """An answer other than yes. Whoever raises it has changed nothing.

    `status` is the HTTP status; `code` a short word for programs; `detail` and `hint` plain words
    for people; `field` the offending item, such as `writes[2].polygons`. `extra` is merged into
    the body, `headers` into the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field: str = "",
        hint: str = "",
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.hint = hint
        self.extra = extra or {}
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """`{code, detail, field, hint}` and the extra keys."""
        return {
            "code": self.code,
            "detail": self.detail,
            "field": self.field,
            "hint": self.hint,
            **self.extra,
        }


class NotFound(ServiceError):
    """404: it does not exist, or does not for this person."""

    def __init__(self, what: str = "page") -> None:
        super().__init__(404, "not_found", f"There is no such {what}.")


class Forbidden(ServiceError):
    """403: a member, with too low a role."""

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(403, "forbidden", detail, hint=hint)


class Conflict(ServiceError):
    """409: the state of things does not allow it now."""

    def __init__(self, code: str, detail: str, field: str = "", hint: str = "") -> None:
        super().__init__(409, code, detail, field, hint)


class StorageAway(ServiceError):
    """503: what was asked for needs a file, and the storage does not give or take it."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "storage_unreachable",
            "The file storage does not answer. Nothing was changed.",
            hint="Try again in a minute, or tell whoever runs this server.",
            headers={"Retry-After": "10"},
        )
