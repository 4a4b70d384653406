"""An upload becomes an image: decoded once in a limited process, upright, hashed, stored.

Taken are JPEG, PNG, WebP, TIFF and BMP with one picture each, told by their first bytes; how their
pixels become 8-bit sRGB stands in `annotations.imaging.decoder`. Files are prepared in the spool;
rows are written and files moved into the storage in one transaction.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import IntegrityError

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.imaging import pool
from annotations.imaging.sniff import HEAD_BYTES, ZIP, FileType, sniff
from annotations.models import Image, Job, Project, StoredFile
from annotations.models.projects import Role
from annotations.services import files, jobs, zips

SMALL_ZIP_ENTRIES = 200
SMALL_ZIP_BYTES = 200 * 2**20
MAX_LISTED = 1000
BATCH = 400

Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that was judged; `decoded` None where its content is stored already."""

    name: str
    sha256: str
    bytes: int
    kind: FileType
    path: Path
    decoded: pool.Decoded | None


@dataclass(frozen=True, slots=True)
class Stored:
    """An image of the project; `created` False: its content was there before."""

    image: Image
    created: bool


@dataclass(slots=True)
class ZipResult:
    """What became of a zip. `known`: content that the project has already; `bad`: errors."""

    added: list[Image] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    bad: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Counts and notes, and the first MAX_LISTED of what was refused."""
        notes = [
            *(one["detail"] for one in self.bad),
            *(f"“{name}” is already in the project." for name in self.known),
            *(f"“{name}” is not an image." for name in self.skipped),
        ]
        return {
            "added": len(self.added),
            "known": len(self.known),
            "bad": self.bad[:MAX_LISTED],
            "skipped": len(self.skipped),
            "notes": notes[:MAX_LISTED],
            "more_notes": max(0, len(notes) - MAX_LISTED),
        }


def add_image(user, project: Project, source: files.Readable, name: str) -> Image:
    """Ingest one file, read from its start. Managers only.

    ServiceError 415, 422, 413, 409 (the project has this content, as image `extra.image`) or 507.
    """
    require(user, project, Role.MANAGER)
    refuse_archived(project)

    def attempt() -> Stored:
        source.seek(0)
        with files.scratch() as folder:
            prepared = prepare(source, name, folder)
            with files.placing() as placed:
                return place(project, [prepared], placed)[0]

    stored = _twice(attempt)
    if not stored.created:
        raise duplicate(files.clean_name(name), stored.image)
    return stored.image


def _twice(attempt: Callable[[], Result]) -> Result:
    """Once more when somebody stored or removed the same content in this very moment."""
    try:
        return attempt()
    except IntegrityError:
        return attempt()


def refuse_archived(project: Project) -> None:
    if project.archived:
        raise Conflict("archived", "The project is archived, so nothing in it changes.")


def duplicate(name: str, image: Image) -> ServiceError:
    return ServiceError(
        409,
        "duplicate",
        f"“{name}” is already in this project, as “{image.name}”.",
        field=name,
        extra={"image": image.pk},
    )


def prepare(source: files.Readable, name: str, folder: Path) -> Prepared:
    """Spool, judge and decode one file in a fresh folder inside `folder`. Changes no row.

    ServiceError 413, 415 or 422, naming the file.
    """
    name = files.clean_name(name)
    place = folder / uuid.uuid4().hex
    place.mkdir()
    path = place / "original"
    sha256, size = files.receive(source, path, settings.MAX_IMAGE_BYTES, name)
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES))
    if kind is None or kind is ZIP:
        raise ServiceError(
            415,
            "not_an_image",
            f"“{name}” is {'not an image that is taken here' if size else 'empty'}.",
            field=name,
            hint="JPEG, PNG, WebP, TIFF and BMP are taken.",
        )
    decoded = None
    if not StoredFile.objects.filter(sha256=sha256).exists():
        decoded = _decode(path, place, kind, name)
    return Prepared(name, sha256, size, kind, path, decoded)


def _decode(path: Path, place: Path, kind: FileType, name: str) -> pool.Decoded:
    try:
        return pool.decode(path, place, kind.name, max_pixels=settings.MAX_IMAGE_PIXELS)
    except pool.BadImage as error:
        raise ServiceError(
            422, error.code, f"“{name}”: {error.detail}", field=name, hint="Nothing was stored."
        )


def place(project: Project, prepared: Iterable[Prepared], placed: files.Placed) -> list[Stored]:
    """Store prepared files as images of the project, inside the caller's `files.placing()`.

    One entry per prepared file, in order. Content that the project has (or that comes twice) is
    not stored again.
    """
    results: list[Stored] = []
    todo = list(prepared)
    for start in range(0, len(todo), BATCH):
        results += _place_batch(project, todo[start : start + BATCH], placed)
    return results


def _place_batch(project: Project, batch: list[Prepared], placed: files.Placed) -> list[Stored]:
    content = _stored_files(batch, placed)
    ids = [file.pk for file in content.values()]
    known = {image.file_id: image for image in project.images.filter(file_id__in=ids)}
    new = {}
    for item in batch:
        file = content[item.sha256]
        if file.pk not in known:
            image = Image(
                project=project, file=file, name=item.name, width=file.width, height=file.height
            )
            known[file.pk] = new[item.path] = image
    Image.objects.bulk_create(new.values())
    return [Stored(known[content[item.sha256].pk], item.path in new) for item in batch]


def _stored_files(batch: list[Prepared], placed: files.Placed) -> dict[str, StoredFile]:
    """The row of each content, made with its files where it is new. Holds them until COMMIT."""
    by_content = {item.sha256: item for item in batch}
    held = StoredFile.objects.select_for_update().filter(sha256__in=by_content)
    found = {file.sha256: file for file in held}
    new = [item for sha256, item in sorted(by_content.items()) if sha256 not in found]
    made = StoredFile.objects.bulk_create(_row(item) for item in new)
    for item, file in zip(new, made, strict=True):
        assert item.decoded
        placed.put(file.thumbnail, item.decoded.thumbnail)
        if item.decoded.upright:
            placed.put(file.upright, item.decoded.upright)
        placed.put(file.original, item.path)
        found[item.sha256] = file
    return found


def _row(item: Prepared) -> StoredFile:
    if item.decoded is None:  # removed since it was prepared; the caller tries again
        raise IntegrityError(f"the content of {item.name} was removed")
    upright = item.decoded.upright
    names = files.image_names(
        item.sha256, item.kind.extension, upright.suffix[1:] if upright else None
    )
    types = {".jpg": "image/jpeg", ".png": "image/png"}
    return StoredFile(
        sha256=item.sha256,
        original=names[0],
        original_type=item.kind.mime,
        upright=names[1],
        upright_type=types[upright.suffix] if upright else item.kind.mime,
        thumbnail=names[2],
        width=item.decoded.width,
        height=item.decoded.height,
        bytes=item.bytes,
    )


def delete_image(user, image: Image) -> None:
    """Delete an image with all work on it. Managers only.

    Its files go unless another project uses them.
    """
    require(user, image.project_id, Role.MANAGER)
    refuse_archived(image.project)
    image.delete()
    files.collect(StoredFile.objects.filter(pk=image.file_id))


# --- zips ---------------------------------------------------------------------------------------


def add_zip(
    project: Project,
    path: Path,
    *,
    allow_partial: bool = False,
    progress: Progress = lambda done, total: None,
    ended: Callable[[ZipResult], None] = lambda result: None,
) -> ZipResult:
    """Store the images of a zip, all or none; with `allow_partial`, those that are good.

    Folders inside the zip stay part of the names. Files that are not images and do not claim to be
    are skipped; content that the project has is not stored again. `ended` is called inside the
    transaction. ServiceError 422 with the bad entries under `bad`.
    """
    return _twice(lambda: _add_zip(project, path, allow_partial, progress, ended))


def _add_zip(
    project: Project,
    path: Path,
    allow_partial: bool,
    progress: Progress,
    ended: Callable[[ZipResult], None],
) -> ZipResult:
    images = image_entries(zips.check(path))
    result = ZipResult(skipped=images.skipped)
    with files.scratch() as folder, zips.opened(path) as archive:
        prepared = []
        for number, entry in enumerate(images.entries):
            progress(number, len(images.entries))
            try:
                with zips.reading(archive, entry.name) as source:
                    item = prepare(source, entry.name, folder)
                if item.bytes != entry.size:
                    raise zips.damaged(entry.name)
                prepared.append(item)
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
) -> ZipResult | Job:
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
        if len(entries) > SMALL_ZIP_ENTRIES or size > SMALL_ZIP_BYTES:
            return _enqueue_zip(project, user, path, name, allow_partial)
        result = add_zip(project, path, allow_partial=allow_partial)
    if not result.added:
        raise ServiceError(
            409, "duplicate", f"All images of “{name}” are already in this project.", field=name
        )
    return result


def _enqueue_zip(project: Project, user, path: Path, name: str, allow_partial: bool) -> Job:
    upload = f"uploads/{uuid.uuid4().hex}.zip"
    with files.placing() as placed:
        placed.put(upload, path)
        return jobs.enqueue(
            project=project,
            kind=Job.Kind.INGEST,
            user=user,
            params={"upload": upload, "name": name, "allow_partial": allow_partial},
        )


def run_ingest(run: jobs.JobRun) -> None:
    """The handler of an `ingest` job."""
    params = run.job.params
    with files.scratch() as folder:
        upload = files.job_upload(run.job, folder)
        add_zip(
            run.job.project,
            upload,
            allow_partial=params["allow_partial"],
            progress=lambda done, total: run.progress(done, total, "Reading the images"),
            ended=lambda result: run.finish(result.as_dict(), f"{len(result.added)} images added"),
        )
    default_storage.delete(params["upload"])
