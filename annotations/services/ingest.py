"""An upload becomes images: decoded once in a limited process, upright, hashed, stored.

Taken are JPEG, PNG, WebP, TIFF, BMP, DICOM, NIfTI and videos, told by their first bytes; how their
pixels become 8-bit sRGB stands in `annotations.imaging`. Of a file with several pictures (pages,
frames, slices) each becomes an image, named `file#2` from the second one on. Files are prepared in
the spool; rows are written and files moved into the storage in one transaction.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.imaging import pool
from annotations.imaging.sniff import HEAD_BYTES, JPEG, VIDEOS, ZIP, FileType, sniff
from annotations.models import Image, Job, Project, StoredFile
from annotations.models.projects import Role
from annotations.prepared import Insert
from annotations.prepared import Prepared as Query
from annotations.services import audit, facts, files, jobs, references, thumbnails
from annotations.services.frames import PER_SECOND, Sampling

MAX_LISTED = 1000
BATCH = 400

_INSERT_FILES, _INSERT_IMAGES = Insert(StoredFile), Insert(Image)
_KNOWN = Query(
    lambda contents="": (
        StoredFile.objects.filter(sha256__in=[contents]).order_by().values_list("sha256")
    )
)
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file, told and hashed. `reference`: where it lies, not copied.

    `folder`, which `pictures` makes, is for what is made of it.
    """

    name: str
    sha256: str
    bytes: int
    kind: FileType
    path: Path
    folder: Path
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture that was judged; `decoded` None where its content is stored already.

    `sha256` is the picture's, `source` that of the bytes it is in, `number` its place in them.
    """

    name: str
    sha256: str
    source: str
    number: int
    bytes: int
    kind: FileType
    path: Path
    decoded: pool.Decoded | None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """An image of the project; `created` False: its content was there before."""

    image: Image
    created: bool


@dataclass(slots=True)
class FilesResult:
    """What became of a file. `known`: content that the project has already; `bad`: errors."""

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
    """Ingest a file that holds one picture, read from its start. Managers only.

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

    stored = twice(attempt)
    if not stored.created:
        raise duplicate(files.clean_name(name), stored.image)
    return stored.image


def store(user, project: Project, spooled: Spooled, sampling: Sampling) -> FilesResult | Job:
    """Take the pictures of a file, or enqueue it when that takes long."""
    try:
        return _add(project, list(pictures(spooled, at_once=True, sampling=sampling)))
    except pool.TakesLong:
        return take_later(user, project, spooled, sampling)


def take_later(user, project: Project, spooled: Spooled, sampling: Sampling) -> Job:
    """Enqueue a file that takes long."""
    params = {"every": sampling.every, "seconds": sampling.seconds}
    return enqueue(project, user, spooled.path, spooled.name, params)


def known(contents: Iterable[str]) -> set[str]:
    """Those of the SHA-256 that are stored."""
    return {sha256 for (sha256,) in _KNOWN(list(contents))}


def decode_at_once(file: Spooled, sampling: Sampling, known: bool) -> list[Prepared]:
    """`pictures` of a file for which somebody waits, for a thread of its own: asks no database."""
    return list(pictures(file, at_once=True, sampling=sampling, known=known))


def looked_at(file: Spooled, decoded: pool.Decoded) -> list[Prepared]:
    """The one picture of a file that `pool.Looks` found whole."""
    return [_picture(_whole(file), decoded)]


def add_all(
    project: Project, prepared: dict[int, list[Prepared]]
) -> dict[int, FilesResult | ServiceError]:
    """Store the pictures of several files in one transaction.

    A file of which the project has all pictures gets a ServiceError 409 in place of its result.
    Raises IntegrityError (somebody stored one of them since it was looked up), or ServiceError
    507: nothing was stored then.
    """
    items = list(chain.from_iterable(prepared.values()))
    with files.placing() as placed:
        stored = iter(place(project, items, placed, looked_up=True))
    return {
        number: _result(items, list(islice(stored, len(items))))
        for number, items in prepared.items()
    }


def add_files(
    project: Project,
    source: files.Readable,
    name: str,
    *,
    sampling: Sampling = PER_SECOND,
    progress: Progress = lambda done, total: None,
    ended: Callable[[FilesResult], None] = lambda result: None,
) -> FilesResult:
    """Store all pictures of a file, however long that takes. `ended` is called in the transaction.

    ServiceError 415, 422, 413, 409 (the project has all of them) or 507.
    """

    def attempt() -> FilesResult:
        source.seek(0)
        with files.scratch() as folder:
            prepared = []
            for one in pictures(spool(source, name, folder), sampling=sampling):
                prepared.append(one)
                progress(len(prepared), one.decoded.total if one.decoded else len(prepared))
            return _add(project, prepared, ended)

    return twice(attempt)


