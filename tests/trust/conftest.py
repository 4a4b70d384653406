"""What the tests of trust share: a project with one of everything, and all that could change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.inference.conftest import store_image
from tests.pages.conftest import _assets
from tests.rows import rows
from tests.trust.everybody import people, things, world

__all__ = ["_assets", "people", "store_image", "things", "world"]


def stored_files() -> list[tuple[str, int]]:
    """The files of media and spool with their sizes, but for the counts of attempts to log in."""
    return [
        (str(path.relative_to(root)), path.stat().st_size)
        for root in (Path(settings.MEDIA_ROOT), settings.SPOOL_DIR)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.parent.name != "logins"
    ]


@pytest.fixture
def everything(db) -> Callable[[], Any]:
    """`everything()`: rows (jobs among them) and files as they are now."""
    return lambda: (rows(), stored_files())
