"""Indexes that others cover, or that nothing asks for, go: most of a write's time was theirs.

They are dropped by hand. Django would copy the whole table for each on SQLite.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GONE = [
    ("region", "annotation_id"),  # region_by_annotation
    ("region", "author_id"),
    ("region", "proposal_id"),  # region_by_proposal
    ("regionrevision", "region_id"),  # one_revision_per_version
    ("regionrevision", "author_id"),
]


def drop(apps, schema_editor):
    connection = schema_editor.connection
    for model, column in GONE:
        table = apps.get_model("annotations", model)._meta.db_table
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, table)
        for name, one in found.items():
            plain = one["index"] and not one["unique"] and not one["primary_key"]
            if plain and one["columns"] == [column]:
                schema_editor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")


def make(apps, schema_editor):
    for model, column in GONE:
        meta = apps.get_model("annotations", model)._meta
        field = next(field for field in meta.concrete_fields if field.column == column)
        schema_editor.execute(schema_editor._create_index_sql(meta.model, fields=[field]))


def key(to, on_delete, name, **others):
    return models.ForeignKey(
        db_index=False, on_delete=on_delete, related_name=name, to=to, **others
    )


class Migration(migrations.Migration):
    dependencies = [("annotations", "0013_notifications")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop, make)],
            state_operations=[
                migrations.AlterField(
                    "region",
                    "annotation",
                    key("annotations.annotation", django.db.models.deletion.CASCADE, "regions"),
                ),
                migrations.AlterField(
                    "region",
                    "author",
                    key(settings.AUTH_USER_MODEL, django.db.models.deletion.PROTECT, "+"),
                ),
                migrations.AlterField(
                    "region",
                    "proposal",
                    key(
                        "annotations.proposal",
                        django.db.models.deletion.SET_NULL,
                        "regions",
                        help_text="Accepted from it.",
                        null=True,
                    ),
                ),
                migrations.AlterField(
                    "regionrevision",
                    "author",
                    key(settings.AUTH_USER_MODEL, django.db.models.deletion.PROTECT, "+"),
                ),
                migrations.AlterField(
                    "regionrevision",
                    "region",
                    key("annotations.region", django.db.models.deletion.CASCADE, "revisions"),
                ),
            ],
        ),
        migrations.AddIndex(
            "region",
            models.Index(
                fields=["proposal"],
                name="region_by_proposal",
                condition=models.Q(("proposal__isnull", False)),
            ),
        ),
    ]
