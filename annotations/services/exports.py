"""Ground truth leaves: from a release, streamed, packed, and only then readable.

An export that names no release makes one of what there is. The same release makes the same bytes.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from django.db import transaction

from annotations.access import require
from annotations.errors import Conflict, NotFound, ServiceError
from annotations.formats import registry, splits
from annotations.models import Job, Project, Release, StoredFile
from annotations.models.projects import Role
from annotations.records import Dataset, ImageRecord, Report
from annotations.selectors.exports import Rule, is_small
from annotations.selectors.releases import snapshot
from annotations.services import audit, files, jobs, releases
from annotations.services.references import open_upright

AT_ONCE = 100
QUICK = ("coco", "coco_results")
"""Formats that take geometry as it is stored, and draw nothing."""
OPTIONS = {
    "splits": dict,
    "seed": str,
    "stratify": bool,
    "contiguous": bool,
    "uncompressed": bool,
    "border": int,
}
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
    release: int | None = None,
    images: bool = False,
    options: dict[str, Any] | None = None,
    key: str = "",
) -> Job:
    """Queue an export of a release, or of what there is; do a small one at once. Managers only.

    ServiceError 400 for what cannot be asked, 404: there is no such release in the project.
    """
    require(user, project, Role.MANAGER)
    options = options or {}
    check_request(project, format, status, options)
    if release is not None and not Release.objects.filter(project=project, pk=release).exists():
        raise NotFound("release")
    at_once = run_export if format in QUICK and not images and is_small(project) else None
    params = {
        "format": format,
        "status": status,
        "release": release,
        "images": images,
        "options": options,
    }
    with transaction.atomic():
        audit.note(user, audit.Kind.EXPORT, f"Exported {format} ({status})", project=project)
        return jobs.enqueue(
            project=project, kind=Job.Kind.EXPORT, user=user, params=params, key=key,
            at_once=at_once,
        )  # fmt: skip


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
    releases.check_rule(Rule(status))
    for name, value in options.items():
        if name not in OPTIONS or not isinstance(value, OPTIONS[name]):
            raise ServiceError(400, "invalid", "There is no such option.", f"options.{name:.50}")
    try:
        splits.check(options.get("splits") or {"train": 1})
    except ValueError:
        raise ServiceError(
            400,
            "invalid",
            "Splits are train, val and test with parts that add up to 1, such as 0.8, 0.1, 0.1.",
            "options.splits",
        )


def write_dataset(
    release: Release,
    format: str,
    out: Path,
    *,
    images: bool = False,
    options: dict[str, Any] | None = None,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Write a release as a data set into the empty folder `out`.

    DatasetError (`records`): what the format cannot hold.
    """
    options = options or {}
    content = snapshot(release)
    report = Report()
    rasters: dict[int, StoredFile] = {}
    split = _splitter(release, options)

    def records() -> Iterator[ImageRecord]:
        for chunk in _batches(content.images()):
            wanted = [sha256 for sha256, _ in chunk]
            known = StoredFile.objects.in_bulk(wanted, field_name="sha256") if images else {}
            rasters.clear()
            for sha256, record in chunk:
                name = record.file_name
                if images and sha256 in known:
                    assert record.id
                    rasters[record.id] = known[sha256]
                    name = raster_name(name, known[sha256].upright_type)
                yield replace(record, file_name=name, split=split(sha256))

    def open_image(record: ImageRecord) -> BinaryIO | None:
        """None: the picture was removed since; only releases with a name keep theirs."""
        assert record.id
        file = rasters.get(record.id)
        return cast(BinaryIO, open_upright(file)) if file else None

    registry.load(format).write(
        Dataset(
            name=release.title,
            kind=content.kind,  # type: ignore[arg-type]
            categories=content.categories,
            images=records(),
        ),
        out,
        options,
        report,
        open_image if images else None,
        lambda done: progress(done, release.images),
    )
    return report


def _batches(pairs: Iterator[tuple[str, ImageRecord]]) -> Iterator[list[tuple[str, ImageRecord]]]:
    while chunk := list(islice(pairs, AT_ONCE)):
        yield chunk


def _splitter(release: Release, options: dict[str, Any]) -> Callable[[str], str]:
    """The split of an image by its SHA-256."""
    fractions, seed = options.get("splits"), options.get("seed", "")
    if not fractions:
        return lambda sha256: ""
    if not options.get("stratify"):
        return lambda sha256: splits.split_of(sha256, fractions, seed)
    has = {
        sha256: {region.category_id for region in record.regions}
        for sha256, record in snapshot(release).images()
    }
    return splits.stratified(has, fractions, seed).__getitem__


def raster_name(name: str, type: str) -> str:
    """The image's name, ending as an upright raster of this MIME type does."""
    endings = _ENDINGS[type]
    suffix = PurePosixPath(name).suffix
    if suffix.lower() in endings:
        return name
    known = suffix.lower() in {".tif", ".tiff", ".bmp", *_PACKED}
    return f"{name[: -len(suffix)] if known else name}{endings[0]}"


# --- packing ------------------------------------------------------------------------------------


def pack(folder: Path, target: Path) -> tuple[int, str]:
    """Zip a folder, the same bytes for the same files. Returns the zip's size and SHA-256."""
    with zipfile.ZipFile(target, "x") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            info.external_attr = 0o100644 << 16
            packed = path.suffix.lower() in _PACKED
            info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            # Public as compress_level from Python 3.13 on. A tenth larger than at 6, in a fifth of
            # the time.
            info._compresslevel = 2  # type: ignore[attr-defined]
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
    release = _release_of(run)
    with files.scratch() as folder:
        out = folder / "out"
        out.mkdir()
        report = write_dataset(
            release,
            params["format"],
            out,
            images=params["images"],
            options=params["options"],
            progress=lambda done, total: run.progress(done, total, "Writing the annotations"),
        )
        run.check()
        size, sha256 = pack(out, folder / "export.zip")
        words = filter(None, (job.project.name, release.name, params["format"]))
        result = {
            "file": f"exports/{job.uuid}.zip",
            "name": f"{files.plain_name('-'.join(words))}.zip",
            "bytes": size,
            "sha256": sha256,
            **releases.result_values(release),
            **report_values(report),
        }
        with files.placing() as placed:
            run.hold()
            placed.put(result["file"], folder / "export.zip", synced=True)
            run.finish(result, f"{report.images} images, {report.regions} regions")


def _release_of(run: jobs.JobRun) -> Release:
    """The one that was asked for, or that of what there is."""
    job, wanted = run.job, run.job.params.get("release")
    if wanted is None:
        return releases.make_release(
            job.project,
            Rule(job.params["status"]),
            job.created_by,
            progress=lambda done, total: run.progress(done, total, "Taking the snapshot"),
        )
    release = Release.objects.filter(project=job.project, pk=wanted).first()
    if release is None:
        raise NotFound("release")
    return release


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
