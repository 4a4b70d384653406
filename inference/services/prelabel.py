"""Models run over images: a job whose items are images, and proposals as what comes out.

A person's regions are never read nor written here.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.models import Category, Image, Job, JobItem, Prediction, Project, Proposal
from annotations.models.projects import Role
from annotations.services import jobs
from annotations.services.ingest import refuse_archived
from annotations.services.jobs import JobRun
from inference.engines.base import Detection, Detector, OutOfMemoryError
from inference.engines.base import Image as Raster
from inference.models import ModelVersion
from inference.registry import ENGINES
from inference.selectors import class_names, follows_image, get_model, suggested_map
from inference.services import ordering
from inference.services import preview as previews
from inference.services.loading import detector_of, device_memory
from inference.services.ordering import FLOOR, uncertainty
from inference.services.rasters import raster
from inference.services.resolve import Found, resolve

log = logging.getLogger(__name__)

MAX_PROPOSALS = 100
ENDED = (Job.State.DONE, Job.State.FAILED, Job.State.CANCELLED)
Outcome = list[Detection] | str
"""What was found in an image, or why nothing could be."""


def start_prelabel(
    user,
    project: Project,
    model: ModelVersion,
    *,
    images: Sequence[int] | None = None,
    status: str = "",
    category_map: dict[str, int] | None = None,
    min_score: float | None = None,
    min_scores: dict[str, float] | None = None,
    max_proposals: int | None = None,
    borders: bool | None = None,
    order: bool = False,
    preview: bool = False,
) -> Job:
    """Queue a run of `model` over the project's images. Managers only.

    order: put what is left to label in the order in which the model would learn most from it.
    images: ids, None for all (with `status` where given). category_map: the model's class → the id
    of a category; None pairs equal names. min_score None: what suits the engine; min_scores: the
    model's class → its own, instead. borders: whether they follow the image; None: as was better
    when the model was measured. preview: try it on a few of the images and store nothing but
    what `services.preview` shows. The same run asked again while it is queued or running is the
    same job. ServiceError 400 names what is wrong.
    """
    require(user, project, Role.MANAGER)
    refuse_archived(project)
    model = get_model(model.pk, "detector", project)
    params = {
        "model": model.name,
        "sha256": model.sha256,
        "category_map": _category_map(project, model, category_map),
        "min_score": ENGINES[model.engine].min_score if min_score is None else min_score,
        "min_scores": _min_scores(model, min_scores or {}),
        "max_proposals": max_proposals or MAX_PROPOSALS,
        "borders": _borders(model, borders),
        **({"order": True} if order else {}),
        "preview": preview,
    }
    ids = _images(project, images, status)
    if preview:
        ids = previews.spread(ids)
    asked = json.dumps([params, ids], sort_keys=True).encode()
    digest = hashlib.sha256(asked).hexdigest()[:32]
    before = Job.objects.filter(project=project, kind=Job.Kind.PRELABEL, key__contains=digest)
    return jobs.enqueue(
        project=project,
        kind=Job.Kind.PRELABEL,
        user=user,
        params=params,
        key=f"{digest}:{before.filter(state__in=ENDED).count()}",
        image_ids=ids,
    )


def _borders(model: ModelVersion, given: bool | None) -> bool:
    if given and not ENGINES[model.engine].borders:
        raise ServiceError(
            400,
            "invalid",
            f"The borders of {ENGINES[model.engine].title} are drawn by the image already.",
            "borders",
        )
    return follows_image(model) if given is None else given


def _images(project: Project, images: Sequence[int] | None, status: str) -> list[int]:
    rows = Image.objects.filter(project=project)
    if images is None:
        rows = rows.filter(status=status) if status else rows
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
    else:
        there = set(rows.values_list("pk", flat=True))
        for index, pk in enumerate(images):
            if pk not in there:
                raise ServiceError(
                    400, "invalid", f"The project has no image {pk}.", f"images[{index}]"
                )
        ids = sorted(set(images))
    if not ids:
        raise ServiceError(400, "invalid", "There is no image to label.", "images")
    return ids


def _category_map(
    project: Project, model: ModelVersion, given: dict[str, int] | None
) -> dict[str, int]:
    names = class_names(model)
    categories = Category.objects.filter(project=project, archived_at=None)
    if given is None:
        result = suggested_map(model, categories)
        if names and not result:
            raise ServiceError(
                400,
                "invalid",
                "None of the model's classes has the name of a category.",
                "category_map",
                hint="Say which class is which category, or add categories of those names.",
            )
        return result
    there = set(categories.values_list("pk", flat=True))
    for name, category in given.items():
        if name not in names:
            raise ServiceError(
                400, "invalid", f"The model has no class “{name}”.", f"category_map.{name}"
            )
        if category not in there:
            raise ServiceError(
                400, "invalid", f"The project has no category {category}.", f"category_map.{name}"
            )
    if names and not given:
        raise ServiceError(400, "invalid", "No class is mapped to a category.", "category_map")
    return given


def _min_scores(model: ModelVersion, given: dict[str, float]) -> dict[str, float]:
    for name in given:
        if name not in class_names(model):
            raise ServiceError(
                400, "invalid", f"The model has no class “{name}”.", f"min_scores.{name}"
            )
    return given


# --- running ------------------------------------------------------------------------------------


def run_prelabel(run: JobRun, watch: Callable[[int, int], None] | None = None) -> None:
    """Handler of a prelabel job. `watch` is called with (images ended, images in all).

    Several workers may do one: each takes a batch of images at a time, and who leads it ends it.
    """
    params = run.job.params
    model = get_model(params["model"], "detector", run.job.project)
    if model.sha256 != params["sha256"]:
        raise Conflict("model_changed", f"The model “{model.name}” was replaced since.", "model")
    if run.leads:
        run.progress(run.ended_items(), message=f"Loading {model.name}")
    engine: Detector = detector_of(model, params.get("borders"))
    names = list(model.categories)
    wanted = _Wanted(
        {names.index(name): pk for name, pk in params["category_map"].items()},
        {names.index(name): least for name, least in params.get("min_scores", {}).items()},
        params["min_score"],
    )
    if params.get("preview"):
        if run.leads:
            _preview(run, engine, wanted)
        return
    heavy, invited = ENGINES[model.engine].needs_torch, False
    run.works_on(engine.device, device_memory() if heavy else None)
    while batch := run.take(max(1, engine.batch_size)):
        if not invited:
            run.invite()
            invited = True
        for item, outcome, seconds in _detected(engine, batch, params, wanted):
            _store(run, model, item, outcome, seconds, wanted)
        ended = run.ended_items()
        run.works_on(engine.device, device_memory() if heavy else None)
        run.progress(ended, message=f"{model.name} on {_pace(run.job)}")
        if watch:
            watch(ended, run.job.total)
        if run.gives_way():
            run.invite()
            return
    if run.leads:
        _finish(run)


def _pace(job: Job) -> str:
    """Devices, throughput of all workers together and what waits, in words."""
    workers = list(job.shares.all())
    devices = list(dict.fromkeys(one.device for one in workers if one.device))
    words = [" and ".join(devices) or "the first images"]
    if len(workers) > 1:
        words[0] = f"{len(workers)} workers ({words[0]})"
    speed = sum(one.speed for one in workers)
    if speed:
        words.append(f"{speed:.1f} images/s" if speed >= 1 else f"{60 * speed:.1f} images/min")
    waiting = Job.objects.filter(kind=Job.Kind.PRELABEL, state=Job.State.QUEUED).count()
    if waiting:
        words.append(f"{waiting} more {'job waits' if waiting == 1 else 'jobs wait'}")
    return ", ".join(words)


def _preview(run: JobRun, engine: Detector, wanted: "_Wanted") -> None:
    """All of it in one transaction: an attempt that is cut off leaves nothing behind."""
    ended: list[tuple[JobItem, Outcome, float]] = []
    while batch := run.take(max(1, engine.batch_size)):
        run.check()
        ended += _detected(engine, batch, run.job.params, wanted)
        run.progress(len(ended))
    rows = []
    for item, outcome, _ in ended:
        error = outcome if isinstance(outcome, str) else ""
        rows.append(previews.row(item.image, _resolved(run, item.image, outcome, wanted), error))
    proposals = sum(len(row["proposals"]) for row in rows)
    with transaction.atomic():
        run.hold()
        for (item, _, seconds), row in zip(ended, rows, strict=True):
            run.end_item(item, error=row["error"], seconds=seconds)
        run.finish(
            {"preview": rows, "images": len(rows), "proposals": proposals},
            message=f"Tried on {len(rows)} images: {proposals} proposals, none of them stored",
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which of an engine's detections a job keeps: `labels` is label → category id, `least` is
    label → least score, `floor` that of all others."""

    labels: dict[int, int]
    least: dict[int, float]
    floor: float

    @property
    def lowest(self) -> float:
        return min([self.floor, *self.least.values()])

    def of(self, found: list[Detection]) -> list[Detection]:
        return [
            one
            for one in found
            if one.score
            >= (self.floor if one.label is None else self.least.get(one.label, self.floor))
        ]


