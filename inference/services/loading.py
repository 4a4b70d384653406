"""Engines in memory: the learned models of a process, each loaded when it is first used.

Before another is loaded, those used longest ago leave until it fits beside `MODELS_FREE_BYTES` of
free memory, on the host and on the GPU: where memory is short there is one at a time. What nobody
asked for in `MODELS_IDLE_SECONDS` leaves too, and within seconds where memory is short. An engine
that a job still works with stays until the job drops it, and is found again meanwhile.
"""

import gc
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from django.conf import settings

from annotations.errors import ServiceError
from inference.engines.base import WeightsError
from inference.engines.borders import Following
from inference.models import ModelVersion
from inference.registry import ENGINES
from inference.selectors import follows_image
from inference.services import weights

log = logging.getLogger(__name__)

WATCH_SECONDS = 10
SHORT_IDLE_SECONDS = 30
TIMES_ITS_FILE = 3
"""Memory that a model takes while it is loaded and runs, by the size of its weights."""
Key = tuple[int, str]

_lock = threading.Lock()
_light: dict[str, Any] = {}
_loaded: OrderedDict[Key, Any] = OrderedDict()
"""The one used longest ago first."""
_used: dict[Key, float] = {}
_alive: WeakValueDictionary[Key, Any] = WeakValueDictionary()
_watcher: threading.Thread | None = None


def engine_of(model: ModelVersion) -> Any:
    """The model's engine, ready (see `engines.base`).

    ServiceError 409 when it cannot be used after all; the table says why from then on.
    """
    spec = ENGINES[model.engine]
    with _lock:
        if not spec.has_weights:
            if model.engine not in _light:
                _light[model.engine] = spec.engine().load(None, model.config)
            return _light[model.engine]
        key = (model.pk, model.sha256)
        engine = _loaded.pop(key, None) or _alive.get(key)
        if engine is None:
            _make_room(model)
            engine = _load(model)
        _loaded[key] = _alive[key] = engine
        _used[key] = time.monotonic()
        _watch()
        return engine


def detector_of(model: ModelVersion, borders: bool | None = None) -> Any:
    """The model's engine, with borders that follow the image where `borders` says so; None: where
    that was better when it was measured. Errors as those of `engine_of`."""
    engine = engine_of(model)
    chosen = follows_image(model) if borders is None else borders
    return Following(engine) if chosen else engine


def unload_idle() -> list[Key]:
    """Drop what nobody asked for lately; where memory is short, sooner. Returns what left."""
    with _lock:
        least = SHORT_IDLE_SECONDS if _short(0) else settings.MODELS_IDLE_SECONDS
        now = time.monotonic()
        idle = [key for key in _loaded if now - _used[key] >= least]
        for key in idle:
            _drop(key)
        return idle


def device_memory() -> tuple[int, int] | None:
    """Bytes in use and in all of the GPU that learned engines run on here; None without one."""
    from inference.engines.device import memory  # torch is there once an engine was loaded

    return memory()


def _make_room(model: ModelVersion) -> None:
    path = weights.path_of(model)
    needed = TIMES_ITS_FILE * path.stat().st_size if path and path.exists() else 0
    while _loaded and _short(needed):
        _drop(next(iter(_loaded)))


def _drop(key: Key) -> None:
    log.info("Unloading model %s", key[0])
    _loaded.pop(key)
    _used.pop(key)
    gc.collect()
    if "inference.engines.device" in sys.modules:
        sys.modules["inference.engines.device"].release()


def _short(needed: int) -> bool:
    return any(free - needed < settings.MODELS_FREE_BYTES for free in _free_memory())


def _free_memory() -> Iterator[int]:
    """Bytes that this process may still take: of the host, of its container, of its GPU."""
    with_files = Path("/proc/meminfo")
    if with_files.exists():  # Linux; elsewhere only what is idle leaves
        lines = (line.split() for line in with_files.read_text().splitlines())
        yield next(int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:")
    container = Path("/sys/fs/cgroup")
    most = container / "memory.max"
    if most.exists() and (text := most.read_text().strip()) != "max":
        used = int((container / "memory.current").read_text())
        lines = (line.split() for line in (container / "memory.stat").read_text().splitlines())
        cached = next(int(words[1]) for words in lines if words[0] == "inactive_file")
        yield int(text) - used + cached
    if "inference.engines.device" in sys.modules and (found := device_memory()):
        yield found[1] - found[0]


def _watch() -> None:
    """One thread of the process looks after what is idle."""
    global _watcher
    if _watcher is None or not _watcher.is_alive():  # the child of a fork has none
        _watcher = threading.Thread(target=_watch_forever, name="models", daemon=True)
        _watcher.start()


def _watch_forever() -> None:
    while True:
        time.sleep(WATCH_SECONDS)
        try:
            unload_idle()
        except Exception:  # the next time, then
            log.exception("Idle models could not be unloaded")


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
