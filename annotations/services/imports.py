"""A data set comes in: all of it or nothing, as ground truth or as a model's predictions.

The data set is read and checked to its end before a row is written; images come along or are found
in the project by name. Then images, categories, annotations and the end of the job are one
transaction. The same file again adds nothing.
"""

import hashlib
import marshal
import pickle
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from annotations.access import require
from annotations.errors import ServiceError
from annotations.formats import registry
from annotations.formats.names import stem
from annotations.imaging.sniff import HEAD_BYTES, ZIP, sniff
from annotations.models import Image, Job, Project, StoredFile
from annotations.models.projects import Role
from annotations.records import Dataset, DatasetError, ImageRecord, Report
from annotations.services import files, ingest, jobs, zips
from annotations.services.importing import Entry, Row, Rows, Totals, one_region, prepare

Kind = Literal["ground_truth", "predictions"]
KINDS = ("ground_truth", "predictions")
IMAGE_FOLDERS = ("images", "JPEGImages", "leftImg8bit")
"""Where data sets keep their images."""
MASK_FORMATS = ("semantic_png", "instance_png", "coco_panoptic", "cityscapes", "voc")
"""Formats whose other pictures are masks."""
SMALL_BYTES = 20 * 2**20
AT_ONCE = 400
"""Images whose rows are written together."""
Progress = Callable[[int, int], None]


def start_import(
    user, project: Project, *, format: str, kind: str, file: files.Readable, name: str = ""
) -> Job:
    """Import an uploaded file or zip: a small one at once, a large one by a worker. Managers only.

    The job of a small one is done when this returns. ServiceError 400, 409, 413, 422, 507: a file
    that cannot be taken; nothing was changed.
    """
    require(user, project, Role.MANAGER)
    check_request(project, format, kind)
    name = files.clean_name(name or getattr(file, "full_name", "") or getattr(file, "name", ""))
    params = {"format": format, "kind": kind, "name": name}
    started_at = timezone.now()
    with files.scratch() as folder:
        path = folder / "upload"
        _, size = files.receive(file, path, settings.MAX_UPLOAD_BYTES, name)
        if size <= SMALL_BYTES:

            def record(totals: Totals) -> Job:
                return jobs.record(
                    project=project,
                    kind=Job.Kind.IMPORT,
                    user=user,
                    params=params,
                    result=totals.as_dict(),
                    message=totals.summary(),
                    started_at=started_at,
                )

            return _from_upload(user, project, path, params, folder, ended=record)
        upload = f"uploads/{uuid.uuid4().hex}"
        with files.placing() as placed:
            placed.put(upload, path, synced=True)
            return jobs.enqueue(
                project=project,
                kind=Job.Kind.IMPORT,
                user=user,
                params={**params, "upload": upload},
            )


def check_request(project: Project, format: str, kind: str) -> None:
    """ServiceError 400: no such format, or not such a kind; 409: the project is archived."""
    info = registry.FORMATS.get(format)
    if info is None or not info.reads:
        raise ServiceError(
            400, "invalid", f"There is no format “{format:.50}” to import.", "format"
        )
    if kind not in KINDS:
        raise ServiceError(400, "invalid", "Either ground_truth or predictions.", "as")
    ingest.refuse_archived(project)


def run_import(run: jobs.JobRun) -> None:
    """The handler of an `import` job."""
    job = run.job

    def finish(totals: Totals) -> None:
        run.hold()
        run.finish(totals.as_dict(), totals.summary())

    with files.scratch() as folder:
        _from_upload(
            job.created_by,
            job.project,
            files.job_upload(job, folder),
            job.params,
            folder,
            ended=finish,
            progress=lambda done, total: run.progress(done, total, "Reading the data set"),
        )
    default_storage.delete(job.params["upload"])


Result = Any


def _from_upload(
    user,
    project: Project,
    upload: Path,
    params: dict[str, Any],
    folder: Path,
    *,
    ended: Callable[[Totals], Result],
    progress: Progress = lambda done, total: None,
) -> Result:
    path = unpack(upload, params["name"], folder / "data", params["format"])
    return import_dataset(
        user,
        project,
        params["format"],
        path,
        kind=params["kind"],
        label=params["name"],
        images=image_folder(path, params["format"]),
        ended=ended,
        progress=progress,
    )


