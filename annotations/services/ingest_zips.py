"""A zip of pictures becomes images: all of them, or with `allow_partial` those that are good."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from annotations.access import require
from annotations.errors import ServiceError
from annotations.imaging import pool
from annotations.models import Job, Project
from annotations.models.projects import Role
from annotations.services import files, zips
from annotations.services.ingest import (
    MAX_LISTED,
    FilesResult,
    Progress,
    enqueue,
    pictures,
    place,
    refuse_archived,
    spool,
    twice,
)

SMALL_ZIP_ENTRIES = 200
SMALL_ZIP_BYTES = 200 * 2**20


def add_zip(
    project: Project,
    path: Path,
    *,
    allow_partial: bool = False,
    at_once: bool = False,
    progress: Progress = lambda done, total: None,
    ended: Callable[[FilesResult], None] = lambda result: None,
) -> FilesResult:
    """Store the images of a zip, all or none; with `allow_partial`, those that are good.

    Folders inside the zip stay part of the names. Files that are not images and do not claim to be
    are skipped; content that the project has is not stored again. `ended` is called inside the
    transaction. ServiceError 422 with the bad entries under `bad`; `pool.TakesLong` only `at_once`.
    """
    return twice(lambda: _add_zip(project, path, allow_partial, at_once, progress, ended))


def _add_zip(
    project: Project,
    path: Path,
    allow_partial: bool,
    at_once: bool,
    progress: Progress,
    ended: Callable[[FilesResult], None],
) -> FilesResult:
    images = image_entries(zips.check(path))
    result = FilesResult(skipped=images.skipped)
    with files.scratch() as folder, zips.opened(path) as archive:
        prepared = []
        for number, entry in enumerate(images.entries):
            progress(number, len(images.entries))
            try:
                with zips.reading(archive, entry.name) as source:
                    file = spool(source, entry.name, folder)
                if file.bytes != entry.size:
                    raise zips.damaged(entry.name)
                prepared += list(pictures(file, at_once=at_once))
            except ServiceError as error:
                if error.status == 507:
                    raise
                result.bad.append({"name": entry.name, **error.body})
        if result.bad and not (allow_partial and prepared):
            raise bad_entries(result.bad, len(images.entries))
        progress(len(images.entries), len(images.entries))
        with files.placing() as placed:
            for item, stored in zip(prepared, place(project, prepared, placed), strict=True):
                if stored.created:
                    result.added.append(stored.image)
                else:
                    result.known.append(item.name)
            ended(result)
    return result


@dataclass(frozen=True, slots=True)
class ImageEntries:
    entries: list[zips.Entry]
    skipped: list[str]


def image_entries(entries: list[zips.Entry]) -> ImageEntries:
    """What of a zip's files is or claims to be an image. ServiceError 422 where nothing does."""
    images = [entry for entry in entries if entry.is_image or entry.claims_image]
    if not images:
        raise zips.refuse("There are no images in the zip.")
    skipped = [entry.name for entry in entries if not (entry.is_image or entry.claims_image)]
    return ImageEntries(images, skipped)


def bad_entries(bad: list[dict[str, Any]], total: int) -> ServiceError:
    first = bad[0]
    return ServiceError(
        422,
        "bad_entries",
        f"{len(bad)} of {total} images in the zip cannot be taken. The first: {first['detail']}",
        field=first["name"],
        hint="Nothing was stored. Take the others alone by allowing a part of the zip.",
        extra={"bad": bad[:MAX_LISTED]},
    )


def upload_zip(
    user, project: Project, source: files.Readable, name: str, *, allow_partial: bool = False
) -> FilesResult | Job:
    """Take a zip of images: a small one at once, a large one as a job. Managers only.

    ServiceError 413, 422 (see `add_zip`), 409 (the project has all of it) or 507.
    """
    require(user, project, Role.MANAGER)
    refuse_archived(project)
    name = files.clean_name(name)
    with files.scratch() as folder:
        path = folder / "upload.zip"
        files.receive(source, path, settings.MAX_UPLOAD_BYTES, name)
        entries = image_entries(zips.check(path)).entries
        size = sum(entry.size for entry in entries)
        params = {"allow_partial": allow_partial}
        if len(entries) > SMALL_ZIP_ENTRIES or size > SMALL_ZIP_BYTES:
            return enqueue(project, user, path, name, params)
        try:
            result = add_zip(project, path, allow_partial=allow_partial, at_once=True)
        except pool.TakesLong:
            return enqueue(project, user, path, name, params)
    if not result.added:
        raise ServiceError(
            409, "duplicate", f"All images of “{name}” are already in this project.", field=name
        )
    return result
