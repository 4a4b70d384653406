"""Commits that do not wait for the disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def not_waiting_for_disk() -> Iterator[None]:
    """A transaction that a loss of power within the next moments may undo, but always all of it.

    Only for what finds itself again, and never for what is answered as saved. A killed process or
    database loses nothing: the operating system has what was written. The next commit that waits,
    of whomever, takes this one along, because the log is one file and is synced from its start.
    Inside another transaction it is a part of that one and waits with it.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            yield
    elif connection.vendor == "sqlite":
        connection.ensure_connection()
        # For the whole connection, and not to be changed within a transaction.
        [[usual]] = connection.connection.execute("PRAGMA synchronous")
        connection.connection.execute("PRAGMA synchronous = NORMAL")
        try:
            with transaction.atomic():
                yield
        finally:
            if connection.connection is not None:  # a new one has what settings say
                connection.connection.execute(f"PRAGMA synchronous = {usual}")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL synchronous_commit = off")
            yield