def image_folder(path: Path, format: str) -> Path | None:
    """Where in an unpacked data set to look for images."""
    inner = next((path / name for name in IMAGE_FOLDERS if (path / name).is_dir()), None)
    return inner or (path if path.is_dir() and format not in MASK_FORMATS else None)


def unpack(upload: Path, name: str, folder: Path, format: str) -> Path:
    """A zip as a folder with its files; any other file under its own ending.

    Folders that hold nothing but one folder are left out, unless they mean something.
    """
    folder.mkdir()
    with upload.open("rb") as file:
        is_zip = sniff(file.read(HEAD_BYTES)) is ZIP
    if not is_zip:
        target = folder / f"upload{Path(name).suffix[:10] if Path(name).suffix.isascii() else ''}"
        target.symlink_to(upload)
        return target
    entries = zips.check(upload)
    with zips.opened(upload) as archive:
        for entry in entries:
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with zips.reading(archive, entry.name) as source:
                _, size = files.receive(source, target, entry.size, entry.name)
            if size != entry.size:
                raise zips.damaged(entry.name)
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        if format == "cityscapes" and _is_cityscapes(inside[0]):
            break
        folder = inside[0]
    return folder


def _is_cityscapes(folder: Path) -> bool:
    """Whether it is a part of the names of images: the kind of labels, a split or a city."""
    known = folder.name in ("gtFine", "gtCoarse", "train", "train_extra", "val", "test")
    return known or not any(path.is_dir() for path in folder.iterdir())


def import_dataset(
    user,
    project: Project,
    format: str,
    path: Path,
    *,
    kind: str = "ground_truth",
    label: str = "",
    images: Path | None = None,
    ended: Callable[[Totals], Result] = lambda totals: totals,
    progress: Progress = lambda done, total: None,
) -> Result:
    """Import a file or folder into a project, all or nothing.

    `images`: a folder that is searched for the images; others must be in the project under the
    same name. `ended` is called inside the transaction; what it returns is returned. ServiceError
    400, 409, 413 or 422, with a JSON pointer or file name in `field`.
    """
    with files.scratch() as folder:
        try:
            finder = _Finder(project, images, folder)
            dataset = read(format, path, finder.size)
            spool = folder / "records"
            report = Report()
            count = _check(dataset, path, finder, spool, report, progress)
        except DatasetError as error:
            raise as_service_error(error)
        with files.placing() as placed:
            rows = Rows(user, project, dataset, kind, label or path.name, digest(path), report)
            spooled = _load(spool)
            while batch := list(islice(spooled, AT_ONCE)):
                rows.add(list(_entries(project, batch, placed)))
            rows.end()
            rows.totals.images = count
            return ended(rows.totals)


def read(format: str, path: Path, size: Callable[[str], tuple[int, int] | None]) -> Dataset:
    """The data set as the format's module reads it."""
    return registry.load(format).read(path, {"image_size": size})


def as_service_error(error: DatasetError) -> ServiceError:
    """In the words of the API: 400 what cannot be parsed, 413 too large, else 422."""
    status = {"unreadable": 400, "too_large": 413}.get(error.code, 422)
    return ServiceError(status, error.code, error.detail, error.pointer, "Nothing was imported.")


# --- first: read, check, find the images ----------------------------------------------------------


class _Found(NamedTuple):
    """The image of a record: `image` in the project, or `prepared` to be stored."""

    image: int | None
    prepared: ingest.Prepared | None


