"""Engines in memory: one learned model per process, loaded when it is first used."""

import threading
from typing import Any

from annotations.errors import ServiceError
from inference.engines.base import WeightsError
from inference.models import ModelVersion
from inference.registry import ENGINES
from inference.services import weights

_lock = threading.Lock()
_light: dict[str, Any] = {}
_heavy: tuple[tuple[int, str], Any] | None = None


def engine_of(model: ModelVersion) -> Any:
    """The model's engine, ready (see `engines.base`). A learned one replaces the one before it.

    ServiceError 409 when it cannot be used after all; the table says why from then on.
    """
    global _heavy
    spec = ENGINES[model.engine]
    with _lock:
        if not spec.has_weights:
            if model.engine not in _light:
                _light[model.engine] = spec.engine().load(None, model.config)
            return _light[model.engine]
        key = (model.pk, model.sha256)
        if _heavy is None or _heavy[0] != key:
            _heavy = None  # its memory goes before the next one's is taken
            _heavy = (key, _load(model))
        return _heavy[1]


def device_memory() -> tuple[int, int] | None:
    """Bytes in use and in all of the GPU that learned engines run on here; None without one."""
    from inference.engines.device import memory  # torch is there once an engine was loaded

    return memory()


def _load(model: ModelVersion) -> Any:
    if not weights.unchanged(model):
        weights.reject(model, "The weights file was changed after it was checked.")
        raise _unusable(model, "its weights file was changed after it was checked")
    try:
        engine = ENGINES[model.engine].engine().load(weights.path_of(model), model.config)
    except WeightsError as error:
        weights.reject(model, str(error))
        raise _unusable(model, str(error)) from None
    except ModuleNotFoundError:
        raise _unusable(model, "torch is not installed on this worker: run script/torch") from None
    ModelVersion.objects.filter(pk=model.pk).update(device=engine.device[:80])
    return engine


def _unusable(model: ModelVersion, why: str) -> ServiceError:
    return ServiceError(
        409, "model_not_ready", f"The model “{model.name}” cannot be used: {why}", "model",
        hint="See the models page.",
    )  # fmt: skip
