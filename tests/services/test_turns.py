"""Who waits for SQLite's one place to write gets it as soon as it is free."""

import gc
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]
HELD = 0.24
"""SQLite itself would look after 0.228 and after 0.328 s."""
LATE = 0.05


def _hold_here(begun: threading.Event) -> float:
    try:
        with transaction.atomic():
            begun.set()
            time.sleep(HELD)
        return time.perf_counter()
    finally:
        connection.close()


def _hold_elsewhere(begun: threading.Event) -> float:
    """As another process does, which takes no turns with this one's threads."""
    other = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun.set()
    time.sleep(HELD)
    other.execute("COMMIT")
    other.close()
    return time.perf_counter()


def _lateness(hold: Callable[[threading.Event], float]) -> float:
    """Seconds from the end of a holder's transaction to the begin of ours."""
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(hold, begun)
        begun.wait()
        with transaction.atomic():
            began = time.perf_counter()
        return began - ended.result()


@pytest.mark.parametrize("hold", [_hold_here, _hold_elsewhere])
def test_a_writer_begins_when_the_one_before_is_done(hold) -> None:
    # A busy machine may be late by itself, hardly three times.
    assert any(_lateness(hold) < LATE for _ in range(3))


def test_a_writer_gives_up_after_the_timeout(monkeypatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.05)
    for hold in (_hold_here, _hold_elsewhere):
        begun = threading.Event()
        holder = threading.Thread(target=hold, args=(begun,))
        holder.start()
        begun.wait()
        with pytest.raises(OperationalError, match="database is locked"), transaction.atomic():
            pass
        holder.join()
        with transaction.atomic():  # and the next time it is its turn
            pass


def test_waiting_leaves_nothing_behind_that_other_threads_would_clear_away() -> None:
    """A cursor of this connection, collected by another thread, would make that one wait for us."""
    gc.collect()
    gc.disable()
    try:
        _lateness(_hold_elsewhere)
        found = [one for one in gc.get_objects() if issubclass(type(one), sqlite3.Cursor)]
        assert [one for one in found if one.connection is connection.connection] == []
    finally:
        gc.enable()
