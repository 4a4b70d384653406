"""Embeddings, stored once for each image and model, signed with the SHA-256 of both."""

import io
import zipfile

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotations.models import Image
from inference.engines.base import Embedding, PromptSegmenter
from inference.models import ModelVersion
from inference.services.rasters import raster

SIGNATURE, SIZE = "signature", "size"


def storage_name(image: Image, model: ModelVersion) -> str:
    return f"embeddings/{model.sha256}/{image.file.sha256}.npz"


def signature(image: Image, model: ModelVersion) -> str:
    return f"{image.file.sha256}:{model.sha256}"


def stored(image: Image, model: ModelVersion) -> bool:
    return default_storage.exists(storage_name(image, model))


def read(image: Image, model: ModelVersion) -> Embedding | None:
    """The stored embedding; None when there is none, or it is damaged or signed for another."""
    try:
        with default_storage.open(storage_name(image, model)) as file:
            content = io.BytesIO(file.read())
        with np.load(content, allow_pickle=False) as archive:
            arrays = dict(archive)
        signed = str(arrays.pop(SIGNATURE))
        height, width = arrays.pop(SIZE).tolist()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    if signed != signature(image, model) or (height, width) != (image.height, image.width):
        return None
    return Embedding(arrays, (height, width), signed)


def write(image: Image, model: ModelVersion, embedding: Embedding) -> None:
    """Store it, whole or not at all, in place of one that is there."""
    content = io.BytesIO()
    np.savez_compressed(
        content,
        allow_pickle=False,
        **{SIGNATURE: np.array(signature(image, model)), SIZE: np.array(embedding.size)},
        **embedding.arrays,
    )
    name = storage_name(image, model)
    if default_storage.exists(name):
        default_storage.delete(name)
    default_storage.save(name, ContentFile(content.getvalue()))


def computed(image: Image, model: ModelVersion, engine: PromptSegmenter) -> Embedding:
    """The stored embedding, made and stored first where there is none."""
    embedding = read(image, model)
    if embedding is None:
        embedding = engine.embed(raster(image))
        write(image, model, embedding)
    return embedding
