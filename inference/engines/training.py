"""What a trainer is: approved images in, a weights file out. No Django here.

A trainer is named in `inference.registry`, beside the engine that loads what it writes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from inference.engines.base import CropMask, Image

WEIGHTS, CHECKPOINT = "weights.safetensors", "checkpoint"


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One region of the ground truth; `label` indexes the task's categories."""

    mask: CropMask
    label: int
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An image with all of its regions, the later ones in front."""

    image: Image
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What to learn. Examples are read when they are asked for, each time again.

    folder: WEIGHTS is written there whenever they are the best so far; CHECKPOINT, where it is
    there at the start, is gone on from. start: weights to begin with, of the same engine.
    """

    train: Sequence[Example]
    validation: Sequence[Example]
    categories: tuple[str, ...]
    folder: Path
    start: Path | None = None
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """How far training is. `done`: 0…1. `loss` and `score` where they were measured; a greater
    score is better. `checkpoint`: CHECKPOINT was just written."""

    done: float
    loss: float | None = None
    score: float | None = None
    checkpoint: bool = False


@runtime_checkable
class Trainer(Protocol):
    score_name: str
    """What `Step.score` is, for people."""

    validates: bool
    """Whether it needs images apart to tell which weights are the best."""

    def train(self, task: Task, stop: Callable[[], bool]) -> Iterator[Step]:
        """Trains until it is done or `stop()`, then WEIGHTS is there: the best.

        Raises WeightsError for `start` that does not fit, OutOfMemoryError.
        """
