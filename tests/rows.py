"""All that the database holds, to see whether something changed it."""

import functools
from typing import Any

from django.apps import apps
from django.db import connection

from annotations.models import User

NOT_COMPARED = {"sessions.Session"}


@functools.cache
def selects() -> dict[str, str]:
    """A query for all of a table, by the table's name; of people, not when they last logged in."""
    found = {}
    for model in apps.get_models():
        columns = [field.column for field in model._meta.concrete_fields if field.column]
        if model is User:
            columns = [one for one in columns if one not in ("last_login", "last_seen_at")]
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
