"""The rows of an import: categories, annotations or predictions, and their regions.

Ids of images and regions are kept for exports where they are free. In semantic and panoptic
projects what overlaps is resolved: whatever is in front is seen, and regions of one category become
one where an annotation has one only. What could not be kept is in the report.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import orjson
from django.utils import timezone

from annotations import attributes as typed
from annotations.errors import ServiceError
from annotations.masks import polygons, rle
from annotations.models import (
    Annotation,
    Category,
    Image,
    Prediction,
    Project,
    Proposal,
    Region,
    RegionRevision,
    Review,
)
from annotations.records import CategoryRecord, Dataset, Geometry, ImageRecord, RegionRecord, Report
from annotations.services import bulk, work
from annotations.services.exports import report_values
from annotations.services.projects import HOTKEYS, PALETTE
from annotations.services.releases import lock

SOURCE = "import"
MODEL = "import"
"""The model's name of predictions that were imported."""
IMAGES_AT_ONCE = 2000
"""Whose status is written together."""


Row = tuple[
    int, str | None, str | None, int, str, bool, int, dict[str, Any], float | None, int | None
]
"""A region, validated and measured: the data set's category, polygons (JSON), counts, area, bbox
(JSON), is_crowd, order, attributes, score, id. A plain tuple, because there may be millions."""


class Entry(NamedTuple):
    """An image of the project, and what the data set says of it: its id, its place, its regions."""

    pk: int
    name: str
    export_id: int | None
    id: int | None
    pointer: str
    rows: list[Row]


_REGION = (
    *("uuid", "annotation_id", "image_id", "category_id", "polygons", "counts", "area", "bbox"),
    *("is_crowd", "order", "attributes", "export_id"),
)
_ANNOTATION = ("uuid", "image_id")
_REVIEW = ("annotation_id",)
_PROPOSAL = (
    *("prediction_id", "category_id", "polygons", "counts", "area", "bbox", "score", "is_crowd"),
)


def one_region(project: Project, records: Iterable[CategoryRecord]) -> frozenset[int]:
    """The data set's categories of which an annotation of the project has at most one region."""
    known = {c.name.casefold(): c for c in Category.objects.filter(project=project)}
    found = (
        (record.id, known.get(record.name.strip().casefold(), Category(is_thing=record.is_thing)))
        for record in records
    )
    return frozenset(id for id, category in found if project.one_region(category))


def prepare(
    record: ImageRecord, project: Project, joined: frozenset[int], report: Report
) -> list[Row]:
    """The image's regions as this kind of project holds them, ready for a database.

    joined: see `one_region`.
    """
    regions = list(record.regions)
    if project.exclusive:
        regions = disjoint(record, joined, report)
    measured = polygons.measure_all([region.geometry for region in regions])
    return [
        (
            region.category_id,
            None if (parts := region.geometry.polygons) is None else orjson.dumps(parts).decode(),
            region.geometry.counts,
            area,
            f"[{x},{y},{width},{height}]",
            region.is_crowd,
            region.order,
            region.attributes,
            region.score,
            region.id,
        )
        for region, (area, (x, y, width, height)) in zip(regions, measured, strict=True)
    ]


@dataclass(slots=True)
class Totals:
    """What an import did. `unchanged` images had all of it already."""

    images: int = 0
    regions: int = 0
    unchanged: int = 0
    report: Report = field(default_factory=Report)

    def as_dict(self) -> dict[str, Any]:
        self.report.images, self.report.regions = self.images, self.regions
        return {**report_values(self.report), "unchanged": self.unchanged}

    def summary(self) -> str:
        text = f"{self.images} images, {self.regions} regions"
        return text + (f"; {self.unchanged} images had them already" if self.unchanged else "")


