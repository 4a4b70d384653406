"""Releases are made, named and removed. What is in one never changes.

One with a name keeps the files of its images, also when they are removed from the project; one that
an export made by itself does not.

The ids of images and regions in exports are given when they are first in a release, under a lock
of the project, counted from 1, and never change afterwards.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count, islice
from typing import Any

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Max, Model

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.formats.snapshot import Members, Totals, write
from annotations.models import Image, Job, Project, Region, Release, ReleaseImage, StoredFile
from annotations.models.projects import Role
from annotations.prepared import Insert, Prepared
from annotations.records import CategoryRecord
from annotations.selectors import exports as selectors
from annotations.selectors.exports import Rule
from annotations.selectors.releases import snapshot
from annotations.services import events, files, jobs

AT_ONCE = 2000
MAX_NAME = 200
Progress = Callable[[int, int], None]


def start_release(user, project: Project, *, name: str, rule: Rule, key: str = "") -> Job:
    """Make a named release, or queue that where it is large. Managers only.

    ServiceError 400 or 409 for its name.
    """
    require(user, project, Role.MANAGER)
    name = check_name(project, name)
    check_rule(rule)
    return jobs.enqueue(
        project=project,
        kind=Job.Kind.RELEASE,
        user=user,
        params={"name": name, "rule": asdict(rule)},
        key=key,
        at_once=run_release if selectors.is_small(project) else None,
    )


def check_rule(rule: Rule) -> None:
    if rule.status not in selectors.WANTED:
        raise ServiceError(400, "invalid", "approved, submitted or all.", "status")


def check_name(project: Project, name: str) -> str:
    """The name as it is stored. ServiceError 400: none, or too long; 409: it is taken."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise ServiceError(400, "invalid", f"A name of up to {MAX_NAME} letters is needed.", "name")
    if Release.objects.filter(project=project, name__iexact=name).exists():
        raise Conflict(
            "name_taken", f"There is a release named “{name}”.", "name", "Choose another name."
        )
    return name


def run_release(run: jobs.JobRun) -> None:
    """The handler of a `release` job."""
    params = run.job.params

    def finish(release: Release) -> None:
        run.hold()
        run.finish(result_values(release), f"{release.images} images, {release.regions} regions")

    make_release(
        run.job.project,
        Rule(**params["rule"]),
        run.job.created_by,
        name=params["name"],
        progress=lambda done, total: run.progress(done, total, "Taking the snapshot"),
        ended=finish,
    )


def result_values(release: Release) -> dict[str, Any]:
    """What a job says of the release that it made or used."""
    return {
        "release": release.pk,
        "release_name": release.name,
        "release_sha256": release.sha256,
        "images": release.images,
        "regions": release.regions,
    }


def make_release(
    project: Project,
    rule: Rule,
    user: Any,
    *,
    name: str = "",
    progress: Progress = lambda done, total: None,
    ended: Callable[[Release], None] = lambda release: None,
) -> Release:
    """The release of what the project holds now; the same content is the same release.

    A release without a name gets this one. `ended` is called inside the transaction. Conflict: the
    name is taken, or a release of another name has this content.
    """
    total = number_images(project, rule)

    def images() -> Iterator[Members]:
        found = selectors.image_lines(project, rule, lambda pks: number_regions(project, pks))
        for done, image in enumerate(found, 1):
            yield image
            progress(done, max(total, done))

    with files.scratch() as folder:
        path = folder / "snapshot"
        categories = selectors.exported_categories(project)
        made = write(path, project.kind, categories, images())
        with files.placing() as placed:
            lock(project)
            release = _SAME.instance(project.pk, made.sha256)
            if release is None:
                place = f"releases/{uuid.uuid4()}.jsonl.gz"
                placed.put(place, path)
                release = Release(
                    project=project,
                    sha256=made.sha256,
                    title=project.name,
                    rule=asdict(rule),
                    file=place,
                    index=made.index,
                    images=made.images,
                    regions=made.regions,
                    counts=_counts(categories, made),
                    created_by=user,
                )
                _add(release)
            if name:
                _name(release, name, user)
            ended(release)
    return release


_SAME = Prepared(
    lambda project, sha256="": Release.objects.filter(project=project, sha256=sha256).order_by()
)
_add = Insert(Release)


