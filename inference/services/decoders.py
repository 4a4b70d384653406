"""Mask decoders that browsers run: exported once from the weights, stored by their SHA-256."""

import logging

from django.core.files.storage import default_storage

from annotations.services import files
from inference.engines.base import BrowserDecoder
from inference.models import ModelVersion

log = logging.getLogger(__name__)

LAYOUT = 3
"""One more when `engines.sam_export` writes something that older pages cannot run."""


def storage_name(model: ModelVersion) -> str:
    return f"decoders/{model.sha256}.{LAYOUT}.onnx"


def stored(model: ModelVersion) -> bool:
    return bool(model.sha256) and default_storage.exists(storage_name(model))


def keep(model: ModelVersion, engine: object) -> None:
    """Export and store the decoder unless that was done; engines that have none are left alone.

    Without one the server decodes, so a failure is logged and nothing else.
    """
    if not isinstance(engine, BrowserDecoder) or stored(model):
        return
    try:
        content = engine.export_decoder()
    except Exception:  # whatever an exporter of another torch throws
        log.exception("The decoder of %s could not be exported", model.name)
        return
    files.store(storage_name(model), content)
