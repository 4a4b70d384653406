"""Indexes of what waits for review, of images with a place, and of the images of a category."""

import django.db.models.deletion
from django.db import migrations, models

from annotations.migrations import AddIndexWithoutLock, RemoveIndexWithoutLock

WAITING = models.Q(("sampled", True), ("status", "submitted"))


def drop_plain(apps, schema_editor):
    """The index of `category` alone, which region_by_category covers. By hand, for Django would
    copy the whole table on SQLite."""
    connection = schema_editor.connection
    table = apps.get_model("annotations", "region")._meta.db_table
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    together = "CONCURRENTLY " if connection.vendor == "postgresql" else ""
    for name, one in found.items():
        if one["index"] and one["columns"] == ["category_id"]:
            schema_editor.execute(f"DROP INDEX {together}{connection.ops.quote_name(name)}")


def make_plain(apps, schema_editor):
    meta = apps.get_model("annotations", "region")._meta
    fields = [meta.get_field("category")]
    schema_editor.execute(schema_editor._create_index_sql(meta.model, fields=fields))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("annotations", "0019_reason_of_peers")]

    operations = [
        AddIndexWithoutLock(
            "annotation",
            models.Index(
                condition=WAITING,
                fields=["project", "submitted_at", "id"],
                name="annotation_to_review",
            ),
        ),
        AddIndexWithoutLock(
            "annotation",
            models.Index(
                condition=WAITING,
                fields=["project", "-risk", "submitted_at", "id"],
                name="annotation_by_risk",
            ),
        ),
        AddIndexWithoutLock(
            "annotation",
            models.Index(
                condition=models.Q(("sampled", False), ("status", "submitted")),
                fields=["project"],
                name="annotation_unsampled",
            ),
        ),
        RemoveIndexWithoutLock("annotation", "annotation_by_waiting"),
        AddIndexWithoutLock(
            "image",
            models.Index(
                condition=models.Q(("has_place", True)),
                fields=["project", "id"],
                name="image_with_place",
            ),
        ),
        AddIndexWithoutLock(
            "region",
            models.Index(
                fields=["category", "annotation", "deleted_at"], name="region_by_category"
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_plain, make_plain)],
            state_operations=[
                migrations.AlterField(
                    "region",
                    "category",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="regions",
                        to="annotations.category",
                    ),
                ),
            ],
        ),
    ]