def _counts(categories: tuple[CategoryRecord, ...], made: Totals) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "name": one.name, "color": one.color, **asdict(made.counts[one.id])}
        for one in categories
    ]


def _name(release: Release, name: str, user: Any) -> None:
    if release.name:
        raise Conflict(
            "same_content",
            f"Nothing has changed since the release “{release.name}”.",
            hint="Use that one, or change the rule.",
        )
    release.name = check_name(release.project, name)
    release.created_by = user
    release.save(update_fields=["name", "created_by"])
    contents = snapshot(release).contents()
    events.released(user, release)
    while chunk := list(islice(contents, AT_ONCE)):
        pks = StoredFile.objects.filter(sha256__in=chunk).values_list("pk", flat=True)
        ReleaseImage.objects.bulk_create(ReleaseImage(release=release, file_id=pk) for pk in pks)


def name_release(user, release: Release, name: str) -> Release:
    """Give a name to a release that has none. Managers only."""
    require(user, release.project, Role.MANAGER)
    with transaction.atomic():
        lock(release.project)
        release.refresh_from_db(fields=["name"])
        if release.name:
            raise Conflict("named", f"The release is named “{release.name}” already.", "name")
        _name(release, name, user)
    return release


def remove_release(user, release: Release) -> None:
    """Remove a release, and the files of images that nothing else has. Owners only."""
    require(user, release.project, Role.OWNER)
    release.delete()
    default_storage.delete(release.file)
    files.collect()


# --- ids ------------------------------------------------------------------------------------------


class _Ids:
    """Those in exports of the images or the regions of projects."""

    def __init__(self, model: type[Model], project: str) -> None:
        rows = model._default_manager.order_by()
        self.table = model._meta.db_table
        self.without = Prepared(
            lambda pks: rows.filter(pk__in=[pks], export_id=None).order_by("pk").values_list("pk")
        )
        self.last = Prepared(
            lambda id: (
                rows.filter(**{project: id}, export_id__isnull=False)
                .values(project)
                .annotate(last=Max("export_id"))
                .values_list("last")
            )
        )

    def give(self, project: Project, pks: list[int]) -> None:
        """Ids after the greatest that was ever given; a row that got one meanwhile keeps it."""
        with transaction.atomic():
            lock(project)
            without = {pk for (pk,) in self.without(pks)}
            first = (self.last.first(project.pk) or 0) + 1
            new = list(zip([pk for pk in pks if pk in without], count(first), strict=False))
            if new:
                _write_ids(self.table, new)


_of_images, _of_regions = _Ids(Image, "project"), _Ids(Region, "annotation__project")


def number_images(project: Project, rule: Rule) -> int:
    """Give ids to the images of a release that have none. Returns how many images it has."""
    asked = selectors.queries(rule)
    while todo := asked.without_id(project.pk):
        _of_images.give(project, [pk for (pk,) in todo])
    return asked.number.first(project.pk) or 0


def number_regions(project: Project, pks: list[int]) -> None:
    """Give ids to these regions, which had none, in their order."""
    for start in range(0, len(pks), AT_ONCE):
        _of_regions.give(project, pks[start : start + AT_ONCE])


def _write_ids(table: str, pairs: list[tuple[int, int]]) -> None:
    """Each row's primary key and id in exports; a CASE for each row, as Django writes, is slow."""
    name = connection.ops.quote_name(table)
    values = ", ".join(["(%s, %s)"] * len(pairs))
    with connection.cursor() as cursor:
        cursor.execute(  # the values are parameters
            f"UPDATE {name} SET export_id = given.column2 "  # noqa: S608
            f"FROM (VALUES {values}) AS given WHERE {name}.id = given.column1",
            [number for pair in pairs for number in pair],
        )


def lock(project: Project) -> None:
    """Inside a transaction: nobody else gives ids in this project until it ends."""
    if connection.features.has_select_for_update:  # else one transaction writes at a time
        _LOCK(project.pk)


_LOCK = Prepared(
    lambda project: (
        Project.objects.filter(pk=project)
        .select_for_update(no_key=True)
        .order_by()
        .values_list("pk")
    )
)
