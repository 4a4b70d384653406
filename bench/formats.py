"""The same generated data set read from each format into a database: processor time and memory.

    script/bench formats [--images 2000] [--regions 20] [--formats NAME …]

Images of 640 × 480 pixels; their regions are polygons of 8 to 20 points that do not touch each
other, so that every format can say them. Each format is read in a process of its own, into a new
SQLite database that has the images' rows. "read" is the format alone, "import" all that
`services.imports` does with it.
"""

import argparse
import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from annotations.records import CategoryRecord, Dataset, Geometry, ImageRecord, RegionRecord, Report
from bench.datasets import Figures, now, run, setup_django, since

WIDTH, HEIGHT, CATEGORIES, COLUMNS = 640, 480, 8, 5


def images(count: int, regions: int) -> Iterator[ImageRecord]:
    random = np.random.default_rng(7)
    side = np.array([WIDTH // COLUMNS, HEIGHT // -(-regions // COLUMNS)])
    for number in range(count):
        found = []
        for place in range(regions):
            points = int(random.integers(8, 21))
            angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
            radius = random.uniform(0.25, 0.45, (points, 1)) * side
            middle = (np.array([place % COLUMNS, place // COLUMNS]) + 0.5) * side
            ring = middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            geometry = Geometry((HEIGHT, WIDTH), [[ring.round(2).ravel().tolist()]])
            category = int(random.integers(1, CATEGORIES + 1))
            found.append(RegionRecord(category, geometry, number * regions + place + 1))
        yield ImageRecord(f"{number:06}.jpg", WIDTH, HEIGHT, tuple(found), number + 1)


def write(format: str, out: Path, count: int, regions: int) -> None:
    from annotations.formats import registry

    categories = tuple(CategoryRecord(n + 1, f"class {n}") for n in range(CATEGORIES))
    kind: Any = "semantic" if format == "semantic_png" else "instance"
    out.mkdir(parents=True)
    dataset = Dataset("bench", kind, categories, images(count, regions))
    registry.load(format).write(dataset, out, {}, Report())


def take_in(format: str, source: Path, count: int) -> Figures:
    setup_django()
    from django.core.management import call_command

    from annotations.models import Image, StoredFile, User
    from annotations.services import imports, projects

    call_command("migrate", verbosity=0)
    user = User.objects.create(username="bench")
    project = projects.create_project(user, name="Bench", kind="instance")
    of_file = {"original": "o", "upright": "u", "thumbnail": "t", "bytes": 1}
    types = {"original_type": "image/jpeg", "upright_type": "image/jpeg"}
    size = {"width": WIDTH, "height": HEIGHT}
    files = StoredFile.objects.bulk_create(
        StoredFile(sha256=f"{n:064x}", **of_file, **types, **size) for n in range(count)
    )
    ending = "_leftImg8bit.jpg" if format == "cityscapes" else ".jpg"
    Image.objects.bulk_create(
        Image(project=project, file=file, name=f"{n:06}{ending}", **size)
        for n, file in enumerate(files)
    )
    started = now()
    dataset = imports.read(format, source, lambda name: (HEIGHT, WIDTH))
    regions = sum(len(image.regions) for image in dataset.images)
    read, peak = since(started), memory()
    started = now()
    imports.import_dataset(user, project, format, source)
    return {"regions": regions, "read": [read[1], peak], "import": [since(started)[1], memory()]}


def memory() -> float:
    """The most that this process had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    from annotations.formats import registry

    known = [name for name, info in registry.FORMATS.items() if info.reads and info.writes]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--regions", type=int, default=20, help="Of each image.")
    parser.add_argument("--formats", nargs="+", default=known, choices=known)
    parser.add_argument("--step", nargs=2, metavar=("FORMAT", "SOURCE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        format, source = asked.step
        print(json.dumps(take_in(format, Path(source), asked.images)))
        return
    print("| format | regions | read, CPU s | peak MB | import, CPU s | peak MB |")
    print("|---|---|---|---|---|---|")
    for format in asked.formats:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            (folder / "data").mkdir()
            write(format, folder / "set", asked.images, asked.regions)
            command = [sys.executable, "-m", "bench.formats", "--images", str(asked.images)]
            figures = run([*command, "--step", format, str(folder / "set")], folder, "")
        row = [f"{one:.1f}, {peak:.0f}" for one, peak in (figures["read"], figures["import"])]
        cells = ", ".join(row).split(", ")
        print("| " + " | ".join([format, str(figures["regions"]), *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
