"""Reading releases: lists, their content, and the difference between two."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, cast

from django.core.cache import cache
from django.core.files.storage import default_storage

from annotations.access import find, require
from annotations.errors import NotFound
from annotations.formats.snapshot import Snapshot, line_id, parse
from annotations.imaging import overlay
from annotations.models import Project, Release
from annotations.models.projects import Role
from annotations.models.releases import ReleaseQuerySet
from annotations.records import CategoryRecord, ImageRecord, RegionRecord
from annotations.selectors.pictures import thumbnail

KEEP_SECONDS = 24 * 3600
"""How long a difference is remembered; it never changes."""


def list_releases(user, project: Project, *, named: bool = False) -> ReleaseQuerySet:
    """The project's releases, the newest first. Reviewers and above."""
    require(user, project, Role.REVIEWER)
    rows = Release.objects.filter(project=project).select_related("created_by").defer("index")
    return rows.exclude(name="") if named else rows


def get_release(user, pk: int, least: Role = Role.REVIEWER) -> Release:
    """A release of a project in which `user` is `least` or above, with its project."""
    release = find(Release.objects.select_related("project", "created_by"), user, pk=pk)
    require(user, release.project_id, least)
    return release


def get_pair(user, pk: int, against: int) -> tuple[Release, Release]:
    """Two releases of one project: the older one `against`, and the one of id `pk`."""
    release = get_release(user, pk)
    other = Release.objects.filter(pk=against, project=release.project_id).first()
    if other is None:
        raise NotFound("release")
    return other, release


def snapshot(release: Release) -> Snapshot:
    """The content of a release."""
    return Snapshot(lambda: cast(IO[bytes], default_storage.open(release.file)), release.index)


# --- the difference between two -------------------------------------------------------------------


@dataclass(slots=True)
class Numbers:
    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(slots=True)
class CategoryChange:
    """`name` is the newer one; `before` the older, "" where it was not there."""

    id: int
    name: str
    color: str
    before: str
    regions: Numbers = field(default_factory=Numbers)


@dataclass(frozen=True, slots=True)
class ImageChange:
    """`id` as in exports; `state`: added, removed or changed. `categories`: ids of what changed."""

    id: int
    name: str
    state: str
    regions: Numbers
    categories: tuple[int, ...]


@dataclass(slots=True)
class Difference:
    images: Numbers = field(default_factory=Numbers)
    same: int = 0
    regions: Numbers = field(default_factory=Numbers)
    categories: list[CategoryChange] = field(default_factory=list)
    changes: list[ImageChange] = field(default_factory=list)


def difference(older: Release, newer: Release) -> Difference:
    """What must be done to the older release to get the newer one."""
    key = f"difference:{older.pk}:{newer.pk}"
    found = cache.get(key)
    if found is None:
        found = compare(snapshot(older), snapshot(newer))
        cache.set(key, found, KEEP_SECONDS)
    return found


def compare(older: Snapshot, newer: Snapshot) -> Difference:
    """Reads both at once and holds neither; images and regions are the same by their ids."""
    result = Difference()
    rows = {id: CategoryChange(id, *both) for id, both in _categories(older, newer).items()}
    for before, after in _paired(older.lines(), newer.lines()):
        if before == after:
            result.same += 1
            continue
        old, new = (parse(line)[1] if line else None for line in (before, after))
        change = _image_change(old, new, rows)
        result.changes.append(change)
        for name in ("added", "removed", "changed"):
            total = getattr(result.regions, name) + getattr(change.regions, name)
            setattr(result.regions, name, total)
        setattr(result.images, change.state, getattr(result.images, change.state) + 1)
    result.categories = list(rows.values())
    return result


def _categories(older: Snapshot, newer: Snapshot) -> dict[int, tuple[str, str, str]]:
    """(name, colour, name before) of all categories, by id."""
    before: dict[int, CategoryRecord] = {one.id: one for one in older.categories}
    after: dict[int, CategoryRecord] = {one.id: one for one in newer.categories}
    return {
        id: (
            (after.get(id) or before[id]).name,
            (after.get(id) or before[id]).color,
            before[id].name if id in before else "",
        )
        for id in sorted(before | after)
    }


def _paired(older: Iterator[str], newer: Iterator[str]) -> Iterator[tuple[str | None, str | None]]:
    """The lines of one image on both sides, None where it is missing; ids ascend."""
    before, after = next(older, None), next(newer, None)
    while before or after:
        order = 0
        if before is None or after is None:
            order = 1 if before is None else -1
        elif before != after:
            order = line_id(before) - line_id(after)
        yield (before if order <= 0 else None, after if order >= 0 else None)
        if order <= 0:
            before = next(older, None)
        if order >= 0:
            after = next(newer, None)


def _image_change(
    old: ImageRecord | None, new: ImageRecord | None, rows: dict[int, CategoryChange]
) -> ImageChange:
    numbers = Numbers()
    touched: set[int] = set()
    for id, state in changed_regions(old, new).items():
        region = _by_id(new).get(id) or _by_id(old)[id]
        touched.add(region.category_id)
        for target in (numbers, rows[region.category_id].regions):
            setattr(target, state, getattr(target, state) + 1)
    record = new or old
    assert record
    assert record.id
    state = "changed" if old and new else "added" if new else "removed"
    return ImageChange(record.id, record.file_name, state, numbers, tuple(sorted(touched)))


def changed_regions(old: ImageRecord | None, new: ImageRecord | None) -> dict[int, str]:
    """Region id to added, removed or changed, for those that differ."""
    before, after = _by_id(old), _by_id(new)
    states = dict.fromkeys(after.keys() - before.keys(), "added")
    states |= dict.fromkeys(before.keys() - after.keys(), "removed")
    states |= {id: "changed" for id in before.keys() & after.keys() if before[id] != after[id]}
    return dict(sorted(states.items()))


def _by_id(record: ImageRecord | None) -> dict[int, RegionRecord]:
    return {region.id: region for region in (record.regions if record else ()) if region.id}


def changes(
    found: Difference, *, after: int = 0, limit: int = 100, category: int | None = None
) -> tuple[list[ImageChange], int | None]:
    """A page of the images that changed (in that category), and the cursor of the next or None."""
    rest = [
        change
        for change in found.changes
        if change.id > after and (category is None or category in change.categories)
    ]
    return rest[:limit], rest[limit - 1].id if len(rest) > limit else None


def picture(release: Release, other: Release, image: int) -> bytes:
    """A small JPEG of an image (its id in exports) with its regions in this release.

    Those that differ from the other release stand out. An image that is not in this one has none.
    """
    mine, theirs = snapshot(release).image(image), snapshot(other).image(image)
    if mine is None:
        raise NotFound("image in this release")
    sha256, record = mine
    strong = changed_regions(theirs[1] if theirs else None, record)
    colors = {count["id"]: count["color"] for count in release.counts}
    return overlay.draw(record, thumbnail(sha256), colors, strong)