def _resolved(run: JobRun, image: Image, outcome: Outcome, wanted: _Wanted) -> list[Found]:
    if isinstance(outcome, str):
        return []
    size = (image.height, image.width)
    return resolve(wanted.of(outcome), size=size, kind=run.job.project.kind, labels=wanted.labels)


def _detected(
    engine: Detector, batch: list[JobItem], params: dict[str, Any], wanted: "_Wanted"
) -> Iterator[tuple[JobItem, Outcome, float]]:
    """Every item of a batch with what was found and the seconds it took; one bad image is alone."""
    readable: list[tuple[JobItem, Raster]] = []
    for item in batch:
        try:
            readable.append((item, raster(item.image)))
        except (OSError, ValueError) as error:
            log.warning("Image %s cannot be read: %s", item.image_id, error)
            yield item, "The stored image cannot be read.", 0.0
        except ServiceError as error:
            yield item, error.detail, 0.0
    if not readable:
        return
    start = time.monotonic()
    outcomes = _outcomes(engine, [pixels for _, pixels in readable], params, wanted.lowest)
    seconds = (time.monotonic() - start) / len(readable)
    for (item, _), outcome in zip(readable, outcomes, strict=True):
        yield item, outcome, seconds


def _outcomes(
    engine: Detector, rasters: list[Raster], params: dict[str, Any], lowest: float
) -> list[Outcome]:
    """One for each image. What fails together is tried again in halves, down to single images."""
    try:
        found = engine.detect(
            rasters,
            min_score=min(lowest, FLOOR if params.get("order") else 1.0),
            max_detections=params["max_proposals"],
        )
        return [*found]
    except OutOfMemoryError:
        reason = "The device ran out of memory on this image."
    except Exception:  # an engine's own: the other images still get done
        log.exception("%s failed on %s images", type(engine).__name__, len(rasters))
        reason = "The model failed on this image; the log says more."
    if len(rasters) == 1:
        return [reason]
    half = len(rasters) // 2
    return [
        *_outcomes(engine, rasters[:half], params, lowest),
        *_outcomes(engine, rasters[half:], params, lowest),
    ]


