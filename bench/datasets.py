"""Import and export of one generated COCO data set, beside Datumaro, in one run.

    script/bench datasets [--images 20000] [--regions 20] [--limit MEGABYTES] [--database URL]

Every step is a process of its own, so that its peak memory is its own: ours into and out of a
database (each row committed, ids and history kept), and ours from file to file without one. The
database is SQLite, made for the run, or an empty one that is named. Datumaro imports into Python
objects, keeps them in its own format on disk, and exports. Image files are not read by any of them.
Processor seconds stand beside those that passed, for machines that do other work.
"""

import argparse
import gc
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
READERS = ROOT / ".cache" / "readers" / "bin" / "python"
WIDTH, HEIGHT, CATEGORIES = 1280, 720, 40

Figures = dict[str, Any]


def generate(path: Path, images: int, regions: int) -> None:
    """Polygons of 8 to 40 points, one in ten a mask; the same for the same numbers."""
    from annotations.masks import rle

    random = np.random.default_rng(7)
    masks = []
    for _ in range(64):
        x, y, w, h = random.integers((0, 0, 20, 20), (WIDTH - 200, HEIGHT - 200, 200, 200))
        ys, xs = np.ogrid[:HEIGHT, :WIDTH]
        ellipse = ((xs - x - w / 2) / w * 2) ** 2 + ((ys - y - h / 2) / h * 2) ** 2 < 1
        masks.append(
            (
                rle.encode(ellipse),
                int(ellipse.sum()),
                list(rle.bbox(rle.encode(ellipse), (HEIGHT, WIDTH))),
            )
        )
    path.parent.mkdir(parents=True)
    (path.parent.parent / "images").mkdir()  # Datumaro refuses a set without the folder
    with path.open("w") as file:
        file.write('{"info": {}, "licenses": [], "categories": ')
        json.dump(
            [{"id": n + 1, "name": f"class {n}", "supercategory": ""} for n in range(CATEGORIES)],
            file,
        )
        file.write(', "images": ')
        json.dump(
            [
                {"id": n + 1, "file_name": f"{n:06}.jpg", "width": WIDTH, "height": HEIGHT}
                for n in range(images)
            ],
            file,
        )
        file.write(', "annotations": [')
        for number in range(images * regions):
            entry = _annotation(random, masks, number, regions)
            file.write(("" if number == 0 else ",\n") + json.dumps(entry))
        file.write("]}")