def add_reference(project: Project, reference: str, name: str) -> FilesResult:
    """Store the pictures of a file that stays where it is, see `references`. Commands only.

    Nothing but what is made of it (thumbnails, values, tiles, and upright rasters where the
    original is none) is put into the storage. ServiceError as in `add_files`, or 410.
    """

    def attempt() -> FilesResult:
        with files.scratch() as folder, references.opened(reference) as source:
            spooled = replace(spool(source, name, folder), reference=reference)
            if spooled.kind in VIDEOS:
                raise ServiceError(
                    415, "not_an_image", f"“{name}” is a video; its frames are files of their own.",
                    field=name, hint="Add it without --reference.",
                )  # fmt: skip
            return _add(project, list(pictures(spooled)))

    return twice(attempt)


def _add(
    project: Project,
    prepared: list[Prepared],
    ended: Callable[[FilesResult], None] = lambda result: None,
) -> FilesResult:
    with files.placing() as placed:
        result = _result(prepared, place(project, prepared, placed))
        if isinstance(result, ServiceError):
            raise result
        ended(result)
        return result


def _result(prepared: list[Prepared], stored: list[Stored]) -> FilesResult | ServiceError:
    """What became of a file's pictures; an error where the project had all of them."""
    result = FilesResult()
    for item, one in zip(prepared, stored, strict=True):
        if one.created:
            result.added.append(one.image)
        else:
            result.known.append(item.name)
    return result if result.added else duplicate(prepared[0].name, stored[-1].image)


def twice(attempt: Callable[[], Result]) -> Result:
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


def spool(source: files.Readable, name: str, folder: Path, *, synced: bool = True) -> Spooled:
    """A copy of a file in `folder`, and what it is. ServiceError 413, 415.

    `synced`: as of `files.receive`.
    """
    name = files.clean_name(name)
    path = folder / f"{files.SCRATCH}{uuid.uuid4().hex}"
    head = source.read(HEAD_BYTES)
    kind = sniff(head)
    if kind is None or kind is ZIP:
        raise ServiceError(
            415,
            "not_an_image",
            f"“{name}” is {'not an image that is taken here' if head else 'empty'}.",
            field=name,
            hint="JPEG, PNG, WebP, TIFF, BMP, DICOM, NIfTI, MP4, MKV and AVI are taken.",
        )
    source.seek(0)
    limit = settings.MAX_UPLOAD_BYTES if kind in VIDEOS else settings.MAX_IMAGE_BYTES
    try:
        sha256, size = files.receive(source, path, limit, name, synced=synced)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Spooled(name, sha256, size, kind, path, path.with_suffix(".made"))


def pictures(
    file: Spooled,
    *,
    at_once: bool = False,
    sampling: Sampling = PER_SECOND,
    known: bool | None = None,
) -> Iterator[Prepared]:
    """Decode the pictures of a file into its folder, which is made. Changes no row.

    `known`: whether its content is stored; None asks.
    ServiceError 415 or 422, naming the file; `pool.TakesLong` only `at_once`.
    """
    one = _whole(file)
    if not file.kind.several:
        if known is None:
            known = StoredFile.objects.filter(sha256=file.sha256).exists()
        if known:
            yield one
            return
    try:
        for frame in _frames(file, at_once=at_once, sampling=sampling):
            yield _picture(one, frame)
    except pool.BadImage as error:
        raise ServiceError(
            415 if error.code == "reader_missing" else 422,
            error.code,
            f"“{file.name}”: {error.detail}",
            field=file.name,
            hint="Nothing was stored.",
        )


def _whole(file: Spooled) -> Prepared:
    """A file as one picture that was not decoded."""
    return Prepared(
        file.name, file.sha256, file.sha256, 0, file.bytes, file.kind, file.path, None,
        file.reference,
    )  # fmt: skip


def _frames(file: Spooled, *, at_once: bool, sampling: Sampling) -> Iterator[pool.Decoded]:
    file.folder.mkdir()
    return pool.frames(
        file.path,
        file.folder,
        file.kind.name,
        max_pixels=settings.MAX_IMAGE_PIXELS,
        at_once=at_once,
        every=sampling.every,
        every_seconds=sampling.seconds,
    )


def _picture(file: Prepared, decoded: pool.Decoded) -> Prepared:
    """One picture of a file. A video's frame is a file of its own."""
    number = decoded.number
    name = f"{file.name}#{number + 1}" if number or decoded.original else file.name
    if decoded.original:
        sha256, size = files.digest(decoded.original)
        return Prepared(name, sha256, sha256, 0, size, JPEG, decoded.original, decoded)
    sha256 = files.picture_digest(file.source, number)
    return replace(file, name=name, sha256=sha256, number=number, decoded=decoded)


def prepare(source: files.Readable, name: str, folder: Path) -> Prepared:
    """Spool, judge and decode a file of one picture in `folder`.

    Changes no row. ServiceError 413, 415 or 422, naming the file.
    """
    found = list(pictures(spool(source, name, folder)))
    if len(found) > 1:
        raise ServiceError(
            422,
            "several_frames",
            f"“{found[0].name}” holds {len(found)} pictures; one is taken here.",
            field=found[0].name,
            hint="Nothing was stored.",
        )
    return found[0]


