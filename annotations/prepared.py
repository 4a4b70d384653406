"""Queries that Django writes once.

Writing the SQL of a query with a few conditions takes Django longer than a database takes to answer
it. What every save and every look at the queue asks for is therefore compiled once for each kind of
database, and filled in with numbers.
"""

import inspect
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.sql import UpdateQuery

_MARK = 2**31 - 1000
"""Stands for the first number while a query is compiled; the next ones follow it.

Django drops conditions that are always true or false because a column has fewer bits.
"""


class Prepared:
    """The query that `build` makes of whole numbers, each of which may only be compared with.

    `update` names columns and their new values: then it is an UPDATE, which returns `returning`.
    """

    def __init__(
        self,
        build: Callable[..., QuerySet[Any, Any]],
        update: Callable[[], dict[str, Any]] | None = None,
        returning: str = "",
    ) -> None:
        self._build, self._update, self._returning = build, update, returning
        self._count = len(inspect.signature(build).parameters)
        self._compiled: dict[str, tuple[str, tuple[Any, ...], Any, dict[Any, Any]]] = {}

    def __call__(self, *numbers: int) -> list[Any]:
        """The rows, each a sequence of values with Python's types."""
        vendor = connection.vendor
        if vendor not in self._compiled:
            self._compiled[vendor] = self._compile()
        sql, parameters, query, converters = self._compiled[vendor]
        values = [
            numbers[one - _MARK] if isinstance(one, int) and 0 <= one - _MARK < self._count else one
            for one in parameters
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            rows = cursor.fetchall()
        if converters:
            compiler = query.get_compiler(connection=connection)
            return list(compiler.apply_converters(rows, converters))
        return rows

    def first(self, *numbers: int) -> Any:
        """The first column of the first row, None where there is no row."""
        rows = self(*numbers)
        return rows[0][0] if rows else None

    def _compile(self) -> tuple[str, tuple[Any, ...], Any, dict[Any, Any]]:
        query: Any = self._build(*range(_MARK, _MARK + self._count)).query
        if self._update:
            query = query.chain(UpdateQuery)
            query.add_update_values(self._update())
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        if self._returning:
            sql += f" RETURNING {connection.ops.quote_name(self._returning)}"
            return sql, tuple(parameters), query, {}
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        return sql, tuple(parameters), query, converters
