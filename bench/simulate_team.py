"""A team with known faults labels through the API; prints what the dashboards recover.

    script/simulate_team [--images 60] [--seeds 7 8 9] [--data ../shared/data] [--keep FOLDER]
    script/simulate_team --drawings

Planted: one careless annotator, a pair of categories that all confuse, a model whose second version
is worse, and wrong labels by good annotators, which the ranking of suspicious labels should find.
Requests go through the whole API inside this process, on a throw-away SQLite database; predictions
and the days of submission, which no API sets, are written to the tables.
"""

import argparse
import json
import os
import sys
import tempfile
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench import drawings

ROOT = Path(__file__).resolve().parent.parent
CATEGORIES = 8
CARELESS = "carl"
GOOD = ("ann", "bob", "dora")
SWAPPED = 0.3
"""Share of the confused pair's objects that get the other's name."""
PLANTED = 0.05
"""Share of the good annotators' other regions that get a wrong name."""
DAYS = 20


@dataclass
class Found:
    """What was planted, and what the dashboards say."""

    careless: str = ""
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    planted_pair: tuple[str, str] = ("", "")
    found_pair: tuple[str, str] = ("", "")
    versions: dict[str, float] = field(default_factory=dict)
    planted: int = 0
    precision: float = 0.0
    recall: float = 0.0
    recall_twice: float = 0.0
    by_chance: float = 0.0
    agreement: float = 0.0


