"""No migration stops people from saving while it works through a big table."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation

from annotations.migrations import AddIndexWithoutLock

BIG = {
    "annotation", "image", "jobitem", "lease", "prediction", "proposal", "region",
    "regionrevision", "storedfile",
}  # fmt: skip
"""They have a row or more for each image."""
LOCKS = (
    migrations.AddIndex,
    migrations.AddConstraint,
    migrations.AlterField,
    migrations.AlterUniqueTogether,
)
"""They read the whole table, or write it anew, and nobody may write to it meanwhile."""
BEFORE_THE_FIRST_RELEASE = "0014_fewer_indexes"
"""Up to here no installation had anything in its tables."""


def locking(migration: Migration) -> Iterator[str]:
    """Operations on a big table that the migration did not make itself."""
    made: set[str] = set()
    for operation in operations(migration.operations):
        if isinstance(operation, migrations.CreateModel):
            made.add(operation.name_lower)
        table = getattr(operation, "model_name_lower", "")
        if table not in BIG - made:
            continue
        if isinstance(operation, AddIndexConcurrently):  # the loader made the subclass anew
            if migration.atomic:
                yield f"{operation.describe()}: it needs atomic = False"
        elif isinstance(operation, LOCKS) or filled(operation):
            yield operation.describe()


def filled(operation: Operation) -> bool:
    """Whether it adds a field of which each row gets its own value, or which has an index."""
    if not isinstance(operation, migrations.AddField):
        return False
    field: Any = operation.field
    return (field.has_default() and callable(field.default)) or field.unique or field.db_index


def operations(found: Sequence[Operation]) -> Iterator[Operation]:
    for operation in found:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from operations(operation.database_operations)
        else:
            yield operation


def later() -> list[Migration]:
    loader = MigrationLoader(None)
    old = {
        key
        for key in loader.graph.nodes
        if key[0] == "annotations" and key[1] <= BEFORE_THE_FIRST_RELEASE
    }
    return [
        one
        for key, one in sorted(loader.disk_migrations.items())
        if key[0] in ("annotations", "inference") and key not in old
        and key not in (("inference", "0001_initial"), ("inference", "0002_training"))
    ]  # fmt: skip


@pytest.mark.parametrize("migration", later(), ids=str)
def test_a_migration_locks_no_big_table(migration):
    assert not list(locking(migration)), "see annotations.migrations"


@pytest.mark.parametrize(
    ("operation", "found"),
    [
        (migrations.AddIndex("region", models.Index(fields=["area"], name="one")), True),
        (AddIndexWithoutLock("region", models.Index(fields=["area"], name="one")), True),
        (migrations.AlterField("image", "name", models.TextField()), True),
        (migrations.AddField("image", "key", models.UUIDField(default=uuid.uuid4)), True),
        (migrations.AddField("image", "key", models.UUIDField(null=True)), False),
        (migrations.AddField("image", "note", models.TextField(default="")), False),
        (migrations.AddIndex("project", models.Index(fields=["name"], name="two")), False),
    ],
)
def test_the_check_finds_what_locks(operation, found):
    """The control. The second index would be built without a lock, but in a transaction."""
    made = type("Migration", (Migration,), {"operations": [operation]})
    assert bool(list(locking(made("0099_one", "annotations")))) == found
