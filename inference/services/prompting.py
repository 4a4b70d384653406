"""A click becomes a mask.

Light engines answer in the web process, from a few decoded images that it keeps. Learned ones
answer from a worker of the queue `interactive`; where none does in time, the person is told so and
the editor stays usable.
"""

import contextlib
import math
import threading
import time
from collections import OrderedDict
from typing import Any

from celery import current_app
from celery.exceptions import TimeoutError as NoReply
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError

from annotations.access import find
from annotations.errors import ServiceError
from annotations.masks import rle
from annotations.masks.validation import GeometryError, validate_mask
from annotations.models import Image
from inference.engines.base import Embedding, OutOfMemoryError, Point, Prompts
from inference.models import ModelVersion
from inference.registry import ENGINES
from inference.selectors import default_model, get_model
from inference.services import decoders, embeddings
from inference.services.loading import engine_of
from inference.services.rasters import raster

MAX_POINTS = 200
REPLY_SECONDS = 15
KEEP_BYTES = 256 * 2**20
EMBED_AGAIN_SECONDS = 60
QUEUE = "interactive"
AHEAD_QUEUE = "batch"
"""Nobody waits for those images yet, and clicks do not wait for them."""


def segment(user, image_id: int, prompts: dict[str, Any]) -> dict[str, Any]:
    """`{model, candidates: [{mask: {size, counts}, score}], seconds}`, the best candidate first.

    prompts: {model: id or None, points: [{x, y, positive}], box: [x, y, w, h] or None, mask: {size,
    counts} or None}. ServiceError 400 for prompts that make no sense, 503 when no worker answers.
    """
    image = find(Image.objects.select_related("file"), user, pk=image_id)
    checked = _checked(prompts, image)
    model = _model(prompts.get("model"))
    start = time.monotonic()
    if ENGINES[model.engine].runs_in_web:
        candidates = answer(image, model, checked)
    else:
        candidates = _ask_worker(image, model, prompts)
    return {
        "model": model.name,
        "candidates": candidates,
        "seconds": round(time.monotonic() - start, 4),
    }


def embed(user, image_id: int, model_id: int | None, ahead: int = 0) -> dict[str, Any]:
    """Have the embedding made before the first click, and those of the `ahead` images after it.

    `{state: ready, queued or not_needed, model: id, decoder: whether a browser can decode}`.
    """
    image = find(Image.objects.select_related("file"), user, pk=image_id)
    model = _model(model_id)
    if ENGINES[model.engine].runs_in_web:
        return {"state": "not_needed", "model": model.pk, "decoder": False}
    ready, decoder = embeddings.stored(image, model), decoders.stored(model)
    if ready:
        embeddings.used(image, model)
    if not ready or (ENGINES[model.engine].in_browser and not decoder):
        _send_embed(image, model, QUEUE)
    for coming in embeddings.coming(user, image, ahead):
        if not embeddings.stored(coming, model):
            _send_embed(coming, model, AHEAD_QUEUE)
    return {"state": "ready" if ready else "queued", "model": model.pk, "decoder": decoder}


def _send_embed(image: Image, model: ModelVersion, queue: str) -> None:
    """Once a minute at most: a message that was lost is sent again."""
    key = f"embed:{queue}:{embeddings.signature(image, model)}"
    if cache.add(key, True, EMBED_AGAIN_SECONDS):
        transaction.on_commit(lambda: _send("embed", [image.pk, model.pk], queue=queue))


def _model(model_id: int | None) -> ModelVersion:
    return default_model("prompt") if model_id is None else get_model(model_id, "prompt")


# --- checking -----------------------------------------------------------------------------------


def _checked(prompts: dict[str, Any], image: Image) -> Prompts:
    """The prompts of a request as an engine takes them. ServiceError 400: they make no sense."""
    points = prompts.get("points") or []
    if len(points) > MAX_POINTS:
        raise _refused(f"There are {len(points)} points; {MAX_POINTS} are allowed.", "points")
    for index, point in enumerate(points):
        if not (0 <= point["x"] < image.width and 0 <= point["y"] < image.height):
            raise _refused("The point lies outside the image.", f"points[{index}]")
    box, mask = prompts.get("box"), prompts.get("mask")
    inside = _inside(box, image) if box is not None else None
    previous = None
    if mask is not None:
        try:
            counts = validate_mask(
                mask["counts"], mask["size"], (image.height, image.width), allow_empty=True
            )
        except GeometryError as error:
            raise _refused(error.detail, error.field)
        previous = rle.decode(counts, (image.height, image.width))
        previous = previous if previous.any() else None
    if not any(point["positive"] for point in points) and inside is None and previous is None:
        raise _refused(
            "There is nothing to find the object by.",
            "points",
            hint="Give a positive point, a box or a mask.",
        )
    return Prompts(
        tuple(Point(float(p["x"]), float(p["y"]), p["positive"]) for p in points), inside, previous
    )


