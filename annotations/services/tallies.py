"""The kept numbers of images: triggers that write them, and adding them together.

The triggers are made after `migrate`, not in a migration: SQLite drops them with each migration
that copies the table of images.
"""

from typing import Any

from django.db import connections, transaction
from django.db.models import Count

from annotations.models import Image, ImageTally

GROUPS_AT_ONCE = 500
_INSERT = "INSERT INTO annotations_imagetally (project, block, status, number)"
_DIFFERENT = "OLD.status <> NEW.status OR OLD.project_id <> NEW.project_id"
_BLOCK = f"id / {ImageTally.BLOCK}"
_COUNTED = f"project_id, {_BLOCK}, status, {{sign}}count(*) FROM {{rows}} GROUP BY 1, 2, 3"


def _one(row: str, number: int) -> str:
    """SQL that counts one row of a trigger, `NEW` or `OLD`."""
    values = f"{row}.project_id, {row}.id / {ImageTally.BLOCK}, {row}.status, {number}"
    return f"{_INSERT} VALUES ({values});"


_SQLITE = [
    "CREATE TRIGGER tally_image_added AFTER INSERT ON annotations_image "
    f"BEGIN {_one('NEW', 1)} END",
    "CREATE TRIGGER tally_image_gone AFTER DELETE ON annotations_image "
    f"BEGIN {_one('OLD', -1)} END",
    "CREATE TRIGGER tally_image_changed AFTER UPDATE OF status, project_id ON annotations_image "
    f"WHEN {_DIFFERENT} BEGIN {_one('OLD', -1)} {_one('NEW', 1)} END",
]
_FUNCTION = "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
_POSTGRES = [
    f"""CREATE OR REPLACE FUNCTION tally_images_added() {_FUNCTION}
    {_INSERT} SELECT {_COUNTED.format(sign="", rows="changed")}; RETURN NULL; END $$""",
    f"""CREATE OR REPLACE FUNCTION tally_images_gone() {_FUNCTION}
    {_INSERT} SELECT {_COUNTED.format(sign="-", rows="changed")}; RETURN NULL; END $$""",
    f"""CREATE OR REPLACE FUNCTION tally_image_changed() {_FUNCTION}
    {_one("OLD", -1)} {_one("NEW", 1)} RETURN NULL; END $$""",
    "CREATE TRIGGER tally_image_added AFTER INSERT ON annotations_image REFERENCING NEW TABLE AS "
    "changed FOR EACH STATEMENT EXECUTE FUNCTION tally_images_added()",
    "CREATE TRIGGER tally_image_gone AFTER DELETE ON annotations_image REFERENCING OLD TABLE AS "
    "changed FOR EACH STATEMENT EXECUTE FUNCTION tally_images_gone()",
    "CREATE TRIGGER tally_image_changed AFTER UPDATE OF status, project_id ON annotations_image "
    f"FOR EACH ROW WHEN ({_DIFFERENT}) "
    "EXECUTE FUNCTION tally_image_changed()",
]
_THERE = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' "
    "AND name LIKE 'tally_image%'",
    "postgresql": "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'tally_image%' "
    "AND tgrelid = 'annotations_image'::regclass",
}


def ensure(using: str = "default", **kwargs: Any) -> None:
    """Makes the triggers where they are missing, and counts all images then. After `migrate`."""
    connection = connections[using]
    tables = connection.introspection.table_names()
    if ImageTally._meta.db_table not in tables:  # migrated to an earlier state
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(_THERE[connection.vendor])
        if cursor.fetchone()[0]:
            return
        for statement in _SQLITE if connection.vendor == "sqlite" else _POSTGRES:
            cursor.execute(statement)
        recount(using)


def recount(using: str = "default") -> None:
    """Counts all images anew, whatever the tallies say."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        ImageTally.objects.using(using).all().delete()
        counted = _COUNTED.format(sign="", rows=Image._meta.db_table)
        cursor.execute(f"{_INSERT} SELECT {counted}")


def compact() -> int:
    """Adds together what changed since; the number of rows that went. Many may do it at once."""
    rows = ImageTally.objects.order_by()
    group = ("project", "block", "status")
    grown = list(
        rows.values(*group).annotate(parts=Count("pk")).filter(parts__gt=1)[:GROUPS_AT_ONCE]
    )
    gone = 0
    for one in grown:
        of_group = rows.filter(**{name: one[name] for name in group})
        with transaction.atomic():
            parts = list(of_group.select_for_update(skip_locked=True))
            total = sum(part.number for part in parts)
            of_group.filter(pk__in=[part.pk for part in parts]).delete()
            if total:
                ImageTally.objects.create(**{name: one[name] for name in group}, number=total)
            gone += len(parts) - bool(total)
    return gone
