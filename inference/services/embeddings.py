"""Embeddings, stored once for each image and model, signed with the SHA-256 of both.

A stored embedding is one gzip stream: a line of JSON, `{signature, size: [height, width], arrays:
[{name, dtype, shape}]}`, then the arrays, little-endian. Of each array come the first bytes of all
its numbers, then the second bytes and so on, which compresses half as well again. Browsers read the
same file (`frontend/workers/embedding.ts`).

What was used longest ago is removed when all of them take more than `EMBEDDINGS_BYTES`.
"""

import gzip
import json
import zlib
from datetime import timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Q, Sum
from django.utils import timezone

from annotations.access import find
from annotations.errors import NotFound
from annotations.models import Annotation, Image
from annotations.services import files
from inference.engines.base import Embedding, PromptSegmenter
from inference.models import ModelVersion, StoredEmbedding
from inference.selectors import get_model
from inference.services.rasters import raster

DTYPES = ("float16", "float32", "int32")
USED_AGAIN = timedelta(hours=1)
"""How exactly it is known when an embedding was last used."""


def storage_name(image: Image, model: ModelVersion) -> str:
    return _name(model.sha256, image.file.sha256)


def _name(model: str, image: str) -> str:
    return f"embeddings/{model}/{image}.bin"


def signature(image: Image, model: ModelVersion) -> str:
    return f"{image.file.sha256}:{model.sha256}"


def stored(image: Image, model: ModelVersion) -> bool:
    return _rows(image, model).exists()


def _rows(image: Image, model: ModelVersion) -> Any:
    return StoredEmbedding.objects.filter(image=image.file.sha256, model=model.sha256)


def used(image: Image, model: ModelVersion) -> None:
    """Somebody needs it: it is not among the next to be removed."""
    now = timezone.now()
    _rows(image, model).filter(used_at__lt=now - USED_AGAIN).update(used_at=now)


def coming(user, image: Image, count: int) -> list[Image]:
    """The images that `user` will probably be given after this one, at most `count`."""
    status = Annotation.Status
    own = Annotation.objects.filter(
        annotator=user, status__in=[status.IN_PROGRESS, status.SENT_BACK]
    )
    rows = Image.objects.visible_to(user).filter(project=image.project_id, pk__gt=image.pk)
    mine = Q(status=Image.Status.NEW) | Q(pk__in=own.values("image"))
    return list(rows.filter(mine).select_related("file").order_by("pk")[:count])


def to_send(user, image_id: int, model_id: int) -> tuple[Image, ModelVersion]:
    """An image that `user` may see and a model that has an embedding of it. NotFound: none yet."""
    image = find(Image.objects.select_related("file"), user, pk=image_id)
    model = get_model(model_id, "prompt")
    if not stored(image, model):
        raise NotFound("embedding")
    used(image, model)
    return image, model


def read(image: Image, model: ModelVersion) -> Embedding | None:
    """The stored embedding; None when there is none, or it is damaged or signed for another."""
    try:
        with default_storage.open(storage_name(image, model)) as file:
            embedding = unpack(file.read())
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
        return None
    size = (image.height, image.width)
    if embedding.signature != signature(image, model) or embedding.size != size:
        return None
    used(image, model)
    return embedding


def write(image: Image, model: ModelVersion, embedding: Embedding) -> None:
    """Store it, whole or not at all, in place of one that is there; then keep to the budget."""
    signed = Embedding(embedding.arrays, embedding.size, signature(image, model))
    content = pack(signed)
    files.store(storage_name(image, model), content)
    StoredEmbedding.objects.update_or_create(
        image=image.file.sha256,
        model=model.sha256,
        defaults={"bytes": len(content), "used_at": timezone.now()},
    )
    evict(settings.EMBEDDINGS_BYTES)


def computed(image: Image, model: ModelVersion, engine: PromptSegmenter) -> Embedding:
    """The stored embedding, made and stored first where there is none."""
    embedding = read(image, model)
    if embedding is None:
        embedding = engine.embed(raster(image))
        write(image, model, embedding)
    return embedding


def evict(budget: int) -> int:
    """Remove what was used longest ago until the rest takes at most `budget` bytes.

    The newest one stays whatever it takes. Returns how many were removed.
    """
    total = StoredEmbedding.objects.aggregate(total=Sum("bytes"))["total"] or 0
    removed = 0
    if total <= budget:
        return removed
    newest = StoredEmbedding.objects.order_by("-used_at", "-pk").first()
    for row in StoredEmbedding.objects.order_by("used_at", "pk").iterator():
        if total <= budget or row == newest:
            break
        row.delete()
        default_storage.delete(_name(row.model, row.image))
        total -= row.bytes
        removed += 1
    return removed


# --- the format ---------------------------------------------------------------------------------


def pack(embedding: Embedding) -> bytes:
    arrays = {name: np.ascontiguousarray(array) for name, array in embedding.arrays.items()}
    head = {
        "signature": embedding.signature,
        "size": list(embedding.size),
        "arrays": [
            {"name": name, "dtype": str(array.dtype), "shape": list(array.shape)}
            for name, array in arrays.items()
        ],
    }
    body = b"".join(
        array.astype(array.dtype.newbyteorder("<")).view(np.uint8)
        .reshape(-1, array.itemsize).T.tobytes()
        for array in arrays.values()
    )  # fmt: skip
    return gzip.compress(json.dumps(head).encode() + b"\n" + body, compresslevel=6, mtime=0)


def unpack(content: bytes) -> Embedding:
    """OSError, EOFError, ValueError, KeyError, TypeError, zlib.error: it is damaged."""
    line, _, body = gzip.decompress(content).partition(b"\n")
    head = json.loads(line)
    arrays: dict[str, np.ndarray] = {}
    start = 0
    for one in head["arrays"]:
        if one["dtype"] not in DTYPES:
            raise ValueError(f"an array of {one['dtype']}")
        dtype = np.dtype(one["dtype"]).newbyteorder("<")
        count = int(np.prod(one["shape"]))
        planes = np.frombuffer(body, np.uint8, count * dtype.itemsize, start)
        numbers = np.ascontiguousarray(planes.reshape(dtype.itemsize, count).T).view(dtype)
        arrays[one["name"]] = numbers.reshape(one["shape"]).astype(one["dtype"])
        start += planes.size
    height, width = head["size"]
    return Embedding(arrays, (height, width), head["signature"])