def _inside(box: list[float], image: Image) -> tuple[float, float, float, float]:
    """The part of a box that lies in the image."""
    x, y, width, height = box
    if not all(math.isfinite(value) for value in box) or width <= 0 or height <= 0:
        raise _refused("A box is [x, y, width, height] with a size above 0.", "box")
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(float(image.width), x + width), min(float(image.height), y + height)
    if left >= right or top >= bottom:
        raise _refused("The box lies outside the image.", "box")
    return left, top, right - left, bottom - top


def _refused(detail: str, field: str, hint: str = "") -> ServiceError:
    return ServiceError(400, "invalid", detail, field, hint)


# --- answering ----------------------------------------------------------------------------------


def answer(image: Image, model: ModelVersion, prompts: Prompts) -> list[dict[str, Any]]:
    """The candidates in this process, as the API gives them."""
    engine = engine_of(model)
    embedding = _embedding(image, model, engine)
    try:
        found = engine.segment(embedding, prompts)
    except OutOfMemoryError:
        raise ServiceError(
            503, "out_of_memory", "The model ran out of memory.", headers={"Retry-After": "30"}
        ) from None
    size = (image.height, image.width)
    return [
        {
            "mask": {
                "size": list(size),
                "counts": one.mask.counts(size),
            },
            "score": round(min(1.0, max(0.0, float(one.score))), 4),
        }
        for one in found
        if one.mask.area
    ]


def answer_task(image_id: int, model_id: int, prompts: dict[str, Any]) -> dict[str, Any]:
    """What a worker replies: {"candidates": […]} or {"error": body, "status": number}."""
    try:
        image = Image.objects.select_related("file").get(pk=image_id)
        candidates = answer(image, get_model(model_id, "prompt"), _checked(prompts, image))
        return {"candidates": candidates}
    except ServiceError as error:
        return {"error": error.body, "status": error.status}


def embed_task(image_id: int, model_id: int) -> None:
    """Make and store an embedding; nothing to do where the image or the model is gone."""
    image = Image.objects.select_related("file").filter(pk=image_id).first()
    model = ModelVersion.objects.filter(pk=model_id, state=ModelVersion.State.READY).first()
    if image and model:
        engine = engine_of(model)
        decoders.keep(model, engine)  # first: whoever sees the embedding sees the decoder
        embeddings.computed(image, model, engine)


def _ask_worker(image: Image, model: ModelVersion, prompts: dict[str, Any]) -> list[dict[str, Any]]:
    no_worker = ServiceError(
        503,
        "no_worker",
        f"No worker answered for the model “{model.name}”.",
        "model",
        hint="It may still be starting. Choose another model, or try again in a moment.",
        headers={"Retry-After": "5"},
    )
    result = _send("segment", [image.pk, model.pk, prompts], expires=REPLY_SECONDS)
    if result is None:
        raise no_worker
    try:
        reply = result.get(timeout=REPLY_SECONDS, interval=0.02)
    except NoReply:
        raise no_worker from None
    with contextlib.suppress(OSError):
        result.forget()
    if "error" in reply:
        body = reply["error"]
        raise ServiceError(
            reply["status"], body["code"], body["detail"], body["field"], body["hint"]
        )
    candidates: list[dict[str, Any]] = reply["candidates"]
    return candidates


def _send(task: str, args: list[Any], queue: str = QUEUE, **options: Any) -> Any:
    """The result to wait for; None when the broker cannot be reached."""
    try:
        return current_app.send_task(
            f"inference.tasks.{task}",
            args=args,
            queue=queue,
            retry=False,
            ignore_result=task != "segment",
            **options,
        )
    except (OSError, OperationalError):
        return None


class _Recent:
    """The embeddings used last, up to KEEP_BYTES."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Embedding] = OrderedDict()

    def get(self, key: str) -> Embedding | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, embedding: Embedding) -> None:
        with self._lock:
            self._kept[key] = embedding
            while len(self._kept) > 1 and self._bytes() > KEEP_BYTES:
                self._kept.popitem(last=False)

    def _bytes(self) -> int:
        return sum(a.nbytes for kept in self._kept.values() for a in kept.arrays.values())


_recent = _Recent()


def _embedding(image: Image, model: ModelVersion, engine: Any) -> Embedding:
    key = f"{model.engine}:{embeddings.signature(image, model)}"
    embedding = _recent.get(key)
    if embedding is None:
        if ENGINES[model.engine].needs_torch:
            embedding = embeddings.computed(image, model, engine)
        else:
            embedding = engine.embed(raster(image))
        _recent.put(key, embedding)
    return embedding
