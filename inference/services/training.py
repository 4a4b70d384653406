"""A project's approved annotations teach a model: train, measure, keep it if it is better, go on.

The data are a release. Which images are held out is fixed by their content, so it stays as images
are added: nothing that a model is measured on was ever learned from. Training is measured on other
images apart, by which the best weights are kept. A worker that goes on after a killed one begins at
the last checkpoint.
"""

import contextlib
import hashlib
import shutil
import tarfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.text import slugify

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.models import Image, Job, Project, Release
from annotations.models.projects import Role
from annotations.records import ImageRecord
from annotations.selectors.exports import Rule, exported_images
from annotations.selectors.releases import snapshot
from annotations.services import files, jobs
from annotations.services.ingest import refuse_archived
from annotations.services.jobs import JobRun
from annotations.services.releases import lock, make_release
from inference.engines.base import OutOfMemoryError, WeightsError
from inference.engines.borders import Following
from inference.engines.training import CHECKPOINT, WEIGHTS, Task
from inference.models import ModelVersion, TrainingRun
from inference.registry import ENGINES, EngineSpec
from inference.selectors import current_model
from inference.services import weights
from inference.services.evaluation import Quality, Truth, evaluate
from inference.services.examples import Examples
from inference.services.loading import detector_of
from inference.services.prelabel import start_prelabel

LEAST_IMAGES = 5
"""Approved images without which nothing can be learned and measured."""
HELD_OUT, VALIDATION = 0.2, 0.15
BORDER_IMAGES = 40
"""On so many at most it is tried whether borders should follow the image."""
RULE = Rule("approved")
WRITE_EVERY_SECONDS = 1.0
ACTIVE = (Job.State.QUEUED, Job.State.RUNNING)
TRAINED_PART = 0.9
"""Of the job; measuring is the rest."""


@dataclass(frozen=True, slots=True)
class Split:
    """SHA-256 of the images of each part, in the order of their hashes."""

    train: list[str]
    validation: list[str]
    held_out: list[str]


def split(contents: Sequence[str], validates: bool = True) -> Split:
    """The parts of the images with these SHA-256, at least LEAST_IMAGES of them.

    An image's hash says where it stands between 0 and 1; the first part is held out. Images that
    come later move none of the others into the held-out part.
    """
    ordered = sorted((_place(sha256), sha256) for sha256 in set(contents))

    def upto(share: float) -> int:
        return sum(place < share for place, _ in ordered)

    first = min(max(upto(HELD_OUT), 1), len(ordered) - 2)
    second = min(max(upto(HELD_OUT + VALIDATION), first + 1), len(ordered) - 1)
    names = [sha256 for _, sha256 in ordered]
    if not validates:
        second = first
    return Split(names[second:], names[first:second], names[:first])


def _place(sha256: str) -> float:
    return int.from_bytes(hashlib.sha256(f"held out:{sha256}".encode()).digest()[:8]) / 2**64


def engines_for(project: Project) -> list[str]:
    """The engines that can be trained for the project's kind."""
    return [name for name, spec in ENGINES.items() if project.kind in spec.trains]


def approved_count(project: Project) -> int:
    return exported_images(project, RULE).count()


def start_training(
    user,
    project: Project,
    *,
    engine: str = "",
    options: dict[str, float] | None = None,
    seed: int = 0,
    prelabel: bool = True,
) -> TrainingRun:
    """Queue a training. Managers only. While one is queued or running, the same asked again is
    that one and another is refused (409). ServiceError 400, 409 say what is missing."""
    require(user, project, Role.MANAGER)
    refuse_archived(project)
    able = engines_for(project)
    engine = engine or (able[0] if able else "")
    if engine not in able:
        raise ServiceError(
            400,
            "invalid",
            f"“{engine}” cannot be trained for a project of this kind.",
            "engine",
            hint=f"Choose one of: {', '.join(able)}." if able else "",
        )
    checked = _options(engine, options or {})
    count = approved_count(project)
    if count < LEAST_IMAGES:
        raise Conflict(
            "too_few_images",
            f"{LEAST_IMAGES} approved images are needed, and there are {count}.",
            hint="Label some more, and have them approved.",
        )
    with transaction.atomic():
        lock(project)
        active = TrainingRun.objects.filter(project=project, job__state__in=ACTIVE).first()
        if active is not None:
            asked = (engine, checked, seed, prelabel)
            if asked == (active.engine, active.options, active.seed, active.prelabel):
                return active
            raise Conflict(
                "training", "A model of this project is learning already.",
                hint="Wait for it, stop it early or cancel it.",
            )  # fmt: skip
        job = jobs.enqueue(
            project=project,
            kind=Job.Kind.TRAIN,
            user=user,
            params={"engine": engine, "seed": seed},
            total=100,
        )
        parent = current_model(project)
        return TrainingRun.objects.create(
            project=project,
            job=job,
            engine=engine,
            options=checked,
            seed=seed,
            prelabel=prelabel,
            parent=parent if parent and parent.engine == engine else None,
            created_by=user,
        )


