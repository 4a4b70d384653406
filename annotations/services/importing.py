"""The rows of an import: categories, annotations or predictions, and their regions.

Ids of images and regions are kept for exports where they are free. In semantic and panoptic
projects what overlaps is resolved: whatever is in front is seen, and semantic regions of one
category become one. What could not be kept is in the report.
"""

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
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
from annotations.services import work
from annotations.services.exports import report_values
from annotations.services.projects import HOTKEYS, PALETTE
from annotations.services.releases import lock

SOURCE = "import"
MODEL = "import"
"""The model's name of predictions that were imported."""

Entry = tuple[ImageRecord, str, Image]
"""A record, its place in the file, and the image it belongs to."""


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
        self, user, project: Project, dataset: Dataset, kind: str, label: str, version: str
    ) -> None:
        lock(project)
        self.user = user
        self.project = project
        self.kind = kind
        self.label = label
        self.version = version
        self.totals = Totals()
        self.now = timezone.now()
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
        """Write a batch."""
        self._number([(record, image) for record, _, image in entries])
        if self.kind == "predictions":
            self._add_predictions(entries)
        else:
            self._add_ground_truth(entries)

    def _number(self, entries: list[tuple[ImageRecord, Image]]) -> None:
        """Keep the images' ids where they have none yet and the id is free."""
        changed = []
        for record, image in entries:
            if record.id is None or image.export_id == record.id:
                continue
            if image.export_id is None and record.id not in self.image_ids:
                image.export_id = record.id
                self.image_ids.add(record.id)
                changed.append(image)
            else:
                self.totals.report.note(f"{image.name} could not keep the id {record.id}.")
        Image.objects.bulk_update(changed, ["export_id"], batch_size=200)

    # --- ground truth -----------------------------------------------------------------------------

    def _add_ground_truth(self, entries: list[Entry]) -> None:
        images = [image for _, _, image in entries]
        mine = {
            annotation.image_id: annotation
            for annotation in Annotation.objects.filter(image__in=images, annotator=self.user)
        }
        stored = self._stored(list(mine.values()))
        fresh: list[tuple[Annotation, list[Region]]] = []
        for record, pointer, image in entries:
            regions = [self._region(one) for one in self._resolved(record)]
            annotation = mine.get(image.pk)
            if annotation and annotation.revision:
                if _contents(stored[annotation.pk]) != _contents(regions):
                    raise ServiceError(
                        409,
                        "annotated",
                        f"{image.name} already has other work of {self.user.username} on it.",
                        field=pointer,
                        hint="Nothing was imported. Import as predictions, or as another person.",
                    )
                self.totals.unchanged += 1
                continue
            if annotation is None:
                annotation = Annotation(project=self.project, image=image, annotator=self.user)
            fresh.append((annotation, regions))
        self._approve(fresh)

    def _approve(self, fresh: list[tuple[Annotation, list[Region]]]) -> None:
        annotations = [annotation for annotation, _ in fresh]
        for annotation in annotations:
            annotation.status = Annotation.Status.APPROVED
            annotation.revision = 1
            annotation.submitted_at = annotation.approved_at = annotation.updated_at = self.now
        old = [annotation for annotation in annotations if annotation.pk]
        Annotation.objects.bulk_create([one for one in annotations if not one.pk])
        fields = ["status", "revision", "submitted_at", "approved_at", "updated_at"]
        Annotation.objects.bulk_update(old, fields)
        Review.objects.bulk_create(
            Review(
                annotation=annotation,
                reviewer=self.user,
                verdict=Review.Verdict.APPROVE,
                revision=1,
                comment=f"Imported from {self.label}",
            )
            for annotation in annotations
        )
        regions = []
        for annotation, group in fresh:
            for region in group:
                region.annotation = annotation
                self._keep_id(region)
                regions.append(region)
        Region.objects.bulk_create(regions, batch_size=500)
        RegionRevision.objects.bulk_create(map(_revision, regions), batch_size=500)
        images = Image.objects.filter(pk__in=[annotation.image_id for annotation in annotations])
        images.update(status=Image.Status.APPROVED)
        work.recount(images)
        self.totals.regions += len(regions)

    def _keep_id(self, region: Region) -> None:
        if region.export_id is None:
            return
        if region.export_id in self.region_ids:
            self.totals.report.note(f"A region could not keep the id {region.export_id}.")
            region.export_id = None
        else:
            self.region_ids.add(region.export_id)

    def _stored(self, annotations: list[Annotation]) -> dict[int, list[Region]]:
        grouped: dict[int, list[Region]] = defaultdict(list)
        rows = Region.objects.filter(annotation__in=annotations, deleted_at=None)
        for region in rows.select_related("category"):
            grouped[region.annotation_id].append(region)
        return grouped

    def _region(self, record: RegionRecord) -> Region:
        """Attributes stay as the file has them: what fits none of the category's is kept too."""
        area, bbox = polygons.measure(record.geometry)
        category = self.categories[record.category_id]
        return Region(
            uuid=uuid.uuid4(),
            category=category,
            polygons=record.geometry.polygons,
            counts=record.geometry.counts,
            area=area,
            bbox=list(bbox),
            is_crowd=record.is_crowd,
            order=record.order,
            attributes=typed.from_text(category.attributes, record.attributes),
            source=SOURCE,
            version=1,
            export_id=record.id,
            author=self.user,
        )

    # --- predictions ------------------------------------------------------------------------------

    def _add_predictions(self, entries: list[Entry]) -> None:
        images = [image for _, _, image in entries]
        known = set(
            Prediction.objects.filter(
                image__in=images, model=MODEL, model_version=self.version
            ).values_list("image_id", flat=True)
        )
        self.totals.unchanged += len(known)
        proposals = []
        for record, _, image in entries:
            if image.pk in known:
                continue
            prediction = Prediction.objects.create(
                image=image, model=MODEL, model_version=self.version
            )
            proposals += [self._proposal(prediction, one) for one in self._resolved(record)]
        Proposal.objects.bulk_create(proposals, batch_size=500)
        self.totals.regions += len(proposals)

    def _proposal(self, prediction: Prediction, record: RegionRecord) -> Proposal:
        area, bbox = polygons.measure(record.geometry)
        return Proposal(
            prediction=prediction,
            category=self.categories[record.category_id],
            polygons=record.geometry.polygons,
            counts=record.geometry.counts,
            area=area,
            bbox=list(bbox),
            score=1.0 if record.score is None else record.score,
            is_crowd=record.is_crowd,
        )

    # --- kinds of projects ------------------------------------------------------------------------

    def _resolved(self, record: ImageRecord) -> list[RegionRecord]:
        """The image's regions as this kind of project holds them."""
        if not self.project.exclusive:
            return list(record.regions)
        return disjoint(record, self.project.kind == Project.Kind.SEMANTIC, self.totals.report)


