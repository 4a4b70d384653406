"""Which commits wait for the disk: all but those that only give out work."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from django.db import connection, transaction

from annotations.commits import not_waiting_for_disk
from annotations.services import reviews, work

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def commits() -> Iterator[list[bool]]:
    """Of each commit whether it waits for the disk, as the database itself sees it."""
    found: list[bool] = []
    here: Any = connection
    commit = here._commit
    on_sqlite = connection.vendor == "sqlite"
    if not on_sqlite:  # the server that tests share waits for no commit
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")

    def noted() -> None:
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute("PRAGMA synchronous" if on_sqlite else "SHOW synchronous_commit")
            found.append(cursor.fetchone()[0] in (2, "on"))
        commit()

    here._commit = noted
    try:
        yield found
    finally:
        del here._commit


def test_a_pull_does_not_wait_and_work_does(project, make_image, teammate, reviewer) -> None:
    for _ in range(2):
        make_image(project)
    with commits() as waited:
        lease = work.pull(teammate, project)
        assert lease
        annotation, _ = reviews.start_annotation(teammate, lease.image)
        reviews.submit(teammate, annotation, 0)
        work.pull(teammate, project)
        assert work.pull(reviewer, project, "review")
    assert waited == [False, True, True, False, False]


def test_where_only_the_queue_says_who_labels_what_a_pull_waits(
    project, make_image, teammate
) -> None:
    project.free_picking = False
    project.save()
    make_image(project)
    with commits() as waited:
        work.pull(teammate, project)
    assert waited == [True]


def test_what_fails_leaves_a_connection_that_waits(project) -> None:
    project.name = "Undone"
    with suppress(ZeroDivisionError), not_waiting_for_disk():
        project.save()
        raise ZeroDivisionError
    project.refresh_from_db()
    assert project.name != "Undone"
    with commits() as waited, transaction.atomic():
        project.save()
    assert waited == [True]