def _options(engine: str, given: dict[str, float]) -> dict[str, float]:
    options = ENGINES[engine].options
    result = {name: option.default for name, option in options.items()}
    for name, value in given.items():
        if name not in options:
            raise ServiceError(
                400, "invalid", f"There is no option “{name}”.", f"options.{name}",
                hint=f"There are: {', '.join(options)}.",
            )  # fmt: skip
        one = options[name]
        if not one.least <= value <= one.most:
            detail = f"{one.title}: between {one.least:g} and {one.most:g}."
            raise ServiceError(400, "invalid", detail, f"options.{name}")
        result[name] = value
    return result


def stop_early(user, training: TrainingRun) -> None:
    """Ask it to end now and keep the best weights so far. Managers only."""
    require(user, training.project_id, Role.MANAGER)
    TrainingRun.objects.filter(pk=training.pk).update(stop=True)


def use_model(user, model: ModelVersion) -> None:
    """A person says which of the project's models is the current one. Managers only."""
    project = model.project
    assert project
    require(user, project, Role.MANAGER)
    refuse_archived(project)
    if model.state != ModelVersion.State.READY:
        raise Conflict("model_not_ready", f"“{model.name}” cannot be used: {model.reason}")
    with transaction.atomic():
        lock(project)
        _make_current(model)


def _make_current(model: ModelVersion) -> None:
    ModelVersion.objects.filter(project=model.project_id, current=True).update(current=False)
    ModelVersion.objects.filter(pk=model.pk).update(current=True)


# --- the job --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Data:
    """What a training sees: categories (id in exports → name) and the images of each part."""

    release: Release
    categories: dict[int, str]
    train: list[Truth]
    validation: list[Truth]
    held_out: list[Truth]


def run_train(run: JobRun) -> None:
    """Handler of a training job."""
    training = TrainingRun.objects.select_related("project", "parent").get(job=run.job)
    trainer = ENGINES[training.engine].trained_by()()
    run.progress(0, 100, "Taking the snapshot of what is approved")
    data = _data(run, training, trainer.validates)
    with files.scratch() as folder:
        _fetch_checkpoint(run, folder)
        _train(run, training, trainer, data, folder)
        _conclude(run, training, data, folder / WEIGHTS)


def _data(run: JobRun, training: TrainingRun, validates: bool) -> Data:
    project = training.project
    release = training.release
    if release is None:
        release = make_release(project, RULE, training.created_by)
        training.release, training.release_sha256 = release, release.sha256
        training.save(update_fields=["release", "release_sha256"])
    content = snapshot(release)
    records: dict[str, ImageRecord] = dict(content.images())
    rows = Image.objects.filter(project=project, file__sha256__in=list(records))
    truths = {
        image.file.sha256: Truth(image, records[image.file.sha256])
        for image in rows.select_related("file")
    }
    if len(truths) < LEAST_IMAGES:
        raise Conflict("too_few_images", f"Only {len(truths)} of the approved images are left.")
    used = {
        region.category_id
        for truth in truths.values()
        for region in truth.record.regions
        if not region.is_crowd
    }
    things = project.kind == Project.Kind.PANOPTIC
    categories = {
        one.id: one.name
        for one in content.categories
        if one.id in used and (one.is_thing or not things)
    }
    if not categories:
        raise Conflict("nothing_to_learn", "No approved image has a region that can be learned.")
    if project.kind == Project.Kind.SEMANTIC and len(categories) == 1:
        raise Conflict(
            "nothing_to_learn",
            f"All that is labeled is “{next(iter(categories.values()))}”: there is nothing to tell "
            "it from.",
            hint="Label what is around it too, in a category of its own.",
        )
    parts = split(list(truths), validates)
    training.images = {name: len(part) for name, part in asdict(parts).items()}
    training.save(update_fields=["images"])
    lists = ([truths[sha256] for sha256 in part] for part in asdict(parts).values())
    return Data(release, categories, *lists)