def _store(
    run: JobRun,
    model: ModelVersion,
    item: JobItem,
    outcome: Outcome,
    seconds: float,
    wanted: _Wanted,
) -> None:
    """One image's outcome, once, under the job's lease."""
    image = item.image
    doubt = None
    if not isinstance(outcome, str) and run.job.params.get("order"):
        doubt = uncertainty(outcome, exclusive=run.job.project.exclusive)
    found = _resolved(run, image, outcome, wanted)
    with transaction.atomic():
        run.hold()
        if isinstance(outcome, str):
            run.end_item(item, error=outcome, seconds=seconds)
            return
        prediction, made = Prediction.objects.get_or_create(
            job=run.job,
            image=image,
            defaults={
                "model": model.name,
                "model_version": model.sha256 or model.engine,
                "seconds": seconds,
                "uncertainty": doubt,
            },
        )
        if made:
            Proposal.objects.bulk_create(
                Proposal(
                    prediction=prediction,
                    category_id=one.category_id,
                    counts=one.counts,
                    area=one.area,
                    bbox=one.bbox,
                    score=one.score,
                )
                for one in found
            )
        run.end_item(item, seconds=seconds)


def _finish(run: JobRun) -> None:
    failed = run.job.items.filter(state=Job.State.FAILED)
    bad, total = failed.count(), run.job.total
    proposals = Proposal.objects.filter(prediction__job=run.job).count()
    result = {"images": total - bad, "failed": bad, "proposals": proposals}
    if bad and bad == total:
        first = failed.order_by("pk").first()
        detail = f"No image could be done. The first: {first.error if first else ''}"
        run.fail(
            {"code": "all_failed", "detail": detail, "field": "", "hint": "Retry to try again."},
            result,
        )
        return
    parts = [f"{total - bad} {'image' if total - bad == 1 else 'images'}", f"{proposals} proposals"]
    if bad:
        parts.append(f"{bad} failed")
    ordered: list[ordering.Place] = []
    if run.job.params.get("order"):
        run.progress(total, message="Ordering what is left to label")
        ordered = ordering.plan(run.job)
        parts.append(f"{len(ordered)} put in order")
    with transaction.atomic():
        run.hold()
        if ordered:
            ordering.apply(run.job.project, ordered)
        run.finish(result, message=", ".join(parts))
