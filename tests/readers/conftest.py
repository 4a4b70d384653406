"""Other tools read what we write: in .cache/readers, which script/readers makes."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from annotations.formats import registry
from annotations.masks import polygons, rle
from annotations.records import CategoryRecord, Dataset, Geometry, ImageRecord, RegionRecord, Report

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".cache" / "readers" / "bin" / "python"
SIZE = (60, 80)


def read(script: str, *arguments: Any) -> Any:
    """What a script of this folder, run by the outside readers' Python, prints as JSON."""
    if not PYTHON.exists():
        pytest.skip("the outside readers are not installed: script/readers")
    path = Path(__file__).parent / "outside" / f"{script}.py"
    done = subprocess.run(
        [PYTHON, path, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def mask(x: int, y: int, width: int, height: int, hole: bool = False) -> npt.NDArray[np.bool_]:
    pixels = np.zeros(SIZE, bool)
    pixels[y : y + height, x : x + width] = True
    if hole:
        pixels[y + 3 : y + height - 3, x + 3 : x + width - 3] = False
    return pixels


def counts(x: int, y: int, width: int, height: int, hole: bool = False) -> Geometry:
    return Geometry(SIZE, counts=rle.encode(mask(x, y, width, height, hole)))


REGIONS = {
    "a.png": (
        RegionRecord(1, Geometry(SIZE, [[[5, 5, 25, 5, 25, 20, 5, 20]]]), 1),
        RegionRecord(2, counts(40, 10, 20, 15, hole=True), 2, order=1),
        RegionRecord(1, Geometry(SIZE, [[[10, 30, 30, 30, 20, 50]], [[60, 40, 75, 40, 75, 55]]]),
                     3, order=2),
    ),
    "b.png": (RegionRecord(2, counts(3, 4, 30, 20), 4),),
    "c.png": (),
}  # fmt: skip


def records(named: dict[str, tuple[RegionRecord, ...]]) -> list[ImageRecord]:
    return [
        ImageRecord(name, SIZE[1], SIZE[0], regions, id)
        for id, (name, regions) in enumerate(named.items(), 1)
    ]


def masks(name: str) -> list[npt.NDArray[np.bool_]]:
    """The regions' masks of an image, in their order."""
    return [polygons.geometry_mask(region.geometry) for region in REGIONS[name]]


@pytest.fixture
def written(tmp_path) -> Callable[..., Path]:
    """`written(format, kind)`: the folder with an export of three pictures."""

    def write(format: str, kind: str = "instance") -> Path:
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        for name in REGIONS:
            Image.new("RGB", SIZE[::-1], "gray").save(pictures / name)
        out = tmp_path / format
        out.mkdir()
        categories = (CategoryRecord(1, "car", color="#e69f00"), CategoryRecord(2, "tree"))
        dataset = Dataset("Street", kind, categories, iter(records(REGIONS)))  # type: ignore[arg-type]
        registry.load(format).write(
            dataset, out, {}, Report(), lambda record: (pictures / record.file_name).open("rb")
        )
        return out

    return write
