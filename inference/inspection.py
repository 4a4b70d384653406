"""Looks into a weights file in a process of its own, which may need much memory or die.

`python -m inference.inspection FILE [ENGINE]` prints one line of JSON: {engine, config,
categories}, {"refused": why}, or {"no_torch": true} where torch is not installed.
"""

import json
import sys
from pathlib import Path
from typing import Any

from inference.engines.base import WeightsError
from inference.registry import ENGINES


def inspect(path: Path, engine: str = "") -> dict[str, Any]:
    """What the file is, tried with every engine that uses weights (or with `engine`)."""
    names = [engine] if engine else [name for name, spec in ENGINES.items() if spec.has_weights]
    names.sort(key=lambda name: ENGINES[name].needs_torch)
    reasons = []
    for name in names:
        try:
            info = ENGINES[name].engine().inspect(path)
        except WeightsError as error:
            reasons.append(str(error))
        except ModuleNotFoundError:
            return {"no_torch": True}
        else:
            return {"engine": name, "config": info.config, "categories": list(info.categories)}
    if len(set(reasons)) == 1:
        return {"refused": reasons[0]}
    return {"refused": "The weights fit none of the engines: " + " ".join(reasons)}


if __name__ == "__main__":
    print(json.dumps(inspect(Path(sys.argv[1]), *sys.argv[2:3])))
