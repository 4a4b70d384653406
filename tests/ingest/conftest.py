"""A picture of all that an upload could change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from urllib3.filepost import encode_multipart_formdata

from annotations.models import Image, Job, StoredFile


@pytest.fixture
def state(settings, db) -> Callable[[], tuple[Any, ...]]:
    """Rows and files (media and spool) as they are now."""

    def look() -> tuple[Any, ...]:
        files = [
            path.relative_to(root)
            for root in (Path(settings.MEDIA_ROOT), settings.SPOOL_DIR)
            for path in sorted(root.rglob("*"))
            if path.is_file()
        ]
        return Image.objects.count(), StoredFile.objects.count(), Job.objects.count(), files

    return look


@pytest.fixture
def upload(client_of, project) -> Callable[..., Any]:
    """`upload(user, {name: bytes}, **fields)` posts to the project; gives the response."""

    def post(user: Any, files: dict[str, bytes], **fields: str) -> Any:
        # Django's own encoder drops the folders of a name, which browsers send.
        parts: list[Any] = [("files", (name, data)) for name, data in files.items()]
        body, kind = encode_multipart_formdata([*parts, *fields.items()])
        return client_of(user).generic("POST", f"/api/projects/{project.pk}/images", body, kind)

    return post
