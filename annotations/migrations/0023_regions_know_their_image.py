"""A region knows its image, so that the images of a category are one walk of an index.

The column is filled in batches, each a transaction of its own, so that nobody waits who saves
meanwhile: about half a minute for a million regions on PostgreSQL. What processes of the version before make after that
is filled in by `services.upkeep`.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from annotations.migrations import AddIndexWithoutLock, RemoveIndexWithoutLock

AT_ONCE = 5000


def fill(apps, schema_editor):
    Region = apps.get_model("annotations", "Region")
    Annotation = apps.get_model("annotations", "Annotation")
    image = Annotation.objects.filter(pk=models.OuterRef("annotation")).values("image")
    rows = Region.objects.filter(image=None).order_by("pk").values_list("pk", flat=True)
    last = 0
    while keys := list(rows.filter(pk__gt=last)[:AT_ONCE]):
        last = keys[-1]
        some = Region.objects.filter(pk__gte=keys[0], pk__lte=last, image=None)
        some.update(image=models.Subquery(image))


def drop_plain(apps, schema_editor):
    """The index of `annotator` alone, which annotation_by_annotator covers. By hand, for Django
    would copy the whole table on SQLite."""
    connection = schema_editor.connection
    table = apps.get_model("annotations", "annotation")._meta.db_table
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    together = "CONCURRENTLY " if connection.vendor == "postgresql" else ""
    for name, one in found.items():
        if one["index"] and one["columns"] == ["annotator_id"]:
            schema_editor.execute(f"DROP INDEX {together}{connection.ops.quote_name(name)}")


def make_plain(apps, schema_editor):
    meta = apps.get_model("annotations", "annotation")._meta
    fields = [meta.get_field("annotator")]
    schema_editor.execute(schema_editor._create_index_sql(meta.model, fields=fields))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("annotations", "0022_thumbnails_are_jpeg")]

    operations = [
        migrations.AddField(
            "region",
            "image",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="Its annotation's, which never changes: for the index. Null only while "
                "an earlier version still writes; see services.upkeep.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="annotations.image",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        AddIndexWithoutLock(
            "region",
            models.Index(
                fields=["category", "image", "deleted_at"], name="region_by_category_image"
            ),
        ),
        AddIndexWithoutLock(
            "region",
            models.Index(
                condition=models.Q(("image__isnull", True)),
                fields=["id"],
                name="region_without_image",
            ),
        ),
        RemoveIndexWithoutLock("region", "region_by_category"),
        AddIndexWithoutLock(
            "annotation",
            models.Index(fields=["annotator", "image"], name="annotation_by_annotator"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_plain, make_plain)],
            state_operations=[
                migrations.AlterField(
                    "annotation",
                    "annotator",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="annotations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]
