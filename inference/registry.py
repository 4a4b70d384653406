"""Engines by name. A new engine is one file in `engines/`, one line here and one test."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

Role = Literal["detector", "prompt"]


@dataclass(frozen=True, slots=True)
class Option:
    """A number that a training may be given: what it is unless said otherwise, and its bounds."""

    default: float
    least: float
    most: float
    title: str


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """`path` is imported on first use only. `runs_in_web`: light enough to answer prompts inside
    the web process, so that no worker is needed. `in_browser`: browsers get its decoder.
    `min_score`: below it a detection rarely is worth a look. `borders`: its borders may follow the
    image (`engines.borders`). `trainer`: the dotted path of what trains it, for projects of the
    kinds in `trains`."""

    path: str
    title: str
    roles: frozenset[Role]
    min_score: float = 0.0
    needs_torch: bool = True
    has_weights: bool = True
    runs_in_web: bool = False
    in_browser: bool = False
    borders: bool = False
    trainer: str = ""
    trains: frozenset[str] = frozenset()
    options: dict[str, Option] = field(default_factory=dict)

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
    "sam": EngineSpec(
        "inference.engines.sam.Sam", "Segment Anything", BOTH, min_score=0.88, in_browser=True
    ),
    "sam2": EngineSpec("inference.engines.sam2.Sam2", "Segment Anything 2", frozenset({"prompt"})),
    "mask_rcnn": EngineSpec(
        "inference.engines.mask_rcnn.MaskRCNN",
        "Mask R-CNN",
        frozenset({"detector"}),
        min_score=0.5,
        borders=True,
        trainer="inference.engines.mask_rcnn_training.MaskRCNNTrainer",
        trains=frozenset({"instance", "panoptic"}),
        options={
            "minutes": Option(8, 0.05, 24 * 60, "Minutes to learn"),
            "side": Option(320, 64, 1333, "Shorter side of images, pixels"),
            "batch": Option(2, 1, 64, "Images at a time"),
            "channels": Option(96, 16, 256, "Width of a network from scratch"),
        },
    ),
    "forest": EngineSpec(
        "inference.engines.forest.Forest",
        "Random forest",
        frozenset({"detector"}),
        needs_torch=False,
        trainer="inference.engines.forest_training.ForestTrainer",
        trains=frozenset({"semantic"}),
        options={
            "side": Option(320, 64, 1024, "Longer side of images, pixels"),
            "trees": Option(48, 8, 400, "Trees"),
        },
    ),
    "semantic": EngineSpec(
        "inference.engines.semantic.Semantic",
        "Semantic segmentation",
        frozenset({"detector"}),
        min_score=0.4,
    ),
}
