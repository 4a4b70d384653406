"""Where torch runs here."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inference.engines.base import OutOfMemoryError


def best() -> torch.device:
    """An NVIDIA GPU, else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def name(device: torch.device) -> str:
    """For a person."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return "Apple GPU" if device.type == "mps" else f"CPU ({platform.machine()})"


def quick_halves(device: torch.device) -> bool:
    """Whether bfloat16 is much faster than float32 there, and known to be as good for learning: on
    processors that multiply matrices of it (AMX)."""
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older ones of torch
        return False
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def memory() -> tuple[int, int] | None:
    """Bytes in use, by anybody, and in all of the NVIDIA GPU; None without one."""
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return total - free, total


def release() -> None:
    """Give memory that no tensor uses any more back to the GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns torch's out-of-memory errors into the engines' own, and frees what can be freed."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemoryError(str(error)) from None
    except RuntimeError as error:
        if "out of memory" in str(error) or "not enough memory" in str(error):
            raise OutOfMemoryError(str(error)) from None
        raise