class Photographs:
    """The sample of COCO in `data`: its most frequent categories."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "coco_sample"
        content = json.loads((self.folder / "instances.json").read_text())
        names = {one["id"]: one["name"] for one in content["categories"]}
        objects = [one for one in content["annotations"] if not one["iscrowd"]]
        often = Counter(names[one["category_id"]] for one in objects).most_common(CATEGORIES)
        self.names = [name for name, _ in often]
        self.objects: dict[int, list[tuple[str, Any]]] = {}
        for one in objects:
            if names[one["category_id"]] in self.names and one["area"] > 200:
                self.objects.setdefault(one["image_id"], []).append(
                    (names[one["category_id"]], one["segmentation"])
                )
        self.images = [one for one in content["images"] if one["id"] in self.objects]

    def truth(self, image: dict[str, Any]) -> list[tuple[str, Any]]:
        from annotations.masks import polygons, rle

        size = (image["height"], image["width"])
        return [
            (name, rle.decode(polygons.rasterize([[ring] for ring in rings], size), size))
            for name, rings in self.objects[image["id"]]
        ]

    def picture(self, image: dict[str, Any]) -> bytes:
        return next(self.folder.rglob(image["file_name"])).read_bytes()


class Drawings:
    """As many drawn pictures as are asked for."""

    def __init__(self, images: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.names = list(drawings.KINDS)
        scenes = [drawings.scene(random) for _ in range(images)]
        self.images = [
            {"id": n, "file_name": f"table {n + 1:03}.png", "width": drawings.WIDTH,
             "height": drawings.HEIGHT}
            for n in range(images)
        ]  # fmt: skip
        self.objects = {n: objects for n, (_, objects) in enumerate(scenes)}
        self.pictures = [picture for picture, _ in scenes]

    def truth(self, image: dict[str, Any]) -> list[tuple[str, Any]]:
        return self.objects[image["id"]]

    def picture(self, image: dict[str, Any]) -> bytes:
        return cv2.imencode(".png", self.pictures[image["id"]][..., ::-1])[1].tobytes()


class Team:
    """`images`: how many; every one is labeled by two, a third of them are gold."""

    def __init__(self, source: Photographs | Drawings, images: int, seed: int = 7) -> None:
        self.random = np.random.default_rng(seed)
        self.source = source
        self.names = source.names
        self.pair = (self.names[1], self.names[2])
        self.objects = source.objects
        # Images with the confused pair come first, so that small runs have them.
        self.images = sorted(source.images, key=lambda one: -self._of_pair(one["id"]))[:images]
        self.planted: set[str] = set()
        self.ids: dict[int, int] = {}
        self.clients: dict[str, Any] = {}

    def _of_pair(self, image: int) -> int:
        return sum(name in self.pair for name, _ in self.objects[image])

    def ask(self, who: str, method: str, path: str, body: Any = None, **options: Any) -> Any:
        call = getattr(self.clients[who], method)
        reply = call(f"/api/{path}", body, **({"format": "json"} | options))
        if reply.status_code >= 400:
            raise RuntimeError(f"{method} {path} by {who}: {reply.content[:500]!r}")
        return reply.json() if reply.content else None

    def run(self) -> Found:
        from annotations.services import facts, jobs, suspects

        self._set_up()
        gold = self.images[: max(2, len(self.images) // 3)]
        others = self.images[len(gold) :]
        annotations = [
            self._label("mary", one, [(n, m, None) for n, m in self._truth(one)], 60)
            for one in gold
        ]
        for annotation in annotations:
            self._move("olga", annotation, "approve")
        ids = {"annotations": [one["id"] for one in annotations]}
        self.ask("mary", "post", f"projects/{self.project}/gold", ids)
        for one in gold:
            for who in (*GOOD, CARELESS):
                self._work(who, one, [])
        for number, one in enumerate(others):
            version = "v1" if number < len(others) / 2 else "v2"
            proposals = self._predict(one, version)
            first, second = (GOOD[(number + step) % len(GOOD)] for step in (0, 1))
            self._work(first, one, proposals)
            self._work(CARELESS if number % 4 == 0 else second, one, [])
        self._spread_over_days(gold, others)
        facts.measure_due(100_000)
        job = self.ask("olga", "post", f"projects/{self.project}/suspicions")
        done = jobs.run(job["id"], suspects.run_suspects)
        if done is None or done.state != "done":
            raise RuntimeError(f"the search failed: {done and done.error}")
        return self._recovered()

    # --- people and images ------------------------------------------------------------------------

    def _set_up(self) -> None:
        from django.core.files.uploadedfile import SimpleUploadedFile
        from rest_framework.test import APIClient

        from annotations.models import User

        for name in ("olga", "mary", *GOOD, CARELESS):
            user, _ = User.objects.get_or_create(username=name)
            self.clients[name] = APIClient()
            self.clients[name].force_authenticate(user)
        made = self.ask(
            "olga", "post", "projects", {"name": "Street and table", "kind": "instance"}
        )
        self.project = made["id"]
        roles = {"mary": "manager", **dict.fromkeys((*GOOD, CARELESS), "annotator")}
        for name, role in roles.items():
            self.ask("olga", "post", f"projects/{self.project}/members",
                     {"username": name, "role": role})  # fmt: skip
        colors = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
                  "#7f7f7f"]  # fmt: skip
        self.categories = {
            name: self.ask("olga", "post", f"projects/{self.project}/categories",
                           {"name": name, "color": color})["id"]
            for name, color in zip(self.names, colors, strict=True)
        }  # fmt: skip
        for one in self.images:
            file = SimpleUploadedFile(one["file_name"], self.source.picture(one))
            reply = self.ask("olga", "post", f"projects/{self.project}/images",
                             {"files": file}, format="multipart")  # fmt: skip
            self.ids[one["id"]] = reply["results"][0]["image"]["id"]

    def _truth(self, image: dict[str, Any]) -> list[tuple[str, Any]]:
        return [(name, mask) for name, mask in self.source.truth(image) if mask.sum() > 60]

    # --- what people do ---------------------------------------------------------------------------

    def _work(self, who: str, image: dict[str, Any], proposals: list[tuple[Any, str, Any]]) -> None:
        """Labels as `who` does: with proposals (row, name, mask) for some of the objects."""
        careless = who == CARELESS
        drawn: list[tuple[str, Any, Any]] = []
        for place, (name, mask) in enumerate(self._truth(image)):
            if careless and self.random.random() < 0.2:
                continue
            mask = _moved(mask, self.random.integers(-9, 10, 2)) if careless else _wobbled(mask)
            source = None
            if place < len(proposals):
                source, _, proposed = proposals[place]
                good = (proposed & mask).sum() / (proposed | mask).sum() > 0.85
                mask = proposed if good else mask
            if name in self.pair and self.random.random() < SWAPPED:
                name = self.pair[1 - self.pair.index(name)]
            drawn.append((name, mask, source))
        self._label(who, image, drawn, 14 if careless else 25)

    def _label(
        self, who: str, image: dict[str, Any], drawn: list[tuple[str, Any, Any]], seconds: int
    ) -> dict[str, Any]:
        """Draws, a patch for each way of working, and submits."""
        from annotations.masks import rle

        annotation = self.ask(who, "post", f"images/{self.ids[image['id']]}/annotations", {})
        patches: dict[int, list[dict[str, Any]]] = {}
        for order, (name, mask, source) in enumerate(drawn):
            if not mask.any():
                continue
            key = str(uuid.uuid4())
            if who in GOOD and name not in self.pair and self.random.random() < PLANTED:
                name = str(self.random.choice([n for n in self.names if n != name]))
                self.planted.add(key)
            size = [image["height"], image["width"]]
            write = {
                "op": "upsert", "region": key, "based_on": 0, "key": str(uuid.uuid4()),
                "category": self.categories[name], "order": order,
                "mask": {"size": size, "counts": rle.encode(mask)}, "source": "brush",
                "proposal": source,
            }  # fmt: skip
            patches.setdefault(6 if source else seconds, []).append(write)
        revision = annotation["revision"]
        for each, writes in patches.items():
            body = {"writes": writes, "seconds": each * len(writes)}
            reply = self.ask(who, "post", f"annotations/{annotation['id']}/patches", body)
            revision = reply["revision"]
        self.ask(who, "post", f"annotations/{annotation['id']}/submit", {"revision": revision})
        return {"id": annotation["id"], "revision": revision}

    def _move(self, who: str, annotation: dict[str, Any], verb: str) -> None:
        body = {"revision": annotation["revision"], "comment": ""}
        self.ask(who, "post", f"annotations/{annotation['id']}/{verb}", body)

    # --- what no API sets -------------------------------------------------------------------------

    def _predict(self, image: dict[str, Any], version: str) -> list[tuple[int, str, Any]]:
        """A model's proposals: good ones by v1, shrunken ones by v2."""
        from annotations.masks import rle
        from annotations.models import Prediction, Proposal

        prediction = Prediction.objects.create(
            image_id=self.ids[image["id"]], model="simulated", model_version=version
        )
        size = (image["height"], image["width"])
        made = []
        for name, mask in self._truth(image):
            proposed = _wobbled(mask) if version == "v1" else _eroded(mask)
            counts = rle.encode(proposed)
            row = Proposal.objects.create(
                prediction=prediction, category_id=self.categories[name], counts=counts,
                area=rle.area(counts), bbox=list(rle.bbox(counts, size)), score=0.9,
            )  # fmt: skip
            made.append((row.pk, name, proposed))
        return made

    def _spread_over_days(self, gold: list[Any], others: list[Any]) -> None:
        """Submissions of the images over DAYS days, in their order; gold ones in between."""
        from django.utils import timezone

        from annotations.models import Annotation, Prediction

        start = timezone.now() - timedelta(days=DAYS)
        Prediction.objects.filter(image__project=self.project).update(created_at=start)
        for images in (gold, others):
            for number, one in enumerate(images):
                at = start + timedelta(days=1 + number * DAYS / len(images) * 0.95)
                Annotation.objects.filter(image=self.ids[one["id"]]).update(submitted_at=at)

    # --- what the dashboards say ------------------------------------------------------------------

    def _report(self, name: str) -> list[dict[str, Any]]:
        return self.ask("olga", "get", f"projects/{self.project}/quality/{name}")["rows"]

    def _recovered(self) -> Found:
        from annotations.models import Region

        found = Found(planted_pair=self.pair)
        people = [row for row in self._report("people") if row["gold_objects"]]
        found.people = {row["person"]: row for row in people}
        found.careless = min(people, key=lambda row: row["pq"])["person"]
        mistakes: Counter[tuple[str, str]] = Counter()
        for row in self._report("confusion"):
            pair = tuple(sorted((row["from"], row["to"])))
            if row["from"] != row["to"] and "(nothing)" not in pair:
                mistakes[(pair[0], pair[1])] += row["count"]
        found.found_pair = mistakes.most_common(1)[0][0] if mistakes else ("", "")
        found.versions = {row["model_version"]: row["iou"] for row in self._report("models")}
        found.agreement = self._report("agreement")[0]["object_alpha"]
        ranking = self.ask("olga", "get", f"projects/{self.project}/suspicions?limit=2000")
        # Of the confused pair and the careless one no wrong label was planted: they are left out.
        honest = set(
            map(
                str,
                Region.objects.filter(annotation__annotator__username__in=GOOD)
                .exclude(category__name__in=self.pair)
                .filter(annotation__status="submitted")
                .values_list("uuid", flat=True),
            )
        )
        planted = self.planted & honest
        order = [row["region"] for row in ranking["results"] if row["region"] in honest]
        found.planted = len(planted)
        if planted:
            first = set(order[: len(planted)])
            twice = set(order[: 2 * len(planted)])
            found.precision = len(first & planted) / max(1, len(first))
            found.recall = len(set(order) & planted) / len(planted)
            found.recall_twice = len(twice & planted) / len(planted)
            found.by_chance = len(planted) / len(honest)
        return found


