"""Django's backend for SQLite, in which writers wait for each other without oversleeping.

SQLite has one writer at a time. Others sleep, longer and longer up to 0.1 s, whether the one before
is done or not, and the last to come may be the first to look. Here the threads of a process wait in
a lock that wakes them, and only the first of them looks, often, for writers in other processes.
"""

import collections
import os
import sqlite3
import threading
import time
from functools import lru_cache
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

LOOK_SECONDS = 0.0005, 0.003
"""Between two looks, at first and at last."""

_turns: dict[Any, Any] = collections.defaultdict(threading.Lock)
"""Of each database file: held by the thread whose transaction writes, or is about to."""
os.register_at_fork(after_in_child=_turns.clear)


LONG = 20_000
"""Characters of a statement that is not kept."""


@lru_cache(maxsize=1000)
def _with_question_marks(query: str) -> str:
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class Cursor(base.SQLiteCursorWrapper):
    def convert_query(self, query: str, *, param_names: Any = None) -> str:
        if param_names is not None or len(query) > LONG:
            return super().convert_query(query, param_names=param_names)
        return _with_question_marks(query)


class DatabaseWrapper(base.DatabaseWrapper):
    # What is ignored below are private methods, which the stubs leave out.
    _turn: Any = None

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)

    def _start_transaction_under_autocommit(self) -> None:
        seconds = self.settings_dict["OPTIONS"].get("timeout", 5)
        end = time.monotonic() + seconds
        turn = _turns[self.settings_dict["NAME"]]
        if not turn.acquire(timeout=seconds):
            raise OperationalError("database is locked")
        try:
            self.connection.execute("PRAGMA busy_timeout = 0")
            try:
                self._begin(end)
            finally:
                self.connection.execute(f"PRAGMA busy_timeout = {int(1000 * seconds)}")
        except BaseException:
            turn.release()
            raise
        self._turn = turn

    def _begin(self, end: float) -> None:
        pause, longest = LOOK_SECONDS
        while True:
            try:
                # Not by a cursor of Django's: with the error it would be a circle of garbage, and
                # whichever thread collects that waits for this connection, maybe for very long.
                self.connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    raise OperationalError(*error.args) from error
            time.sleep(pause)
            pause = min(longest, 1.2 * pause)

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._end()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._end()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._end()

    def _end(self) -> None:
        turn, self._turn = self._turn, None
        if turn:
            turn.release()
