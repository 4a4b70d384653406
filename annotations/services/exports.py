"""Ground truth leaves: numbered once, streamed from the database, packed, and only then readable.

The ids of images and regions in exports are given at the first export, under a lock of the project,
counted from 1, and never change afterwards. The same ground truth makes the same bytes.
"""

import hashlib
import math
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Max, Model, QuerySet

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.formats import registry
from annotations.formats.splits import split_of
from annotations.models import Image, Job, Project, Region
from annotations.models.projects import Role
from annotations.records import Dataset, ImageRecord, Report
from annotations.selectors import exports as selectors
from annotations.services import files, jobs

NUMBER_AT_ONCE = 2000
OPTIONS = {"splits": dict, "seed": str, "contiguous": bool, "uncompressed": bool, "border": int}
"""What may be asked of a format, beside whether image files come along."""

_ENDINGS = {
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/png": (".png",),
    "image/webp": (".webp",),
}
_PACKED = {ending for endings in _ENDINGS.values() for ending in endings}
_EPOCH = (1980, 1, 1, 0, 0, 0)

Progress = Callable[[int, int], None]


def start_export(
    user,
    project: Project,
    *,
    format: str,
    status: str = "approved",
    images: bool = False,
    options: dict[str, Any] | None = None,
    key: str = "",
) -> Job:
    """Queue an export. Managers only. ServiceError 400 for what cannot be asked."""
    require(user, project, Role.MANAGER)
    options = options or {}
    check_request(project, format, status, options)
    params = {"format": format, "status": status, "images": images, "options": options}
    return jobs.enqueue(project=project, kind=Job.Kind.EXPORT, user=user, params=params, key=key)


def check_request(project: Project, format: str, status: str, options: dict[str, Any]) -> None:
    """ServiceError 400: no such format, none for this kind of project, status or option."""
    info = registry.FORMATS.get(format)
    if info is None or not info.writes:
        raise ServiceError(
            400, "invalid", f"There is no format “{format:.50}” to export.", "format"
        )
    if project.kind not in info.kinds:
        raise ServiceError(
            400, "invalid", f"{info.title} does not suit {project.kind} projects.", "format"
        )
    if status not in selectors.WANTED:
        raise ServiceError(400, "invalid", "approved, submitted or all.", "status")
    for name, value in options.items():
        if name not in OPTIONS or not isinstance(value, OPTIONS[name]):
            raise ServiceError(400, "invalid", "There is no such option.", f"options.{name:.50}")
    try:
        _split("", options)
    except (TypeError, ValueError):
        raise ServiceError(
            400,
            "invalid",
            "Splits are named parts that add up to 1, such as train 0.8 and val 0.2.",
            "options.splits",
        )


