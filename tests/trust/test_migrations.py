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
    "annotation", "auditentry", "comment", "delivery", "dismissal", "image", "jobitem", "lease",
    "notification", "opening", "pairfact", "prediction", "proposal", "region", "regionfact",
    "regionrevision", "releaseimage", "review", "storedembedding", "storedfile", "suspicion",
    "workfact",
}  # fmt: skip
"""They have a row or more for each image, or for each thing that somebody does."""
LOCKS = (
    migrations.AddIndex,
    migrations.AddConstraint,
    migrations.AlterField,
    migrations.AlterUniqueTogether,
)
"""They read the whole table, or write it anew, and nobody may write to it meanwhile."""
CODE = (migrations.RunPython, migrations.RunSQL)
"""What works through rows, and may take long."""
BEFORE_THE_FIRST_RELEASE = "0014_fewer_indexes"
"""Up to here no installation had anything in its tables."""
LOOKED_AT = {
    "0015_webhooks": "Other choices, of which the database knows nothing.",
    "0017_sums_of_all_people": "Sums per person and day are written anew; nobody had many yet.",
    "0019_reason_of_peers": "Other choices, of which the database knows nothing.",
    "0026_what_was_opened": "Of a table that came with the migration before, and is empty.",
}


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
    if migration.atomic and any(isinstance(one, CODE) for one in operations(migration.operations)):
        for operation in operations(migration.operations):
            table = getattr(operation, "model_name_lower", None)
            if table is not None and table not in made:
                yield f"{operation.describe()}: locked until code ended, it needs atomic = False"


def filled(operation: Operation) -> bool:
    """Whether it adds a field of which each row gets its own value, or which has an index."""
    if not isinstance(operation, migrations.AddField):
        return False
    field: Any = operation.field
    own = field.has_default() and callable(field.default)
    # A foreign key is checked against the other table, which is locked as well.
    points = field.remote_field is not None and field.db_constraint
    return own or points or field.unique or field.db_index


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
    assert migration.name in LOOKED_AT or not list(locking(migration)), "see annotations.migrations"


def key_to_team(**options: Any) -> Any:
    return models.ForeignKey("annotations.Team", models.DO_NOTHING, null=True, **options)


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
        (migrations.AddField("image", "team", key_to_team(db_index=False)), True),
        (
            migrations.AddField("image", "team", key_to_team(db_index=False, db_constraint=False)),
            False,
        ),
    ],
)
def test_the_check_finds_what_locks(operation, found):
    """The control. The second index would be built without a lock, but in a transaction."""
    made = type("Migration", (Migration,), {"operations": [operation]})
    assert bool(list(locking(made("0099_one", "annotations")))) == found


@pytest.mark.parametrize("atomic", [True, False])
def test_code_that_runs_beside_a_changed_table_in_one_transaction_is_found(atomic):
    """The table would be locked until the code has gone through all rows."""
    change = migrations.AddField("category", "note", models.TextField(default=""))
    body = {"operations": [change, migrations.RunPython(print)], "atomic": atomic}
    made = type("Migration", (Migration,), body)
    assert bool(list(locking(made("0099_one", "annotations")))) == atomic
