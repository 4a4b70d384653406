"""What the tests of trust share: a project with one of everything, and all that could change."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection

from annotations.models import User
from tests.inference.conftest import store_image
from tests.pages.conftest import _assets
from tests.trust.everybody import people, things, world

__all__ = ["_assets", "people", "store_image", "things", "world"]

NOT_COMPARED = {"sessions.Session"}


@functools.cache
def selects() -> dict[str, str]:
    """A query for all of a table, by the table's name; of people, not when they last logged in."""
    found = {}
    for model in apps.get_models():
        columns = [field.column for field in model._meta.concrete_fields if field.column]
        if model is User:
            columns.remove("last_login")
        if model._meta.label not in NOT_COMPARED:
            names, key = ", ".join(f'"{column}"' for column in columns), model._meta.pk.column
            found[model._meta.label] = (
                f'SELECT {names} FROM "{model._meta.db_table}" ORDER BY "{key}"'
            )
    return found


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but the sessions, as the database holds it."""
    found = {}
    with connection.cursor() as cursor:
        for label, select in selects().items():
            cursor.execute(select)
            found[label] = cursor.fetchall()
    return found


def stored_files() -> list[tuple[str, int]]:
    """The files of media and spool with their sizes."""
    return [
        (str(path.relative_to(root)), path.stat().st_size)
        for root in (Path(settings.MEDIA_ROOT), settings.SPOOL_DIR)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    ]


@pytest.fixture
def everything(db) -> Callable[[], Any]:
    """`everything()`: rows (jobs among them) and files as they are now."""
    return lambda: (rows(), stored_files())