class Rows:
    """Writes an import's rows, a batch of images at a time, inside the caller's transaction.

    `version`: the SHA-256 of what is imported; `label` is what people call it.
    """

    def __init__(
        self,
        user,
        project: Project,
        dataset: Dataset,
        kind: str,
        label: str,
        version: str,
        report: Report,
    ) -> None:
        lock(project)
        self.user = user
        self.project = project
        self.kind = kind
        self.label = label
        self.version = version
        self.totals = Totals(report=report)
        self.now = timezone.now()
        self.images: set[int] = set()
        self.approved: list[int] = []
        self.categories = self._categories(dataset.categories)
        in_project = Region.objects.filter(annotation__project=project)
        self.region_ids = set(
            in_project.exclude(export_id=None).values_list("export_id", flat=True)
        )
        numbered = Image.objects.filter(project=project).exclude(export_id=None)
        self.image_ids = set(numbered.values_list("export_id", flat=True))

    def _categories(self, records: tuple[CategoryRecord, ...]) -> dict[int, Category]:
        """The project's category for each of the data set's, by name; missing ones are made."""
        known = {c.name.casefold(): c for c in Category.objects.filter(project=self.project)}
        taken = {category.export_id for category in known.values()}
        order = len(known)
        used = {category.hotkey for category in known.values() if not category.archived}
        hotkeys = [key for key in HOTKEYS if key not in used]
        found: dict[int, Category] = {}
        for record in records:
            category = known.get(record.name.strip().casefold())
            if category is None:
                free = (
                    record.id
                    if record.id > 0 and record.id not in taken
                    else max(taken, default=0) + 1
                )
                taken.add(free)
                category = Category.objects.create(
                    project=self.project,
                    name=record.name.strip(),
                    supercategory=record.supercategory,
                    color=record.color or PALETTE[order % len(PALETTE)],
                    hotkey=hotkeys.pop(0) if hotkeys else "",
                    is_thing=record.is_thing,
                    order=order,
                    attributes=list(record.attributes),
                    export_id=free,
                )
                order += 1
            elif category.archived:
                category.archived_at = None
                category.hotkey = ""
                category.save(update_fields=["archived_at", "hotkey"])
                self.totals.report.note(f"The archived category {category.name} is in use again.")
            if category.export_id != record.id:
                self.totals.report.note(
                    f"{category.name} has the id {category.export_id} here, not {record.id}."
                )
            found[record.id] = category
        return found

    def add(self, entries: list[Entry]) -> None:
        """Write a batch. ServiceError 409: other work is there; 422: one picture, two names."""
        for entry in entries:
            if entry.pk in self.images:
                raise ServiceError(
                    422,
                    "same_image",
                    f"{entry.name} is the same picture as another image of the data set.",
                    entry.pointer,
                    "Nothing was imported.",
                )
            self.images.add(entry.pk)
        self._number(entries)
        if self.kind == "predictions":
            self._add_predictions(entries)
        else:
            self._add_ground_truth(entries)

    def end(self) -> None:
        """After the last batch."""
        for start in range(0, len(self.approved), IMAGES_AT_ONCE):
            images = Image.objects.filter(pk__in=self.approved[start : start + IMAGES_AT_ONCE])
            work.recount(images, status=Image.Status.APPROVED)

    def _number(self, entries: list[Entry]) -> None:
        """Keep the images' ids where they have none yet and the id is free."""
        changed: list[tuple[int, int]] = []
        for pk, name, export_id, id, *_ in entries:
            if id is None or export_id == id:
                continue
            if export_id is None and id not in self.image_ids:
                self.image_ids.add(id)
                changed.append((pk, id))
            else:
                self.totals.report.note(f"{name} could not keep the id {id}.")
        bulk.update(Image, "export_id", changed)

    # --- ground truth -----------------------------------------------------------------------------

    def _add_ground_truth(self, entries: list[Entry]) -> None:
        images = [entry.pk for entry in entries]
        mine = {
            annotation.image_id: annotation
            for annotation in Annotation.objects.filter(image__in=images, annotator=self.user)
        }
        stored = self._stored(list(mine.values()))
        fresh: dict[int, list[Row]] = {}
        for entry in entries:
            annotation = mine.get(entry.pk)
            if annotation and annotation.revision:
                if stored[annotation.pk] != self._contents(entry.rows):
                    raise ServiceError(
                        409,
                        "annotated",
                        f"{entry.name} already has other work of {self.user.username} on it.",
                        field=entry.pointer,
                        hint="Nothing was imported. Import as predictions, or as another person.",
                    )
                self.totals.unchanged += 1
                continue
            fresh[entry.pk] = entry.rows
        self._approve(fresh, [one for image, one in mine.items() if image in fresh])

    def _approve(self, fresh: dict[int, list[Row]], old: list[Annotation]) -> None:
        """Write these images' regions. `old`: annotations that are there without a write."""
        for annotation in old:
            annotation.status = Annotation.Status.APPROVED
            annotation.revision = 1
            annotation.submitted_at = annotation.approved_at = annotation.updated_at = self.now
        fields = ["status", "revision", "submitted_at", "approved_at", "updated_at"]
        Annotation.objects.bulk_update(old, fields)
        made = fresh.keys() - {annotation.image_id for annotation in old}
        now = bulk.text_of(self.now)
        bulk.insert(
            Annotation,
            _ANNOTATION,
            zip(bulk.uuids(), sorted(made), strict=False),
            project_id=self.project.pk,
            annotator_id=self.user.pk,
            status=str(Annotation.Status.APPROVED),
            revision=1,
            submitted_at=now,
            approved_at=now,
        )
        mine = Annotation.objects.filter(image__in=fresh, annotator=self.user)
        keys = dict(mine.values_list("image_id", "pk"))
        bulk.insert(
            Review,
            _REVIEW,
            ((keys[image],) for image in fresh),
            reviewer_id=self.user.pk,
            verdict=str(Review.Verdict.APPROVE),
            revision=1,
            comment=f"Imported from {self.label}",
        )
        bulk.insert(
            Region,
            _REGION,
            self._regions(fresh, keys),
            source=SOURCE,
            version=1,
            author_id=self.user.pk,
        )
        bulk.copy(
            Region,
            RegionRevision,
            "annotation_id",
            list(keys.values()),
            region_id="id",
            at="created_at",
            polygons=None,
            counts=None,
        )
        self.approved += fresh
        self.totals.regions += sum(map(len, fresh.values()))

    def _keep_id(self, id: int | None) -> int | None:
        if id is None:
            return None
        if id in self.region_ids:
            self.totals.report.note(f"A region could not keep the id {id}.")
            return None
        self.region_ids.add(id)
        return id

    def _stored(self, annotations: list[Annotation]) -> dict[int, list[Any]]:
        """What each annotation holds, as `_contents` says it."""
        grouped: dict[int, list[Any]] = defaultdict(list)
        rows = Region.objects.filter(annotation__in=annotations, deleted_at=None)
        fields = ("annotation_id", "category_id", "polygons", "counts", "is_crowd")
        for annotation, category, parts, counts, is_crowd in rows.values_list(*fields):
            grouped[annotation].append((category, repr(parts), counts or "", is_crowd))
        return defaultdict(list, {key: sorted(found) for key, found in grouped.items()})

    def _contents(self, rows: list[Row]) -> list[Any]:
        """What makes two lists of regions the same work, whatever their order."""
        return sorted(
            (
                self.categories[category].pk,
                repr(parts and json.loads(parts)),
                counts or "",
                is_crowd,
            )
            for category, parts, counts, _, _, is_crowd, *_ in rows
        )

    def _regions(
        self, of_images: dict[int, list[Row]], annotations: dict[int, int]
    ) -> Iterator[tuple[Any, ...]]:
        """Attributes stay as the file has them: what fits none of the category's is kept too.

        annotations: of each image, whose id is the key.
        """
        uuids = bulk.uuids()
        keys = {id: category.pk for id, category in self.categories.items()}
        for image, rows in of_images.items():
            for category, parts, counts, area, bbox, crowd, order, attributes, _, id in rows:
                text = "{}"
                if attributes:
                    known = self.categories[category].attributes
                    text = json.dumps(typed.from_text(known, attributes))
                yield (
                    *(next(uuids), annotations[image], image, keys[category], parts, counts, area),
                    *(bbox, crowd, order, text, self._keep_id(id)),
                )

    # --- predictions ------------------------------------------------------------------------------

    def _add_predictions(self, entries: list[Entry]) -> None:
        known = set(
            Prediction.objects.filter(
                image__in=[entry.pk for entry in entries],
                model=MODEL,
                model_version=self.version,
            ).values_list("image_id", flat=True)
        )
        self.totals.unchanged += len(known)
        fresh = [entry for entry in entries if entry.pk not in known]
        made = Prediction.objects.bulk_create(
            Prediction(image_id=entry.pk, model=MODEL, model_version=self.version)
            for entry in fresh
        )
        pairs = zip(made, fresh, strict=True)
        bulk.insert(
            Proposal,
            _PROPOSAL,
            (
                self._proposal(prediction.pk, row)
                for prediction, entry in pairs
                for row in entry.rows
            ),
        )
        self.totals.regions += sum(len(entry.rows) for entry in fresh)

    def _proposal(self, prediction: int, row: Row) -> tuple[Any, ...]:
        category, polygons, counts, area, bbox, is_crowd, _, _, score, _ = row
        return (
            *(prediction, self.categories[category].pk, polygons, counts, area, bbox),
            *(1.0 if score is None else score, is_crowd),
        )