def write_dataset(
    project: Project,
    format: str,
    out: Path,
    *,
    status: str = "approved",
    images: bool = False,
    options: dict[str, Any] | None = None,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Write the data set into the empty folder `out`.

    DatasetError (`records`): what the format cannot hold.
    """
    options = options or {}
    total = number_images(project, status)
    report = Report()
    rasters: dict[int, Image] = {}

    def number(chunk: list[Image], regions: list[Region]) -> None:
        number_regions(project, regions)
        rasters.clear()
        rasters.update({image.export_id: image for image in chunk if image.export_id})

    def open_image(record: ImageRecord) -> BinaryIO:
        assert record.id
        return cast(BinaryIO, default_storage.open(rasters[record.id].file.upright))

    dataset = Dataset(
        name=project.name,
        kind=project.kind,  # type: ignore[arg-type]
        categories=selectors.exported_categories(project),
        images=selectors.image_records(
            project,
            status,
            number,
            name=raster_name if images else lambda image: image.name,
            split=lambda image: _split(image.file.sha256, options),
        ),
    )
    registry.load(format).write(
        dataset,
        out,
        options,
        report,
        open_image if images else None,
        lambda done: progress(done, total),
    )
    return report


def _split(key: str, options: dict[str, Any]) -> str:
    fractions = options.get("splits")
    if not fractions:
        return ""
    if set(fractions) - {"train", "val", "test"} or not all(map(math.isfinite, fractions.values())):
        raise ValueError("not such splits")
    return split_of(key, fractions, options.get("seed", ""))


def raster_name(image: Image) -> str:
    """The image's name, ending as the upright raster does."""
    endings = _ENDINGS[image.file.upright_type]
    path = PurePosixPath(image.name)
    if path.suffix.lower() in endings:
        return image.name
    known = path.suffix.lower() in {".tif", ".tiff", ".bmp", *_PACKED}
    return f"{image.name[: -len(path.suffix)] if known else image.name}{endings[0]}"


# --- ids ----------------------------------------------------------------------------------------


def number_images(project: Project, status: str) -> int:
    """Give ids to the images of an export that have none. Returns how many images it has."""
    rows = selectors.exported_images(project, status)
    everything = Image.objects.filter(project=project)
    while todo := list(rows.filter(export_id=None).order_by("pk")[:NUMBER_AT_ONCE]):
        _number(project, everything, todo)
    return rows.count()


def number_regions(project: Project, regions: list[Region]) -> None:
    """Give ids to those of these regions that have none, in their order."""
    everything = Region.objects.filter(annotation__project=project)
    todo = [region for region in regions if region.export_id is None]
    for start in range(0, len(todo), NUMBER_AT_ONCE):
        _number(project, everything, todo[start : start + NUMBER_AT_ONCE])


def _number(project: Project, everything: QuerySet[Any], rows: list[Any]) -> None:
    """Ids after the greatest that was ever given; a row that got one meanwhile keeps it."""
    with transaction.atomic():
        lock(project)
        model: type[Model] = everything.model
        given = dict(
            everything.filter(pk__in=[row.pk for row in rows]).values_list("pk", "export_id")
        )
        last = everything.aggregate(last=Max("export_id"))["last"] or 0
        new = []
        for row in rows:
            row.export_id = given.get(row.pk)
            if row.export_id is None:
                last += 1
                row.export_id = last
                new.append(row)
        model._default_manager.bulk_update(new, ["export_id"], batch_size=500)


def lock(project: Project) -> None:
    """Inside a transaction: nobody else gives ids in this project until it ends."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


# --- packing ------------------------------------------------------------------------------------


def pack(folder: Path, target: Path) -> tuple[int, str]:
    """Zip a folder, the same bytes for the same files. Returns the zip's size and SHA-256."""
    with zipfile.ZipFile(target, "x") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            info.external_attr = 0o100644 << 16
            packed = path.suffix.lower() in _PACKED
            info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            info.file_size = path.stat().st_size  # so that zipfile knows when 64 bits are needed
            with path.open("rb") as source, archive.open(info, "w") as out:
                while chunk := source.read(files.CHUNK):
                    out.write(chunk)
    files.sync(target)
    digest = hashlib.sha256()
    with target.open("rb") as packed_file:
        while chunk := packed_file.read(files.CHUNK):
            digest.update(chunk)
    return target.stat().st_size, digest.hexdigest()


def run_export(run: jobs.JobRun) -> None:
    """The handler of an `export` job. The file can be downloaded once the job is done."""
    job, params = run.job, run.job.params
    with files.scratch() as folder:
        out = folder / "out"
        out.mkdir()
        report = write_dataset(
            job.project,
            params["format"],
            out,
            status=params["status"],
            images=params["images"],
            options=params["options"],
            progress=lambda done, total: run.progress(done, total, "Writing the annotations"),
        )
        run.check()
        size, sha256 = pack(out, folder / "export.zip")
        result = {
            "file": f"exports/{job.uuid}.zip",
            "name": f"{files.plain_name(job.project.name)}-{params['format']}.zip",
            "bytes": size,
            "sha256": sha256,
            **report_values(report),
        }
        with files.placing() as placed:
            run.hold()
            placed.put(result["file"], folder / "export.zip")
            run.finish(result, f"{report.images} images, {report.regions} regions")


def report_values(report: Report) -> dict[str, Any]:
    """Counts, and notes of what the format could not say; `more_notes` are not listed."""
    return {
        "images": report.images,
        "regions": report.regions,
        "notes": report.notes,
        "more_notes": report.more,
    }


def finished_file(user, job: Job) -> tuple[str, str]:
    """Storage name and download name of a finished export. Managers only; 409 before it is done."""
    require(user, job.project, Role.MANAGER)
    if job.kind != Job.Kind.EXPORT or job.state != Job.State.DONE:
        raise Conflict("not_ready", "There is no file to download: the export is not done.")
    return job.result["file"], job.result["name"]
