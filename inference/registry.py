"""Engines by name. A new engine is one file in `engines/`, one line here and one test."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Role = Literal["detector", "prompt"]


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """`path` is imported on first use only. `runs_in_web`: light enough to answer prompts inside
    the web process, so that no worker is needed. `min_score`: below it a detection rarely is worth
    a look. `trainer`: the dotted path of what trains it, for projects of the kinds in `trains`."""

    path: str
    title: str
    roles: frozenset[Role]
    min_score: float = 0.0
    needs_torch: bool = True
    has_weights: bool = True
    runs_in_web: bool = False
    trainer: str = ""
    trains: frozenset[str] = frozenset()

    def engine(self) -> Any:
        """The engine's class (see `engines.base`)."""
        return _named(self.path)

    def trained_by(self) -> Any:
        """The trainer's class (see `engines.training`)."""
        return _named(self.trainer)


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


BOTH: frozenset[Role] = frozenset({"detector", "prompt"})
ENGINES: dict[str, EngineSpec] = {
    "classic": EngineSpec(
        "inference.engines.classic.Classic",
        "Classic",
        BOTH,
        needs_torch=False,
        has_weights=False,
        runs_in_web=True,
    ),
    "sam": EngineSpec("inference.engines.sam.Sam", "Segment Anything", BOTH, min_score=0.88),
    "mask_rcnn": EngineSpec(
        "inference.engines.mask_rcnn.MaskRCNN",
        "Mask R-CNN",
        frozenset({"detector"}),
        min_score=0.5,
    ),
    "semantic": EngineSpec(
        "inference.engines.semantic.Semantic",
        "Semantic segmentation",
        frozenset({"detector"}),
        min_score=0.4,
    ),
}