def _moved(mask: Any, by: Any) -> Any:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], dtype=np.float64)
    moved = cv2.warpAffine(mask.astype(np.uint8), matrix, (mask.shape[1], mask.shape[0]))
    return cv2.morphologyEx(moved, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).astype(bool)


def _wobbled(mask: Any) -> Any:
    """As a careful hand draws: the outline a little smoother."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5) > 0.5
    return soft if soft.any() else mask


def _eroded(mask: Any) -> Any:
    width = max(2, int(np.sqrt(mask.sum()) * 0.12))
    small = cv2.erode(mask.astype(np.uint8), np.ones((width, width), np.uint8)).astype(bool)
    return small if small.any() else mask


def tell(found: Found) -> bool:
    """Prints what was recovered; whether all of it was."""
    print("Person      IoU    PQ     missing  wrong")
    for name, row in sorted(found.people.items()):
        print(
            f"{name:10}  {row['iou'] or 0:.3f}  {row['pq'] or 0:.3f}  {row['missing']:7}"
            f"  {row['wrong']:5}"
        )
    checks = [
        ("careless annotator", CARELESS, found.careless),
        ("confused pair", sorted(found.planted_pair), sorted(found.found_pair)),
    ]
    good = True
    for what, planted, seen in checks:
        good &= planted == seen
        print(f"{what}: planted {planted}, found {seen}")
    drift = found.versions.get("v1", 0) - found.versions.get("v2", 1)
    good &= drift > 0.05
    print(f"model: IoU kept v1 {found.versions.get('v1'):.3f}, v2 {found.versions.get('v2'):.3f}")
    print(f"agreement on objects, alpha: {found.agreement:.3f}")
    print(
        f"planted label errors: {found.planted}; precision of the first {found.planted}: "
        f"{found.precision:.2f} (by chance {found.by_chance:.2f}); recall in twice as many: "
        f"{found.recall_twice:.2f}, in all: {found.recall:.2f}"
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--drawings", action="store_true", help="Drawn pictures, no photographs.")
    parser.add_argument("--keep", help="Use this data folder and keep what was made.")
    options = parser.parse_args()
    if not options.drawings and not (options.data / "coco_sample").is_dir():
        print(f"There is no folder coco_sample in {options.data}: --drawings?", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        if not options.keep:
            os.environ |= {"LABELER_DATA": folder, "DEBUG": "1", "READ_DOTENV": "0"}
            os.environ.pop("DATABASE_URL", None)
        else:
            os.environ["LABELER_DATA"] = options.keep
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
        import logging

        import django
        from django.core.management import call_command

        django.setup()
        logging.disable(logging.WARNING)
        call_command("migrate", verbosity=0)
        from django.conf import settings

        settings.ALLOWED_HOSTS = ["*"]
        good = True
        for seed in options.seeds:
            print(f"--- seed {seed}")
            source: Photographs | Drawings = (
                Drawings(options.images, seed) if options.drawings else Photographs(options.data)
            )
            good &= tell(Team(source, options.images, seed).run())
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
