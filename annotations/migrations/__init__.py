"""What big tables need: an operation for indexes that stops nobody from writing."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class AddIndexWithoutLock(AddIndexConcurrently):
    """Like AddIndex; PostgreSQL goes on writing meanwhile. Needs `atomic = False` in the migration."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        self._operation(schema_editor).database_forwards(self, app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        self._operation(schema_editor).database_backwards(self, app_label, schema_editor, *states)

    @staticmethod
    def _operation(schema_editor: Any) -> Any:
        concurrent = schema_editor.connection.vendor == "postgresql"
        return AddIndexConcurrently if concurrent else migrations.AddIndex
