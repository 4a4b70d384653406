"""Models run over images: a job whose items are images, and proposals as what comes out.

A person's regions are never read nor written here.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
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
from inference.selectors import class_names, get_model, suggested_map
from inference.services import ordering
from inference.services.loading import engine_of
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
    max_proposals: int | None = None,
    order: bool = False,
) -> Job:
    """Queue a run of `model` over the project's images. Managers only.

    order: put what is left to label in the order in which the model would learn most from it.
    images: ids, None for all (with `status` where given). category_map: the model's class → the id
    of a category; None pairs equal names. min_score None: what suits the engine. The same run
    asked again while it is queued or running is the same job. ServiceError 400 names what is wrong.
    """
    require(user, project, Role.MANAGER)
    refuse_archived(project)
    model = get_model(model.pk, "detector", project)
    params = {
        "model": model.name,
        "sha256": model.sha256,
        "category_map": _category_map(project, model, category_map),
        "min_score": ENGINES[model.engine].min_score if min_score is None else min_score,
        "max_proposals": max_proposals or MAX_PROPOSALS,
        **({"order": True} if order else {}),
    }
    ids = _images(project, images, status)
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


# --- running ------------------------------------------------------------------------------------


def run_prelabel(run: JobRun, watch: Callable[[int, int], None] | None = None) -> None:
    """Handler of a prelabel job. `watch` is called with (images ended, images in all)."""
    params = run.job.params
    model = get_model(params["model"], "detector", run.job.project)
    if model.sha256 != params["sha256"]:
        raise Conflict("model_changed", f"The model “{model.name}” was replaced since.", "model")
    run.progress(_ended(run.job), message=f"Loading {model.name}")
    engine: Detector = engine_of(model)
    names = list(model.categories)
    labels = {names.index(name): pk for name, pk in params["category_map"].items()}
    for batch in _batches(run.pending(), engine.batch_size):
        run.check()
        for item, outcome, seconds in _detected(engine, batch, params):
            _store(run, model, item, outcome, seconds, labels)
        ended = _ended(run.job)
        run.progress(ended, message=f"{model.name} on {engine.device}")
        if watch:
            watch(ended, run.job.total)
    _finish(run)


def _batches(items: Iterator[JobItem], size: int) -> Iterator[list[JobItem]]:
    while batch := list(islice(items, max(1, size))):
        yield batch


def _ended(job: Job) -> int:
    return job.items.filter(state__in=[Job.State.DONE, Job.State.FAILED]).count()


def _detected(
    engine: Detector, batch: list[JobItem], params: dict[str, Any]
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
    outcomes = _outcomes(engine, [pixels for _, pixels in readable], params)
    seconds = (time.monotonic() - start) / len(readable)
    for (item, _), outcome in zip(readable, outcomes, strict=True):
        yield item, outcome, seconds


def _outcomes(engine: Detector, rasters: list[Raster], params: dict[str, Any]) -> list[Outcome]:
    """One for each image. What fails together is tried again in halves, down to single images."""
    try:
        found = engine.detect(
            rasters,
            min_score=min(params["min_score"], FLOOR if params.get("order") else 1.0),
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
        *_outcomes(engine, rasters[:half], params),
        *_outcomes(engine, rasters[half:], params),
    ]


def _store(
    run: JobRun,
    model: ModelVersion,
    item: JobItem,
    outcome: Outcome,
    seconds: float,
    labels: dict[int, int],
) -> None:
    """One image's outcome, once, under the job's lease."""
    image = item.image
    found: list[Found] = []
    doubt = None
    if not isinstance(outcome, str):
        size, project = (image.height, image.width), run.job.project
        if run.job.params.get("order"):
            doubt = uncertainty(outcome, exclusive=project.exclusive)
            outcome = [one for one in outcome if one.score >= run.job.params["min_score"]]
        found = resolve(outcome, size=size, kind=project.kind, labels=labels)
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
