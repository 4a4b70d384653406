"""Many rows at once, without an object for each: what the ORM needs per row is most of an import.

Columns that are not named get their fields' defaults, as `bulk_create` would give them. No signal
is sent; there are none in this project.
"""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO
from itertools import count, islice
from typing import Any

from django.db import connection
from django.db.models import AutoField, Model, UUIDField
from django.utils import timezone

AT_ONCE = 500

_COUNTED_UUID = {
    "sqlite": "'{start}' || printf('%%015x', id)",
    "postgresql": "('{start}' || lpad(to_hex(id), 15, '0'))::uuid",
}


def insert(
    model: type[Model], names: Sequence[str], rows: Iterator[tuple[Any, ...]], **constants: Any
) -> None:
    """Insert rows of these fields. Values are the database's own: JSON is text, a key is a key.

    constants: what other fields have in all rows.
    """
    quote: Any = connection.ops.quote_name
    fields = {field.attname: field for field in model._meta.concrete_fields}
    others = [one for name, one in fields.items() if name not in names and not _is_key(one)]
    same = [constants.get(one.attname, _UNSET) for one in others]
    same = [
        _default(field) if value is _UNSET else value
        for field, value in zip(others, same, strict=True)
    ]
    columns = ", ".join(quote(one.column) for one in [*(fields[name] for name in names), *others])
    table = f"{quote(model._meta.db_table)} ({columns})"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            values = ", ".join(["%s"] * len(names) + list(map(_literal, same)))
            while chunk := list(islice(rows, AT_ONCE)):
                cursor.executemany(f"INSERT INTO {table} VALUES ({values})", chunk)  # noqa: S608 (names of models)
            return
        end = "".join(f"\t{_copied(value)}" for value in same) + "\n"
        while chunk := list(islice(rows, AT_ONCE)):
            text = StringIO("".join("\t".join(map(_copied, row)) + end for row in chunk))
            with connection.wrap_database_errors:
                cursor.copy_expert(f"COPY {table} FROM STDIN", text)


_UNSET = object()


def _literal(value: Any) -> str:
    """As SQLite's SQL has it. It is parsed once, where a parameter is bound for every row."""
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return repr(+value)
    return "'" + str(value).replace("'", "''").replace("%", "%%") + "'"


def _copied(value: Any) -> str:
    """As PostgreSQL's COPY reads it."""
    if value is None:
        return "\\N"
    if not isinstance(value, str):
        return str(value)
    for character, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, escape)
    return value


def copy(
    source: type[Model], target: type[Model], where: str, keys: Sequence[int], **values: Any
) -> None:
    """Insert a row of `target` for each row of `source` whose field `where` is one of the keys.

    Fields of the same name are copied; `values` name another column of the source, or give a value
    that is no text. A UUID that neither gives is made from the row's key.
    """
    quote: Any = connection.ops.quote_name
    known = {field.attname: field for field in source._meta.concrete_fields}
    columns, parts, parameters = [], [], []
    for field in target._meta.concrete_fields:
        if _is_key(field):
            continue
        columns.append(quote(field.column))
        if field.attname in values:
            value = values[field.attname]
            parts.append(quote(value) if isinstance(value, str) else "%s")
            parameters += [] if isinstance(value, str) else [value]
        elif field.attname in known:
            parts.append(quote(known[field.attname].column))
        elif isinstance(field, UUIDField):
            counted = _COUNTED_UUID[connection.vendor]
            parts.append(counted.format(start=uuid.uuid4().hex[:17]))
        else:
            parts.append("%s")
            parameters.append(_default(field))
    table, origin = quote(target._meta.db_table), quote(source._meta.db_table)
    with connection.cursor() as cursor:
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            marks = ", ".join(["%s"] * len(some))
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(parts)} "  # noqa: S608 (the same)
                f"FROM {origin} WHERE {quote(known[where].column)} IN ({marks}) "
                f"ORDER BY {quote('id')}",
                [*parameters, *some],
            )


def _is_key(field: Any) -> bool:
    return isinstance(field, AutoField)


def _default(field: Any) -> Any:
    """What a new object would have here, as the database takes it."""
    value = timezone.now() if getattr(field, "auto_now_add", False) else field.get_default()
    if getattr(field, "auto_now", False):
        value = timezone.now()
    return field.get_db_prep_save(value, connection)


def update(model: type[Model], name: str, pairs: Sequence[tuple[int, int]]) -> None:
    """Set a field of whole numbers: (key, value) of each row."""
    quote: Any = connection.ops.quote_name
    field: Any = model._meta.get_field(name)
    column, table = quote(field.column), quote(model._meta.db_table)
    with connection.cursor() as cursor:
        for start in range(0, len(pairs), AT_ONCE):
            some = pairs[start : start + AT_ONCE]
            values = ", ".join(["(%s, %s)"] * len(some))
            cursor.execute(
                f"UPDATE {table} SET {column} = new.column2 "  # noqa: S608 (names of models)
                f"FROM (VALUES {values}) AS new WHERE {quote('id')} = new.column1",
                [number for pair in some for number in pair],
            )


def uuids() -> Iterator[str]:
    """Random at the start and then counted on, as the database takes them.

    An index of them grows at one place, which takes a fraction of the time.
    """
    for number in count(uuid.uuid4().int & ~(1 << 61)):
        yield f"{number:032x}"


def text_of(moment: datetime) -> Any:
    """As the database takes it."""
    return connection.ops.adapt_datetimefield_value(moment)
