"""What big tables need: operations for indexes that stop nobody from writing.

They need `atomic = False` in the migration.
"""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations


class _WithoutLock:
    concurrent: Any
    plain: Any

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        self._operation(schema_editor).database_forwards(self, app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        self._operation(schema_editor).database_backwards(self, app_label, schema_editor, *states)

    def _operation(self, schema_editor: Any) -> Any:
        return self.concurrent if schema_editor.connection.vendor == "postgresql" else self.plain


class AddIndexWithoutLock(_WithoutLock, AddIndexConcurrently):
    """Like AddIndex; PostgreSQL goes on writing meanwhile."""

    concurrent, plain = AddIndexConcurrently, migrations.AddIndex


class RemoveIndexWithoutLock(_WithoutLock, RemoveIndexConcurrently):
    """Like RemoveIndex; PostgreSQL goes on writing meanwhile."""

    concurrent, plain = RemoveIndexConcurrently, migrations.RemoveIndex