def _train(run: JobRun, training: TrainingRun, trainer: Any, data: Data, folder: Path) -> None:
    """Until it is done or asked to stop; the curve and checkpoints are written as it goes."""
    side = 2 * int(training.options.get("side", 512))
    task = Task(
        train=Examples(data.train, list(data.categories), side),
        validation=Examples(data.validation, list(data.categories), side),
        categories=tuple(data.categories.values()),
        folder=folder,
        start=_start(training),
        seed=training.seed,
        options=training.options,
    )
    if not run.job.params.get("upload"):
        training.curve = []
    training.score_name = trainer.score_name
    before = training.curve[-1]["seconds"] if training.curve else 0.0
    begun, written = time.monotonic(), 0.0

    def stop() -> bool:
        return TrainingRun.objects.filter(pk=training.pk, stop=True).exists()

    with _plainly():
        for step in trainer.train(task, stop):
            training.curve.append(
                {
                    "done": round(step.done, 4),
                    "seconds": round(before + time.monotonic() - begun, 1),
                    "loss": step.loss,
                    "score": step.score,
                }
            )
            if step.score is not None or time.monotonic() - written > WRITE_EVERY_SECONDS:
                training.save(update_fields=["curve", "score_name"])
                written = time.monotonic()
            if step.checkpoint:
                _keep_checkpoint(run, folder)
            run.progress(int(100 * TRAINED_PART * step.done), 100, "Learning")
    training.save(update_fields=["curve", "score_name"])


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """What a trainer says, in words for people."""
    try:
        yield
    except OutOfMemoryError:
        raise ServiceError(
            507, "out_of_memory", "The device ran out of memory while learning.",
            hint="Try a smaller side or batch.",
        ) from None  # fmt: skip
    except WeightsError as error:
        raise Conflict("weights", f"The weights to begin with do not fit: {error}") from None
    except ModuleNotFoundError as error:
        raise Conflict("no_torch", f"{error.name} is not installed on this worker.") from None


def _start(training: TrainingRun) -> Path | None:
    """Weights to begin with: the project's, else official ones of the engine."""
    official = ModelVersion.objects.filter(
        project=None, engine=training.engine, state=ModelVersion.State.READY
    ).exclude(weights="")
    model = training.parent or official.order_by("name").first()
    if model is None or not weights.unchanged(model):
        return None
    return weights.path_of(model)


def _keep_checkpoint(run: JobRun, folder: Path) -> None:
    """Checkpoint and best weights into the storage, where any worker finds them; then the one
    before goes. Like an upload it belongs to the job and is dropped some time after it ended."""
    name = f"uploads/{uuid.uuid4()}.checkpoint"
    with files.scratch() as aside:  # an archive must not hold itself
        # Weights do not get smaller, so nothing is compressed.
        packed = Path(shutil.make_archive(str(aside / "kept"), "tar", folder))
        files.sync(packed)
        before = run.job.params.get("upload")
        run.job.params["upload"] = name
        with files.placing() as placed:
            placed.put(name, packed, synced=True)
            run.hold()
            Job.objects.filter(pk=run.job.pk).update(params=run.job.params)
    if before:
        default_storage.delete(before)


def _fetch_checkpoint(run: JobRun, folder: Path) -> None:
    """What an attempt before this one kept; nothing where there is none."""
    name = run.job.params.get("upload")
    if not name:
        return
    packed = folder / "fetched"
    try:
        with default_storage.open(name) as source, packed.open("wb") as out:
            shutil.copyfileobj(source, out)
        shutil.unpack_archive(packed, folder, "tar", filter="data")
    except (OSError, ValueError, tarfile.TarError):  # it begins again
        run.job.params.pop("upload")
        (folder / CHECKPOINT).unlink(missing_ok=True)
    packed.unlink(missing_ok=True)


