"""Images that are in several sets at once, in the order of their ids.

An index holds each set in that order. So instead of reading one set and looking up each of its
images in the others, every set is asked in turn for its first image from where the one before
stopped, and what one of them lacks the others jump over: leapfrog join (T. Veldhuizen, "Leapfrog
Triejoin", 2014). Its cost is that of the smallest set at most, and databases cannot plan it wrong.
"""

from typing import Any

from django.db import connection

# Each: the first image of a set from `{at}` on.
_SEEK = {
    "project": "SELECT id FROM annotations_image WHERE project_id = %(project)s AND id >= {at} "
    "ORDER BY id LIMIT 1",
    "status": "SELECT id FROM annotations_image WHERE project_id = %(project)s "
    "AND status = %(status)s AND id >= {at} ORDER BY id LIMIT 1",
    "category": "SELECT image_id FROM annotations_region WHERE category_id = %(category)s "
    "AND deleted_at IS NULL AND image_id >= {at} ORDER BY image_id LIMIT 1",
    "annotator": "SELECT image_id FROM annotations_annotation WHERE annotator_id = %(annotator)s "
    "AND image_id >= {at} ORDER BY image_id LIMIT 1",
    "gold": "SELECT image_id FROM annotations_gold WHERE image_id >= {at} "
    "ORDER BY image_id LIMIT 1",
}


def walk(sets: dict[str, Any], after: int, most: int) -> list[int]:
    """The ids of the first `most` images past the id `after` that are in all of the sets.

    sets: names of `_SEEK` and what they are of; `project` is always among them.
    """
    with connection.cursor() as cursor:
        cursor.execute(statement(sets), {**sets, "after": after, "most": most})
        return [image for (image,) in cursor.fetchall()]


def statement(sets: dict[str, Any]) -> str:
    """The query of `walk`. A row is one round of all sets, from `first` to `last`."""
    names = [name for name in sets if name != "project" or "status" not in sets]
    first = last = f"({_SEEK[names[0]]})"
    for name in names[1:]:
        last = f"({_SEEK[name].format(at=last)})"
    step = f"{first}, {last}"
    begin = step.format(at="%(after)s + 1")
    go_on = step.format(at="walk.last + CAST(walk.first = walk.last AS integer)")
    return (
        f"WITH RECURSIVE walk (first, last) AS (SELECT {begin} UNION ALL SELECT {go_on} "  # noqa: S608 (constants)
        "FROM walk WHERE last IS NOT NULL) "
        "SELECT last FROM walk WHERE first = last LIMIT %(most)s"
    )