def place(
    project: Project, prepared: Iterable[Prepared], placed: files.Placed, *, looked_up: bool = False
) -> list[Stored]:
    """Store prepared files as images of the project, inside the caller's `files.placing()`.

    One entry per prepared file, in order. Content that the project has (or that comes twice) is
    not stored again. `looked_up`: a moment ago, so that it need not be done again here; who stores
    the same meanwhile raises IntegrityError.
    """
    results: list[Stored] = []
    todo = list(prepared)
    for start in range(0, len(todo), BATCH):
        results += _place_batch(project, todo[start : start + BATCH], placed, looked_up)
    return results


def _place_batch(
    project: Project, batch: list[Prepared], placed: files.Placed, looked_up: bool
) -> list[Stored]:
    asked = [item for item in batch if not (looked_up and _surely_new(item))]
    content = _stored_files(batch, asked, placed)
    ids = [content[item.sha256].pk for item in asked]
    rows = project.images.filter(file_id__in=ids) if ids else ()
    known = {image.file_id: image for image in rows}
    new = {}
    for item in batch:
        file = content[item.sha256]
        if file.pk not in known:
            image = Image(
                project=project, file=file, name=item.name, width=file.width, height=file.height
            )
            known[file.pk] = new[id(item)] = image
    _INSERT_IMAGES(*new.values())
    return [Stored(known[content[item.sha256].pk], id(item) in new) for item in batch]


def _surely_new(item: Prepared) -> bool:
    """Whether a picture was decoded because its content, a file of its own, was not stored."""
    return not item.kind.several and item.decoded is not None and not item.decoded.original


def _stored_files(
    batch: list[Prepared], asked: list[Prepared], placed: files.Placed
) -> dict[str, StoredFile]:
    """The row of each content, made with its files where it is new. Holds them until COMMIT.

    Only for those `asked` is looked whether there is one.
    """
    by_content = {item.sha256: item for item in batch}
    wanted = {item.sha256 for item in asked}
    held = StoredFile.objects.select_for_update().filter(sha256__in=wanted) if wanted else ()
    found = {file.sha256: file for file in held}
    new = [item for sha256, item in sorted(by_content.items()) if sha256 not in found]
    originals = {file.original for file in _rows_with_originals(new)}
    made = [(item, item.decoded, _row(item)) for item in new]
    _INSERT_FILES(*(file for *_, file in made))
    for item, decoded, file in made:
        assert decoded
        if decoded.thumbnail:
            placed.put(file.thumbnail, decoded.thumbnail)
        if decoded.upright:
            placed.put(file.upright, decoded.upright)
        if decoded.values:
            placed.put(file.values, decoded.values)
        if decoded.tiles:
            placed.put_all(files.tile_folder(file.sha256), decoded.tiles)
        if file.original not in originals and not file.reference:
            originals.add(file.original)
            placed.put(file.original, item.path, synced=not decoded.original)
        found[item.sha256] = file
    thumbnails.make_later([file for _, decoded, file in made if decoded and not decoded.thumbnail])
    return found


def _rows_with_originals(new: list[Prepared]) -> Iterable[StoredFile]:
    """Rows of other pictures in the same files, whose originals are stored therefore."""
    several = [
        files.image_name("originals", one.source, one.kind.extension)
        for one in new
        if one.kind.several
    ]
    rows = StoredFile.objects.filter(original__in=several, reference="").only("original")
    return rows if several else ()


def _row(item: Prepared) -> StoredFile:
    decoded = item.decoded
    if decoded is None:  # removed since it was prepared; the caller tries again
        raise IntegrityError(f"the content of {item.name} was removed")
    original = files.image_name("originals", item.source, item.kind.extension)
    upright, mime = original, item.kind.mime
    if decoded.upright:
        upright = files.image_name("upright", item.sha256, decoded.upright.suffix[1:])
        mime = {".jpg": "image/jpeg", ".png": "image/png"}[decoded.upright.suffix]
    return StoredFile(
        sha256=item.sha256,
        number=item.number,
        original=original,
        original_type=item.kind.mime,
        reference=item.reference,
        upright=upright,
        upright_type=mime,
        thumbnail=files.image_name("thumbs", item.sha256, "jpg"),
        values=files.image_name("values", item.sha256, "u16.gz") if decoded.values else "",
        window=decoded.window,
        levels=decoded.levels,
        width=decoded.width,
        height=decoded.height,
        bytes=item.bytes,
    )


def delete_image(user, image: Image) -> None:
    """Delete an image with all work on it. Managers only.

    Its files go unless another project uses them.
    """
    require(user, image.project_id, Role.MANAGER)
    refuse_archived(image.project)
    with transaction.atomic():
        what = f"Deleted the image {image.name}"
        audit.note(user, audit.Kind.DELETE, what, project=image.project_id)
        facts.forget(Image.objects.filter(pk=image.pk))
        image.delete()
    files.collect(StoredFile.objects.filter(pk=image.file_id))


def enqueue(project: Project, user, path: Path, name: str, params: dict[str, Any]) -> Job:
    upload = f"uploads/{uuid.uuid4().hex}"
    with files.placing() as placed:
        placed.put(upload, path, synced=True)
        return jobs.enqueue(
            project=project,
            kind=Job.Kind.INGEST,
            user=user,
            params={"upload": upload, "name": name, **params},
        )