def _conclude(run: JobRun, training: TrainingRun, data: Data, file: Path) -> None:
    """Measure the new weights and the current model on the same images; keep what is better."""
    spec, project = ENGINES[training.engine], training.project
    run.progress(90, 100, f"Measuring on {len(data.held_out)} held-out images")
    fields = weights.examine(file, training.engine)
    with _plainly():
        engine = spec.engine().load(file, fields["config"])
        borders = _borders(run, engine, fields["categories"], data, spec) if spec.borders else None
        if borders and borders["image"] > borders["model"]:
            engine = Following(engine)
        new = _measured(run, engine, fields["categories"], data, project.kind, spec.min_score, 90)
    old, before = current_model(project), None
    if old is not None:
        with contextlib.suppress(ServiceError):  # one that cannot be used any more is no rival
            rival = ENGINES[old.engine].min_score
            before = _measured(
                run, detector_of(old), old.categories, data, project.kind, rival, 95
            ).metrics
    target = settings.MODELS_DIR / weights.TRAINED / f"{uuid.uuid4()}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(file, target)
    files.settle([target], settings.MODELS_DIR)
    try:
        with transaction.atomic():
            run.hold()
            lock(project)
            model = _new_model(training, data, fields, new, target, borders)
            better = before is None or new.metrics["score"] > before["score"]
            if better:
                _make_current(model)
            training.model, training.examples = model, new.examples
            training.before = before and {"model": old and old.name, "metrics": before}
            training.verdict = _verdict(new.metrics, before, better)
            started = _prelabel_rest(training) if training.prelabel else None
            training.save()
            result = {
                "model": model.name,
                "score": new.metrics["score"],
                "current": better,
                "release_sha256": data.release.sha256,
                "prelabel": started and started.pk,
            }
            run.finish(result, training.verdict)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if kept := run.job.params.get("upload"):
        default_storage.delete(kept)


def _measured(
    run: JobRun,
    engine: Any,
    classes: Sequence[str],
    data: Data,
    kind: str,
    min_score: float,
    begin: int,
) -> Quality:
    def progress(done: int, total: int) -> None:
        run.progress(begin + 5 * done // total - (done == total), 100)

    return evaluate(
        engine,
        classes,
        data.held_out,
        data.categories,
        kind,
        min_score=min_score,
        progress=progress,
    )


def _borders(
    run: JobRun, engine: Any, classes: Sequence[str], data: Data, spec: EngineSpec
) -> dict[str, float]:
    """{model, image, images}: AP with the borders that the model draws, and with those that follow
    the image. On the images by which the weights were chosen: the held-out ones choose nothing."""
    images = data.validation[:BORDER_IMAGES]
    kind = run.job.project.kind

    def score(detector: Any) -> float:
        found = evaluate(
            detector, classes, images, data.categories, kind, min_score=spec.min_score,
            progress=lambda done, total: run.progress(90, 100, "Trying borders on the image"),
        )  # fmt: skip
        return float(found.metrics["score"])

    return {"model": score(engine), "image": score(Following(engine)), "images": len(images)}


def _new_model(
    training: TrainingRun,
    data: Data,
    fields: dict[str, Any],
    quality: Quality,
    file: Path,
    borders: dict[str, float] | None,
) -> ModelVersion:
    project = training.project
    number = TrainingRun.objects.filter(project=project, pk__lte=training.pk).count()
    stamp = {"stamp": weights.stamp(file)}
    return ModelVersion.objects.create(
        **{**fields, "config": {**fields["config"], **stamp}},
        name=f"{slugify(project.name)[:80] or 'project'}-{project.pk}-v{number}",
        weights=file.relative_to(settings.MODELS_DIR).as_posix(),
        metrics=quality.metrics,
        project=project,
        parent=training.parent,
        origin={
            "release": data.release.sha256,
            "options": training.options,
            "seed": training.seed,
            "code": code_version(),
            "images": training.images,
            **({"borders": borders} if borders else {}),
        },
    )


def _verdict(new: dict[str, Any], before: dict[str, Any] | None, better: bool) -> str:
    name = {"ap": "AP", "miou": "mIoU"}[new["score_name"]]
    images = f"{new['images']} held-out image{'' if new['images'] == 1 else 's'}"
    words = f"{name} {new['score']:.3f} on {images}."
    if before is None:
        return f"{words} It is the project's first model."
    compared = f"{words} The current one has {before['score']:.3f} on the same."
    return f"{compared} {'The new one replaces it.' if better else 'It stays.'}"


def _prelabel_rest(training: TrainingRun) -> Job | None:
    """The current model over what nobody began; None where there is nothing to do."""
    project, model = training.project, current_model(training.project)
    if not model or not Image.objects.filter(project=project, status=Image.Status.NEW).exists():
        return None
    try:
        return start_prelabel(
            training.created_by, project, model, status=Image.Status.NEW, order=True
        )
    except ServiceError as error:  # whoever asked has another role by now
        training.verdict += f" The rest was not pre-labeled: {error.detail}"
        return None


@cache
def code_version() -> str:
    """The SHA-256 of the engines' sources: the same text is the same code."""
    folder = settings.BASE_DIR / "inference" / "engines"
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
