"""Queries that Django writes once.

Writing the SQL of a query with a few conditions takes Django longer than a database takes to answer
it. What every save and every look at the queue asks for is therefore compiled once for each kind of
database, and filled in with values.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from weakref import WeakSet

import orjson
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Model, QuerySet, TextField
from django.db.models.functions import Cast
from django.db.models.query import get_related_populators
from django.db.models.sql import UpdateQuery
from django.utils import timezone

_MARK = 2**31 - 1000
"""Stands for the first value while a query is compiled; the next ones follow it.

Django drops conditions that are always true or false because a column has fewer bits.
"""
A_UUID = UUID(int=0)
A_TIME = datetime(1, 1, 1, tzinfo=UTC)
_ROWS_AT_ONCE = 500
Value = int | str | UUID | datetime | Collection[int] | Collection[str] | Collection[UUID]


_all: "WeakSet[Prepared]" = WeakSet()


def compile_all() -> None:
    """Writes the SQL of all of them now, so that no request waits for it."""
    for one in list(_all):
        one._here()


class Prepared:
    """The query that `build` makes of values, each of which may only be compared with.

    They are whole numbers, unless the parameter's default is "" (a text), A_UUID or A_TIME. One
    that `build` puts in a list, `id__in=[ids]`, is any number of them. `update` names columns and
    their new values: then it is an UPDATE, whose further values come after those of `build`; it
    returns the columns `returning`.
    """

    def __init__(
        self,
        build: Callable[..., QuerySet[Any, Any]],
        update: Callable[..., dict[str, Any]] | None = None,
        returning: Sequence[str] = (),
    ) -> None:
        self.build, self._update, self._returning = build, update, returning
        self._compiled: dict[str, _Compiled] = {}
        _all.add(self)

    def __call__(self, *values: Value) -> list[Any]:
        """The rows, each a sequence of values with Python's types."""
        return self._here().rows(values)

    def first(self, *values: Value) -> Any:
        """The first column of the first row, None where there is no row."""
        rows = self(*values)
        return rows[0][0] if rows else None

    def instances(self, *values: Value) -> list[Any]:
        """The rows as instances of the model, with what `select_related` and `annotate` add."""
        compiled = self._here()
        return [compiled.instance(row) for row in compiled.rows(values)]

    def instance(self, *values: Value) -> Any:
        """The first of `instances`, None where there is no row."""
        return next(iter(self.instances(*values)), None)

    def _here(self) -> "_Compiled":
        vendor = connection.vendor
        if vendor not in self._compiled:
            self._compiled[vendor] = self._compile()
        return self._compiled[vendor]

    def _compile(self) -> "_Compiled":
        marks = _marks(self.build)
        query: Any = self.build(*marks).query
        if self._update:
            more = _marks(self._update, len(marks))
            query = query.chain(UpdateQuery)
            query.add_update_values(self._update(*more))
            marks += more
        compiler = query.get_compiler(connection=connection)
        sql, given = compiler.as_sql()
        if self._returning:
            sql += f" RETURNING {', '.join(map(connection.ops.quote_name, self._returning))}"
        known = {_for_database(mark): number for number, mark in enumerate(marks)}
        places = [
            (place, known[value])
            for place, value in enumerate(given)
            if isinstance(value, int | str | UUID | datetime) and value in known
        ]
        return _Compiled(sql, list(given), places, compiler, not self._update)


def _marks(build: Callable[..., Any], first: int = 0) -> list[Any]:
    """What stands for each value while a query is compiled, of the value's type."""
    marks: list[Any] = []
    for number, parameter in enumerate(inspect.signature(build).parameters.values(), _MARK + first):
        match parameter.default:
            case str():
                marks.append(str(number))
            case UUID():
                marks.append(UUID(int=number))
            case datetime():
                marks.append(A_TIME + timedelta(seconds=number))
            case _:
                marks.append(number)
    return marks


def _for_database(value: Any) -> Any:
    """A value as a cursor of this kind of database takes it."""
    if isinstance(value, UUID):
        return value if connection.features.has_native_uuid_field else value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


class _Compiled:
    """SQL for one kind of database. `places`: where in `given` which value goes."""

    def __init__(
        self, sql: str, given: list[Any], places: list[tuple[int, int]], compiler: Any, reads: bool
    ) -> None:
        self.sql, self.given, self.places, self.query = sql, given, places, compiler.query
        columns = [column for column, *_ in compiler.select] if reads else []
        self.converters = compiler.get_converters(columns)
        if reads and compiler.query.default_cols:
            info: Any = compiler.klass_info
            self.model, numbers = info["model"], info["select_fields"]
            self.first, self.end = numbers[0], numbers[-1] + 1
            chosen = compiler.select[self.first : self.end]
            self.names = [column.target.attname for column, *_ in chosen]
            populators: Any = get_related_populators  # its type is that of a later Django
            self.related = populators(info, compiler.select, DEFAULT_DB_ALIAS)
            self.annotations = list((compiler.annotation_col_map or {}).items())

    def rows(self, values: Sequence[Value]) -> list[Any]:
        given = self.given.copy()
        sql = self.sql
        for place, number in reversed(self.places):
            value = values[number]
            if isinstance(value, Collection) and not isinstance(value, str):
                if not value:
                    return []
                sql = _widened(sql, place, len(value))
                given[place : place + 1] = map(_for_database, value)
            else:
                given[place] = _for_database(value)
        rows = _asked(sql, given)
        if self.converters and rows:
            compiler = self.query.get_compiler(connection=connection)
            return list(compiler.apply_converters(rows, self.converters))
        return rows

    def instance(self, row: Any) -> Any:
        """As Django's own `ModelIterable` makes it."""
        made = self.model.from_db(DEFAULT_DB_ALIAS, self.names, row[self.first : self.end])
        for one in self.related:
            one.populate(row, made)
        for name, column in self.annotations:
            setattr(made, name, row[column])
        return made


