"""Queries that Django writes once.

Writing the SQL of a query with a few conditions takes Django longer than a database takes to answer
it. What every save and every look at the queue asks for is therefore compiled once for each kind of
database, and filled in with values.
"""

import inspect
from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.db.models.query import get_related_populators
from django.db.models.sql import UpdateQuery

_MARK = 2**31 - 1000
"""Stands for the first value while a query is compiled; the next ones follow it.

Django drops conditions that are always true or false because a column has fewer bits.
"""


class Prepared:
    """The query that `build` makes of values, each of which may only be compared with.

    They are whole numbers; one whose parameter has the default "" is a text. `update` names columns
    and their new values: then it is an UPDATE, which returns `returning`.
    """

    def __init__(
        self,
        build: Callable[..., QuerySet[Any, Any]],
        update: Callable[[], dict[str, Any]] | None = None,
        returning: str = "",
    ) -> None:
        self._build, self._update, self._returning = build, update, returning
        self._compiled: dict[str, _Compiled] = {}

    def __call__(self, *values: int | str) -> list[Any]:
        """The rows, each a sequence of values with Python's types."""
        return self._here().rows(values)

    def first(self, *values: int | str) -> Any:
        """The first column of the first row, None where there is no row."""
        rows = self(*values)
        return rows[0][0] if rows else None

    def instances(self, *values: int | str) -> list[Any]:
        """The rows as instances of the model, with what `select_related` and `annotate` add."""
        compiled = self._here()
        return [compiled.instance(row) for row in compiled.rows(values)]

    def instance(self, *values: int | str) -> Any:
        """The first of `instances`, None where there is no row."""
        return next(iter(self.instances(*values)), None)

    def _here(self) -> "_Compiled":
        vendor = connection.vendor
        if vendor not in self._compiled:
            self._compiled[vendor] = self._compile()
        return self._compiled[vendor]

    def _compile(self) -> "_Compiled":
        parameters = inspect.signature(self._build).parameters.values()
        marks: list[int | str] = [
            _MARK + index if parameter.default is parameter.empty else str(_MARK + index)
            for index, parameter in enumerate(parameters)
        ]
        query: Any = self._build(*marks).query
        if self._update:
            query = query.chain(UpdateQuery)
            query.add_update_values(self._update())
        compiler = query.get_compiler(connection=connection)
        sql, given = compiler.as_sql()
        if self._returning:
            sql += f" RETURNING {connection.ops.quote_name(self._returning)}"
        places = [
            (place, marks.index(value))
            for place, value in enumerate(given)
            if isinstance(value, int | str) and value in marks
        ]
        return _Compiled(sql, list(given), places, compiler, not self._update)


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

    def rows(self, values: tuple[int | str, ...]) -> list[Any]:
        given = self.given.copy()
        for place, number in self.places:
            given[place] = values[number]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, given)
            rows = cursor.fetchall()
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


def as_text(name: str) -> Cast:
    """A column of JSON as the database has it: `orjson.Fragment` takes it to an answer unread."""
    return Cast(name, TextField())
