"""How much models learn from how many labels, through the product, with a database of its own.

    script/bench learning [--data FOLDER] [--minutes 8] [--labeled 50] [--only forest|mask_rcnn]

FOLDER (../shared/data/nuclei) has `images` and `masks` of the same names: PNG, an id per object, 0
background; with --labels the ids are categories instead (255: ignore), as of street frames, and
only the forest learns. The forest learns from 5 and from 20 images, Mask R-CNN from --labeled. Both
are measured on the same images beside, which are never approved: those after the first --labeled.
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 512
"""Images with a longer side are left out: the figures are of one kind of image."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "nuclei")
    parser.add_argument("--labels", action="store_true", help="ids of masks are categories")
    parser.add_argument("--minutes", type=float, default=8, help="for Mask R-CNN")
    parser.add_argument("--side", type=int, default=256, help="of images, for Mask R-CNN")
    parser.add_argument("--labeled", type=int, default=50)
    parser.add_argument("--only", choices=["forest", "mask_rcnn"])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DEBUG": "1", "READ_DOTENV": "0", "LABELER_DATA": folder}
        os.environ["DJANGO_SETTINGS_MODULE"] = "labeler.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        bench = Bench(options)
        if options.only != "mask_rcnn":
            for count in (5, 20):
                bench.forest(count)
        if options.only != "forest" and not options.labels:
            bench.mask_rcnn()
    return 0


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        from annotations.models import User

        self.options = options
        self.user = User.objects.create(username="bench")
        paths = sorted((options.data / "images").iterdir())
        self.paths = [path for path in paths if max(Pillow.open(path).size) <= LONGEST]
        print(f"{len(self.paths)} images, {os.cpu_count()} processors")

    def forest(self, count: int) -> None:
        rest = self.paths[self.options.labeled :]
        kind = "semantic"
        training, took, measure = self.taught(kind, self.paths[:count], rest, "forest", {})
        from inference.services.loading import engine_of

        if training.model is None:
            print("forest:", training.job.error)
            return
        found = measure(engine_of(training.model), training.model.categories)
        print(
            f"forest after {count} images: mIoU {found['miou']:.3f}, boundary IoU "
            f"{found['boundary_iou']:.3f} on {found['images']} others, learned in {took:.0f} s"
        )

    def mask_rcnn(self) -> None:
        from annotations.models import Prediction
        from annotations.services import jobs
        from inference.engines.classic import Classic
        from inference.services.loading import detector_of, engine_of
        from inference.services.prelabel import run_prelabel

        options = {"minutes": self.options.minutes, "side": self.options.side}
        labeled, rest = self.paths[: self.options.labeled], self.paths[self.options.labeled :]
        training, took, measure = self.taught("instance", labeled, rest, "mask_rcnn", options)
        if training.model is None:
            print("mask_rcnn:", training.job.error)
            return
        rows = [("classic", _Named(Classic()))]
        rows.append(("Mask R-CNN, untrained", self.untrained()))
        rows.append(("  trained, own borders", engine_of(training.model)))
        rows.append(("Mask R-CNN, trained", detector_of(training.model)))
        for name, engine in rows:
            found = measure(engine, ["object"])
            print(
                f"{name:22} AP {found['ap']:.3f}  AP50 {found['ap50']:.3f}  IoU {found['miou']:.3f}"
                f"  boundary IoU {found['boundary_iou']:.3f}"
            )
        print(f"{training.images}, learned in {took:.0f} s: {training.verdict}")
        print(f"borders, AP on images apart: {training.model.origin['borders']}")
        scores = [f"{one['score']:.3f}" for one in training.curve if one["score"] is not None]
        print(f"{training.score_name} while learning, on the images apart: {', '.join(scores)}")
        after = jobs.run(training.job.result["prelabel"], run_prelabel)
        made = Prediction.objects.filter(job=after)
        first = training.project.images.exclude(reason="").order_by("-priority").first()
        print(f"pre-labeled: {after and after.message} ({made.count()} predictions)")
        print(f"first to label: {first and first.name}: {first and first.reason}")

    def untrained(self) -> Any:
        import torch

        from inference.engines.mask_rcnn import MaskRCNN
        from inference.engines.mask_rcnn_training import _model
        from inference.engines.training import Task

        torch.manual_seed(0)
        sizes = {"side": self.options.side, "channels": 96}
        return MaskRCNN(_model(Task([], [], ("object",), Path(), options=sizes))[0])

    def taught(
        self,
        kind: str,
        labeled: Sequence[Path],
        rest: Sequence[Path],
        engine: str,
        options: dict[str, float],
    ) -> tuple[Any, float, Callable[..., dict[str, Any]]]:
        """The training of a new project on `labeled`, its seconds, and what measures an engine on
        `rest`, which lies in the project unlabeled."""
        from annotations.models import Annotation, Image, Project
        from annotations.records import Geometry, ImageRecord, RegionRecord
        from annotations.services import ingest, jobs, projects
        from inference.models import TrainingRun
        from inference.services.evaluation import Truth, evaluate
        from inference.services.training import run_train, start_training

        name = f"{engine} {len(labeled)}"
        project: Project = projects.create_project(self.user, name=name, kind=kind)
        categories: dict[int, Any] = {}
        truths = []
        for path in [*labeled, *rest]:
            with path.open("rb") as file:
                image = ingest.add_image(self.user, project, file, path.name)
            regions = list(self.regions(project, path, kind, categories))
            if path in labeled:
                self.approve(Annotation, image, regions)
                Image.objects.filter(pk=image.pk).update(status="approved")
            else:
                size = (image.height, image.width)
                records = (
                    RegionRecord(
                        category.export_id, Geometry(size, counts=counts), area=area, bbox=bbox
                    )
                    for category, counts, area, bbox in regions
                )
                record = ImageRecord(image.name, size[1], size[0], tuple(records), id=image.pk)
                truths.append(Truth(image, record))
        begin = time.monotonic()
        training = start_training(self.user, project, engine=engine, options=options)
        jobs.run(training.job_id, run_train)
        took = time.monotonic() - begin
        training = TrainingRun.objects.select_related("job", "model", "project").get(pk=training.pk)
        names = {category.export_id: category.name for category in categories.values()}

        def measure(model: Any, classes: Sequence[str]) -> dict[str, Any]:
            least = 0.5 if kind == "instance" else 0.0
            return evaluate(model, classes, truths, names, kind, min_score=least).metrics

        return training, took, measure

    def regions(self, project: Any, path: Path, kind: str, categories: dict[int, Any]) -> Any:
        """(category, counts, area, box) of each object, or of each label."""
        from annotations.masks import rle
        from annotations.services.projects import create_category

        ids = np.asarray(Pillow.open(self.options.data / "masks" / path.name))
        if kind == "semantic" and not self.options.labels:
            ids = (ids > 0).astype(np.uint8)
        for id in np.unique(ids):
            if (id == 0 and kind == "instance") or (self.options.labels and id == 255):
                continue
            label = 1 if kind == "instance" else int(id)
            if label not in categories:
                name = "object" if kind == "instance" else f"label {label}"
                categories[label] = create_category(self.user, project, name=name)
            counts = rle.encode(ids == id)
            yield categories[label], counts, rle.area(counts), rle.bbox(counts, ids.shape)

    def approve(self, model: Any, image: Any, regions: Sequence[Any]) -> None:
        from annotations.models import Region

        annotation = model.objects.create(
            project=image.project, image=image, annotator=self.user, status="approved", revision=1
        )
        Region.objects.bulk_create(
            Region(
                uuid=uuid.uuid4(), annotation=annotation, image=image, category=category,
                counts=counts, area=area, bbox=list(bbox), source="import", version=1,
                author=self.user,
            )
            for category, counts, area, bbox in regions
        )  # fmt: skip


class _Named:
    """The classic engine, whose regions have no class, as one that calls all of them objects."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.batch_size = 1

    def detect(self, images: Any, **options: Any) -> Any:
        from dataclasses import replace

        found = self._engine.detect(images, **options)
        return [[replace(one, label=0) for one in detections] for detections in found]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