def disjoint(record: ImageRecord, joined: frozenset[int], report: Report) -> list[RegionRecord]:
    """Masks that share no pixel: of two regions the one in front keeps it.

    `joined`: categories whose regions become one mask, without id, crowd flag or attributes where
    there were several. What lost pixels or was hidden altogether is noted.
    """
    size = (record.height, record.width)
    labels = np.zeros(size, np.int32)
    values: dict[int, RegionRecord] = {}
    of_category: dict[int, int] = {}
    several: set[int] = set()
    hidden = 0
    for region in sorted(record.regions, key=lambda region: region.order):
        value = len(values) + 1
        if region.category_id in joined:
            value = of_category.setdefault(region.category_id, value)
        if value in values:
            several.add(value)
        values.setdefault(value, region)
        hidden += rle.paint(labels, polygons.geometry_counts(region.geometry), value)
    masks = rle.from_labels(labels) if values else {}
    if hidden:
        report.note(
            f"{record.file_name}: {hidden} pixels were in several regions; the front has them."
        )
    merged = len(record.regions) - len(values)
    if merged:
        report.note(
            f"{record.file_name}: {merged} regions were joined with others of their category."
        )
    resolved = []
    for value, region in values.items():
        if value not in masks:
            report.note(f"{record.file_name}: a region is hidden behind others and was left out.")
            continue
        whole = replace(region, geometry=Geometry(size, counts=masks[value]))
        if value in several:
            whole = replace(whole, id=None, is_crowd=False, order=0, attributes={})
        resolved.append(whole)
    return resolved