def _annotation(random: np.random.Generator, masks: list[Any], number: int, regions: int) -> Any:
    entry = {"id": number + 1, "image_id": number // regions + 1, "iscrowd": 0}
    entry["category_id"] = int(random.integers(1, CATEGORIES + 1))
    if number % 10 == 9:
        counts, area, box = masks[number // 10 % len(masks)]
        shape = {"size": [HEIGHT, WIDTH], "counts": counts}
        return entry | {"segmentation": shape, "area": area, "bbox": box}
    points = int(random.integers(8, 41))
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = random.uniform(10, 100) * random.uniform(0.7, 1, points)
    x, y = random.uniform(100, WIDTH - 100), random.uniform(100, HEIGHT - 100)
    ring = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1).round(2)
    low, high = ring.min(0), ring.max(0)
    box = [*low.tolist(), *(high - low).round(2).tolist()]
    flat = ring.ravel().tolist()
    return entry | {"segmentation": [flat], "area": float(radius.mean() ** 2 * 3.1), "bbox": box}


# --- the steps, each in a process of its own ------------------------------------------------------


def read(source: Path, target: Path) -> Figures:
    """Each record once, every geometry validated: what Datumaro's import is without the checks."""
    from annotations.formats import coco

    started = now()
    regions = sum(len(image.regions) for image in coco.read(source, {}).images)
    return {"regions": regions, "seconds": since(started)}


def convert(source: Path, target: Path) -> Figures:
    """File to file: the formats alone."""
    from annotations.formats import coco
    from annotations.records import Report

    target.mkdir()
    report = Report()
    started = now()
    coco.write(coco.read(source, {}), target, {}, report)
    return {"regions": report.regions, "seconds": since(started)}


def bring_in(source: Path, target: Path) -> Figures:
    """The import service, into a new database; the rows of images are there before."""
    setup_django()
    from annotations.services import imports

    user, project = make_project(source)
    started = now()
    totals = imports.import_dataset(user, project, "coco", source)
    return {"regions": totals.regions, "seconds": since(started)}


def make_project(source: Path) -> tuple[Any, Any]:
    """(user, project) in a new database, with the images of the file but without their pixels."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from annotations.formats.jsonstream import load_streaming
    from annotations.models import Image, StoredFile, User
    from annotations.services import projects

    user = User.objects.create(username="bench")
    project = projects.create_project(user, name="Bench", kind="instance")
    entries = load_streaming(source, "annotations")[0]["images"]  # json.loads would be the peak
    files = StoredFile.objects.bulk_create(
        (
            StoredFile(
                sha256=f"{one['id']:064x}",
                original="o",
                upright="u",
                thumbnail="t",
                original_type="image/jpeg",
                upright_type="image/jpeg",
                width=WIDTH,
                height=HEIGHT,
                bytes=1,
            )
            for one in entries
        ),
        batch_size=1000,
    )
    Image.objects.bulk_create(
        (
            Image(project=project, file=file, name=one["file_name"], width=WIDTH, height=HEIGHT)
            for file, one in zip(files, entries, strict=True)
        ),
        batch_size=1000,
    )
    return user, project


def release(source: Path, target: Path) -> Figures:
    """A release of what the database holds."""
    setup_django()
    from annotations.models import Project
    from annotations.selectors.exports import Rule
    from annotations.services import releases

    started = now()
    made = releases.make_release(Project.objects.get(), Rule(), None)
    return {"regions": made.regions, "seconds": since(started)}


def export(source: Path, target: Path) -> Figures:
    """The release as COCO."""
    setup_django()
    from annotations.models import Release
    from annotations.services import exports

    target.mkdir()
    made = Release.objects.get()
    started = now()
    report = exports.write_dataset(made, "coco", target)
    return {"regions": report.regions, "seconds": since(started)}


STEPS = {"read": read, "convert": convert, "import": bring_in, "release": release, "export": export}


def now() -> list[float]:
    """Seconds on the clock, and of the processor."""
    return [time.perf_counter(), time.process_time()]


def since(started: list[float]) -> list[float]:
    return [new - old for new, old in zip(now(), started, strict=True)]


def setup_django() -> None:
    """As a worker has it."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
    django.setup()
    gc.collect()
    gc.freeze()


def run(command: list[str], folder: Path, database: str) -> Figures:
    environment = os.environ | {
        "LABELER_DATA": str(folder / "data"), "DEBUG": "0", "READ_DOTENV": "0",
        "SECRET_KEY": secrets.token_hex(32), "ALLOWED_HOSTS": "localhost", "DATABASE_URL": database,
    }  # fmt: skip
    if not database:
        del environment["DATABASE_URL"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--regions", type=int, default=20, help="Of each image.")
    parser.add_argument("--limit", type=float, default=400, help="MB that an export may need.")
    parser.add_argument("--database", default="", help="URL of an empty one; else SQLite.")
    parser.add_argument(
        "--step", nargs=3, metavar=("NAME", "SOURCE", "TARGET"), help=argparse.SUPPRESS
    )
    asked = parser.parse_args()
    if asked.step:
        name, source, target = asked.step
        figures = STEPS[name](Path(source), Path(target))
        figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        compare(Path(name), asked.images, asked.regions, asked.limit, asked.database)


def compare(folder: Path, images: int, regions: int, limit: float, database: str) -> None:
    source = folder / "set" / "annotations" / "instances_default.json"
    (folder / "data").mkdir()
    generate(source, images, regions)
    print(f"{images} images, {images * regions} regions, {source.stat().st_size / 2**20:.0f} MB")
    theirs = run(
        [str(READERS), "-m", "bench._datumaro", str(folder / "set"), str(folder / "theirs")],
        folder,
        database,
    )
    ours = {}
    for step in STEPS:
        command = [sys.executable, "-m", "bench.datasets", "--step", step]
        ours[step] = run([*command, str(source), str(folder / f"ours-{step}")], folder, database)
        assert ours[step]["regions"] == images * regions, (step, ours[step])
    names = ("seconds", "of CPU", "peak MB", "Datumaro s", "of CPU", "MB", "times as fast")
    print("\n| " + " | ".join(["step", *names, "by CPU", "of its memory"]) + " |")
    print("|---|" + "---|" * 9)
    whole = ("import", "release", "export")
    ours["whole"] = {
        "seconds": [
            sum(pair) for pair in zip(*(ours[one]["seconds"] for one in whole), strict=True)
        ],
        "peak": max(ours[one]["peak"] for one in whole),
    }
    compared = {
        "read": ["import"],
        "convert": ["import", "export"],
        "import": ["import", "keep"],
        "export": ["export"],
        "whole": ["import", "keep", "export"],
    }
    for step, mine in ours.items():
        row = [f"{one:.1f}" for one in mine["seconds"]] + [f"{mine['peak']:.0f}"]
        if step in compared:
            pairs = zip(*(theirs[one] for one in compared[step]), strict=True)
            total = [sum(pair) for pair in pairs]
            row += [f"{one:.1f}" for one in total] + [f"{theirs['peak']:.0f}"]
            row += [f"{a / b:.2f}" for a, b in zip(total, mine["seconds"], strict=True)]
            row += [f"{mine['peak'] / theirs['peak']:.2f}"]
        name = "whole: in and out" if step == "whole" else step
        print("| " + " | ".join([name, *row] + ["–"] * (9 - len(row))) + " |")
    worst = ours["whole"]["peak"]
    print(f"\nImport, release and export need {worst:.0f} MB; the limit is {limit:.0f} MB.")
    if worst > limit:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