def _widened(sql: str, place: int, count: int) -> str:
    """The SQL with so many placeholders where its placeholder number `place` is."""
    parts = sql.split("%s")
    many = ", ".join(["%s"] * count)
    return f"{'%s'.join(parts[: place + 1])}{many}{'%s'.join(parts[place + 1 :])}"


def _asked(sql: str, given: list[Any], returns: bool = True) -> list[Any]:
    """The rows that the database answers, `returns` says whether there may be any.

    As a cursor of Django's does it, whose layers take longer than SQLite does. Where somebody
    listens to what is asked it is one.
    """
    here: Any = connections[DEFAULT_DB_ALIAS]  # `connection` looks it up with each attribute
    if here.execute_wrappers or here.queries_logged:
        with here.cursor() as cursor:
            cursor.execute(sql, given)
            return cursor.fetchall() if returns else []
    here.close_if_health_check_failed()
    here.ensure_connection()
    here.validate_no_broken_transaction()
    with here.wrap_database_errors, closing(here.create_cursor()) as cursor:
        cursor.execute(sql, given)
        return cursor.fetchall() if returns else []


class Insert:
    """INSERT of instances of a model, which get their ids.

    `unique` names columns of which there may be a row already, in which `update` is written over.
    `ignore`: a row that breaks a constraint of uniqueness is left out, and the answer says so.
    """

    def __init__(
        self,
        model: type[Model],
        unique: Sequence[str] = (),
        update: Sequence[str] = (),
        ignore: bool = False,
    ) -> None:
        columns = [one for one in model._meta.concrete_fields if not one.db_returning]
        self._columns = _Columns(model, columns)
        names = self._columns.names
        self._head = f"INSERT INTO {self._columns.table} ({', '.join(names)}) VALUES "  # noqa: S608 (names of models)
        self._row = f"({', '.join(['%s'] * len(names))})"
        self._tail = " ON CONFLICT DO NOTHING" if ignore else ""
        if unique:
            over = _Columns(model, [model._meta.get_field(name) for name in update]).names
            self._tail += f" ON CONFLICT ({', '.join(map(_quoted, unique))}) DO UPDATE SET "
            self._tail += ", ".join(f"{name} = EXCLUDED.{name}" for name in over)
        self._returns = model._meta.pk.db_returning
        if self._returns:
            self._tail += f" RETURNING {_key(model)}"

    def __call__(self, *instances: Model) -> bool:
        """Whether all of them are there now."""
        made: list[Any] = []
        for first in range(0, len(instances), _ROWS_AT_ONCE):
            part = instances[first : first + _ROWS_AT_ONCE]
            sql = f"{self._head}{', '.join([self._row] * len(part))}{self._tail}"
            made += _asked(sql, self._columns.values(part, new=True), self._returns)
        if not self._returns or len(made) < len(instances):
            return not self._returns
        for instance, (key,) in zip(instances, made, strict=True):
            instance.pk = key
            instance._state.adding = False
        return True


class Update:
    """UPDATE of some fields of one instance of a model, by its id."""

    def __init__(self, model: type[Model], *fields: str) -> None:
        self._columns = _Columns(model, [model._meta.get_field(name) for name in fields])
        written = ", ".join(f"{name} = %s" for name in self._columns.names)
        self._sql = f"UPDATE {self._columns.table} SET {written} WHERE {_key(model)} = %s"  # noqa: S608 (names of models)

    def __call__(self, instance: Model) -> None:
        values = self._columns.values([instance], new=False)
        _asked(self._sql, [*values, instance.pk], returns=False)


class _Columns:
    """Fields of a model, and how their values become those of a database."""

    def __init__(self, model: type[Model], fields: Sequence[Any]) -> None:
        self.table = _quoted(model._meta.db_table)
        self.names = [_quoted(field.column) for field in fields]
        self._fields = [
            (
                field.attname,
                field.get_internal_type(),
                bool(getattr(field, "auto_now", False)),
                bool(getattr(field, "auto_now_add", False)),
            )
            for field in fields
        ]

    def values(self, instances: Sequence[Model], *, new: bool) -> list[Any]:
        """In the order of `names`. Times that Django would set by itself are now."""
        now = timezone.now()
        native, time = connection.features.has_native_uuid_field, _for_database(now)
        ready: dict[str, Callable[[Any], Any]] = {
            "JSONField": _json,
            "UUIDField": (lambda value: value) if native else (lambda value: value.hex),
            "DateTimeField": connection.ops.adapt_datetimefield_value,
        }
        columns = [
            (name, ready.get(kind), at_any_time or (at_first and new))
            for name, kind, at_any_time, at_first in self._fields
        ]
        found: list[Any] = []
        for instance in instances:
            for name, made_ready, is_now in columns:
                if is_now:
                    setattr(instance, name, now)
                    found.append(time)
                    continue
                value = getattr(instance, name)
                found.append(value if value is None or not made_ready else made_ready(value))
        return found


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _key(model: type[Model]) -> str:
    return _quoted(str(model._meta.pk.column))


def _quoted(name: str) -> str:
    return f'"{name}"'


def as_text(name: str) -> Cast:
    """A column of JSON as the database has it: `orjson.Fragment` takes it to an answer unread."""
    return Cast(name, TextField())
