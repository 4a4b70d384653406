"""Reading weights files: never running code that is in them."""

import pickle
import pickletools
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from inference.engines.base import WeightsError

MAX_TENSORS = 100_000
PICKLE_BYTES = 16 * 2**20
CALLS = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE"}


@dataclass(frozen=True, slots=True)
class State:
    """A state dict on the CPU, the class names that its file holds (empty: none), and what else a
    safetensors file says of itself."""

    tensors: dict[str, torch.Tensor]
    categories: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> State:
    """A `.safetensors` file (class names in its metadata, one a line) or a torch checkpoint: a
    state dict, or {"model" or "state_dict": it, "categories": [names]}. Raises WeightsError."""
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        loaded = _torch(path)
    except pickle.UnpicklingError:
        if _calls(path):
            raise WeightsError(
                "The file is a pickle that would run code when opened. It was not opened."
            ) from None
        raise WeightsError("The file is no checkpoint, or only a part of one.") from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile):
        raise WeightsError("The file is no checkpoint, or only a part of one.") from None
    return _unwrapped(loaded)


def _torch(path: Path) -> Any:
    mapped = zipfile.is_zipfile(path)  # older files are no zips and cannot be mapped
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _calls(path: Path) -> bool:
    """Whether a pickle that torch refused calls anything; its opcodes are read, never run."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                content = archive.read(name)
        else:
            with path.open("rb") as file:
                content = file.read(PICKLE_BYTES)
        return any(opcode.name in CALLS for opcode, _, _ in pickletools.genops(content))
    except (ValueError, OSError, StopIteration, zipfile.BadZipFile):
        return False


def _safetensors(path: Path) -> State:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            about = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        raise WeightsError("The file is no safetensors file, or only a part of one.") from None
    names = about.get("categories", "")
    return State(tensors, tuple(filter(None, names.split("\n"))), about)


def _unwrapped(loaded: Any) -> State:
    names: Any = ()
    if isinstance(loaded, dict):
        names = loaded.get("categories", ())
        for key in ("state_dict", "model"):
            if isinstance(loaded.get(key), dict):
                loaded = loaded[key]
                break
    if not isinstance(loaded, dict) or not loaded or len(loaded) > MAX_TENSORS:
        raise WeightsError("The file holds no weights.")
    if not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in loaded.items()):
        raise WeightsError("The file holds something else than weights.")
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise WeightsError("The class names in the file are not a list of texts.")
    return State(loaded, tuple(names))


def load_strictly(model: torch.nn.Module, state: State, kind: str) -> None:
    """Every weight in its place. Raises WeightsError naming the first that is not."""
    try:
        model.load_state_dict(state.tensors, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
        first = lines[0][:300] if lines else "the weights do not fit"
        raise WeightsError(f"The weights are not those of {kind}: {first}") from None