def disjoint(record: ImageRecord, by_category: bool, report: Report) -> list[RegionRecord]:
    """Masks that share no pixel: of two regions the one in front keeps it.

    `by_category`: the regions of a category become one mask, without id, crowd flag or attributes.
    What lost pixels or was hidden altogether is noted.
    """
    size = (record.height, record.width)
    labels = np.zeros(size, np.int32)
    values: dict[int, RegionRecord] = {}
    by_id: dict[int, int] = {}
    hidden = 0
    for region in sorted(record.regions, key=lambda region: region.order):
        value = by_id.setdefault(region.category_id, len(values) + 1) if by_category else 0
        value = value or len(values) + 1
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
        resolved.append(
            RegionRecord(
                category_id=region.category_id,
                geometry=Geometry(size, counts=masks[value]),
                id=None if by_category else region.id,
                is_crowd=not by_category and region.is_crowd,
                score=region.score,
                order=0 if by_category else region.order,
                attributes={} if by_category else region.attributes,
            )
        )
    return resolved


def _contents(regions: list[Region]) -> list[Any]:
    """What makes two lists of regions the same work, whatever their order."""
    return sorted(
        (region.category_id, repr(region.polygons), region.counts or "", region.is_crowd)
        for region in regions
    )


def _revision(region: Region) -> RegionRevision:
    return RegionRevision(
        region=region,
        version=1,
        write=uuid.uuid4(),
        author=region.author,
        category=region.category,
        polygons=region.polygons,
        counts=region.counts,
        is_crowd=region.is_crowd,
        order=region.order,
        attributes=region.attributes,
        source=region.source,
    )