@dataclass(slots=True)
class _Finder:
    """Finds images by the names in a data set: in a folder first, then in the project."""

    project: Project
    folder: Path | None
    scratch: Path
    _paths: dict[str, Path] = field(default_factory=dict)
    _known: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for root in [self.folder] if self.folder else []:
            for path in sorted(root.rglob("*")):
                if path.suffix.lower() in zips.IMAGE_ENDINGS and path.is_file():
                    name = path.relative_to(root).as_posix()
                    self._paths[name] = path
                    self._paths.setdefault(stem(name), path)
        rows = Image.objects.filter(project=self.project)
        for pk, name, width, height in rows.values_list("pk", "name", "width", "height"):
            for key in {name, stem(name)}:
                self._known.setdefault(key, []).append((pk, height, width))

    def size(self, name: str) -> tuple[int, int] | None:
        """(height, width) of an image of the project, for formats that do not say it."""
        found = self._known.get(name)
        return found[0][1:] if found else None

    def find(self, record: ImageRecord, pointer: str) -> _Found:
        """DatasetError: there is no such image, there are several, or its size is another."""
        name, split = record.file_name, record.split
        wanted = (name, f"{split}/{name}", stem(name), f"{split}/{stem(name)}")
        if path := next(filter(None, map(self._paths.get, wanted)), None):
            return self._prepare(record, pointer, path)
        found = next(filter(None, map(self._known.get, wanted)), [])
        if not found:
            raise DatasetError(
                f"There is no image {record.file_name} in the project, and none came along.",
                pointer,
                "image_missing",
            )
        if len(found) > 1:
            raise DatasetError(
                f"{len(found)} images of the project are named {record.file_name}.",
                pointer,
                "image_ambiguous",
            )
        pk, height, width = found[0]
        _check_size(record, (height, width), pointer)
        return _Found(pk, None)

    def _prepare(self, record: ImageRecord, pointer: str, path: Path) -> _Found:
        # A format that names masks only has the wrong ending.
        name = stem(record.file_name) + path.suffix
        with path.open("rb") as source:
            prepared = ingest.prepare(source, name, self.scratch)
        if prepared.decoded:
            size = (prepared.decoded.height, prepared.decoded.width)
        else:
            row = StoredFile.objects.get(sha256=prepared.sha256)
            size = (row.height, row.width)
        _check_size(record, size, pointer)
        return _Found(None, prepared)


def _check_size(record: ImageRecord, size: tuple[int, int], pointer: str) -> None:
    if (record.height, record.width) != size:
        raise DatasetError(
            f"{record.file_name} is {size[1]} × {size[0]} pixels, and the data set says "
            f"{record.width} × {record.height}.",
            pointer,
            "wrong_size",
        )


def _check(
    dataset: Dataset,
    path: Path,
    finder: _Finder,
    spool: Path,
    report: Report,
    progress: Progress,
) -> int:
    """Read the stream to its end and spool it with its images. Returns how many there are.

    Regions are measured here, so that the transaction only has to write them.
    """
    count = 0
    seen: set[object] = set()
    joined = one_region(finder.project, dataset.categories)
    with spool.open("wb") as out:
        for index, record in enumerate(dataset.images):
            pointer = f"/images/{index}" if path.suffix == ".json" else record.file_name
            image, prepared = finder.find(record, pointer)
            same = image or (prepared and prepared.sha256)
            if same in seen:
                raise DatasetError(
                    f"{record.file_name} is the same picture as another image of the data set.",
                    pointer,
                    "same_image",
                )
            seen.add(same)
            rows = prepare(record, finder.project, joined, report)
            packed = pickle.dumps(prepared) if prepared else None
            data = marshal.dumps((image, packed, record.id, pointer, rows))
            out.write(len(data).to_bytes(8) + data)
            count += 1
            progress(count, 0)
    return count


Spooled = tuple[int | None, bytes | None, int | None, str, list[Row]]
"""Of an image: its key, or the pickled `Prepared`; its id in the data set, place and regions."""


def _load(spool: Path) -> Iterator[Spooled]:
    with spool.open("rb") as file:
        while size := file.read(8):
            # Safe to load: `_check` wrote it a moment ago, in our own folder.
            yield marshal.loads(file.read(int.from_bytes(size)))  # noqa: S302


def _entries(project: Project, batch: list[Spooled], placed: files.Placed) -> Iterator[Entry]:
    """Stores the images that are not there yet."""
    prepared = [pickle.loads(one) for _, one, *_ in batch if one]  # noqa: S301 (as above)
    stored = (one.image for one in ingest.place(project, prepared, placed))
    rows = Image.objects.filter(pk__in=[pk for pk, *_ in batch if pk])
    known = {row[0]: row for row in rows.values_list("pk", "name", "export_id")}
    for pk, _, id, pointer, regions in batch:
        if pk:
            yield Entry(*known[pk], id, pointer, regions)
        else:
            image = next(stored)
            yield Entry(image.pk, image.name, image.export_id, id, pointer, regions)


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's names and contents."""
    total = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        if file != path:
            total.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as source:
            total.update(hashlib.file_digest(source, "sha256").digest())
    return total.hexdigest()
