"""The save protocol: a patch of explicit writes, all of them or none, saved when this returns.

Every write of a region names the version that it was based on and has a key of its own. A stale
write is refused with both versions (412); a key that was seen before changes nothing and is
answered with what it led to. Whatever can be checked without the database is checked before the
transaction; inside it the annotation's row is locked, so that writes to it come one by one.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Count, OuterRef, Subquery
from django.utils import timezone

from annotations import attributes as typed
from annotations.errors import Conflict, NotFound, ServiceError
from annotations.masks import polygons as polygon_masks
from annotations.masks import rle
from annotations.models import (
    Annotation,
    Category,
    Dismissal,
    Image,
    Proposal,
    Region,
    RegionRevision,
    User,
)
from annotations.prepared import A_UUID, Insert, Prepared, Update
from annotations.records import Geometry
from annotations.selectors.annotations import may_edit, region_values
from annotations.services import comments, work
from annotations.services.writes import (
    Checked,
    Delete,
    Dismiss,
    Restore,
    Shape,
    Upsert,
    Write,
    bad,
    check_writes,
    write_values,
)

TRIES = 3
MAX_REGIONS = 10_000
MAX_SECONDS = 3600
"""Of active time that one patch may report."""

# All that a write sets. The id in exports is set by others, maybe at the same time.
WRITTEN_FIELDS = (
    "category", "polygons", "counts", "area", "bbox", "is_crowd", "order", "attributes", "source",
    "proposal", "version", "author", "deleted_at", "updated_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one write of a region led to; `area` in pixels, 0 when deleted."""

    region: uuid.UUID
    version: int
    deleted: bool
    area: float


@dataclass(frozen=True, slots=True)
class PatchResult:
    """`regions` in the order of the writes."""

    revision: int
    regions: list[Outcome]


Result = TypeVar("Result")


def apply_patch(
    user, annotation: Annotation, writes: Sequence[Write], seconds: int = 0
) -> PatchResult:
    """Applies all writes or none, and returns after COMMIT.

    `annotation` comes from `visible_to(user)`, with image and project. `seconds`: active time
    since the last patch. ServiceError: 400 a bad write, 404, 409 `not_editable`, `archived`,
    `overlap`, `category_taken`, `key_reused`, `region_taken` or `too_many_regions`, 412 `stale`,
    413.
    """
    checked = check_writes(annotation.project, annotation.image, writes)

    def attempt() -> PatchResult:
        with transaction.atomic():
            locked = _locked(user, annotation)
            return Patch(user, annotation.image, checked, seconds).apply(locked)

    return tried(attempt)


def tried(attempt: Callable[[], Result]) -> Result:
    """What `attempt`, a transaction of writes, returns; it is made again where that helps."""
    for tries_left in reversed(range(TRIES)):
        try:
            return attempt()
        except (IntegrityError, OperationalError) as error:
            if not tries_left or not _another_try_helps(error):
                raise
    raise AssertionError("the last try returns or raises")


def _another_try_helps(error: Exception) -> bool:
    """Nothing was saved by the try that failed; a second look tells what there is.

    Either the same key or region was written by somebody else at the same moment, and is there now.
    Or PostgreSQL ended one of two transactions that waited for each other.
    """
    ended = ("40001", "40P01")  # serialization_failure, deadlock_detected
    return isinstance(error, IntegrityError) or getattr(error.__cause__, "pgcode", "") in ended


_LIVE = Prepared(
    lambda annotation: (
        Region.objects.filter(annotation=annotation, deleted_at=None)
        .order_by()
        .values("annotation")
        .annotate(number=Count("pk"))
        .values_list("number")
    )
)


_LOCKED = Prepared(
    lambda user, pk: (
        Annotation.objects.visible_to(User(pk=user))
        .filter(pk=pk)
        .select_related("project")
        .select_for_update(of=("self",), no_key=True)
    )
)


_THERE = Prepared(
    lambda annotation: (
        Region.objects.filter(annotation=annotation, deleted_at=None)
        .order_by()
        .values_list("pk", "bbox", "category_id", "uuid")
    )
)
_NEAR = Prepared(lambda ids: Region.objects.filter(pk__in=[ids]).order_by())


def _locked(user, given: Annotation) -> Annotation:
    """The annotation as it is now, its row locked until the transaction ends."""
    annotation: Annotation | None = _LOCKED.instance(user.pk, given.pk)
    if annotation is None:
        raise NotFound("annotation")
    if user.pk not in (annotation.annotator_id, annotation.fixer_id):
        raise Conflict(
            "not_editable",
            "This annotation is somebody else's.",
            hint="Send it back with a comment, or label the image yourself.",
        )
    annotation.image, annotation.annotator = given.image, given.annotator
    return annotation


_SEEN = Prepared(
    lambda keys=A_UUID: (
        RegionRevision.objects.filter(write__in=[keys]).select_related("region").order_by()
    )
)
_REGIONS = Prepared(lambda regions=A_UUID: Region.objects.filter(uuid__in=[regions]).order_by())
_CATEGORIES = Prepared(
    lambda project, ids: Category.objects.filter(project=project, pk__in=[ids]).order_by()
)
_PROPOSALS = Prepared(
    lambda image, ids: Proposal.objects.filter(prediction__image=image, pk__in=[ids]).values_list(
        "pk"
    )
)
_DISMISSED = Prepared(
    lambda annotation, ids: Dismissal.objects.filter(
        annotation=annotation, proposal__pk__in=[ids]
    ).values_list("proposal")
)
_add = Insert(Region)
_replace = Insert(Region, unique=["uuid"], update=WRITTEN_FIELDS)
_add_revisions = Insert(RegionRevision)
_dismiss = Insert(Dismissal)
_save_written = Update(Annotation, "revision", "seconds_spent", "updated_at")


class Patch:
    """One try at applying a patch. Regions change in memory first; a refusal leaves no trace."""

    def __init__(self, user, image: Image, writes: Sequence[Checked], seconds: int) -> None:
        self.user = user
        self.seconds = seconds
        self.image = image
        self.writes = writes
        self.revisions: list[tuple[Region, RegionRevision]] = []
        self.before: dict[uuid.UUID, comments.Shape] = {}
        self.had: dict[uuid.UUID, int] = {}  # the category of regions that were there
        self.touched: dict[uuid.UUID, int] = {}  # to the index of the last write
        self.repeated = 0
        """So many writes changed nothing, because they had arrived before."""

    def apply(
        self, annotation: Annotation, *, moves: bool = False, begun: bool = False
    ) -> PatchResult:
        """Writes to the annotation, whose row is locked; call in a transaction.

        `moves`: its status changes next, so that `reviews` saves it and what depends on it.
        `begun`: in this transaction, so that there is nothing in it.
        """
        self.annotation, self.project, self.begun = annotation, annotation.project, begun
        self._load()
        self._check_references()
        outcomes = self._apply_in_memory()
        shown = self._changes_of_dismissals()
        self.repeated = len(self.writes) - len(self.revisions) - len(shown)
        if self.revisions or shown:
            self._check_editable()
            self._check_limits()
            self._save(shown, moves)
        return PatchResult(annotation.revision, outcomes)

    def _load(self) -> None:
        """What the writes name, each kind in one query."""
        named = [write for write, _ in self.writes if isinstance(write, Upsert | Delete)]
        upserts = [write for write in named if isinstance(write, Upsert)]
        proposals = {
            write.proposal
            for write, _ in self.writes
            if not isinstance(write, Delete) and write.proposal is not None
        }
        seen = _SEEN.instances([write.key for write in named])
        self.seen = {revision.write: revision for revision in seen}
        regions = _REGIONS.instances([write.region for write in named])
        self.regions = {region.uuid: region for region in regions}
        categories = _CATEGORIES.instances(self.project.pk, {one.category for one in upserts})
        self.categories = {category.pk: category for category in categories}
        self.proposals = {pk for (pk,) in _PROPOSALS(self.image.pk, proposals)}
        self.dismissed = {pk for (pk,) in _DISMISSED(self.annotation.pk, proposals)}

    def _check_references(self) -> None:
        for index, (write, _) in enumerate(self.writes):
            if isinstance(write, Upsert | Delete):
                self._check_owner_of(index, write)
            if isinstance(write, Upsert) and write.key not in self.seen:
                self._check_category(index, write)
            if (
                not isinstance(write, Delete)
                and write.proposal is not None
                and write.proposal not in self.proposals
            ):
                raise bad(write, index, "proposal", "The image has no such proposal.")

    def _check_owner_of(self, index: int, write: Upsert | Delete) -> None:
        revision = self.seen.get(write.key)
        if revision and (
            revision.region.annotation_id != self.annotation.pk
            or revision.region.uuid != write.region
        ):
            raise Conflict(
                "key_reused",
                "The key of this write already belongs to a write of another region.",
                f"writes[{index}].key",
                "Make a new key for each write; repeat it only to retry that write.",
            )
        region = self.regions.get(write.region)
        if region and region.annotation_id != self.annotation.pk:
            raise Conflict(
                "region_taken",
                "A region of another annotation has this id.",
                f"writes[{index}].region",
                "Make a new UUID for each region.",
            )

    def _check_category(self, index: int, write: Upsert) -> None:
        category = self.categories.get(write.category)
        if category is None:
            raise bad(write, index, "category", "The project has no such category.")
        region = self.regions.get(write.region)
        kept = region is not None and region.category_id == category.pk
        if category.archived and not kept:
            raise bad(
                write, index, "category", f"The category {category.name} is archived.",
                hint="Choose another one, or ask a manager to restore it.",
            )  # fmt: skip

    def _check_attributes(self, index: int, write: Upsert) -> None:
        """They fit those of the category, or some region of the annotation has or had them.

        So what was imported, and what was right before the category changed, goes on being saved,
        copied from region to region and brought back by undo.
        """
        category = self.categories[write.category]
        wrong = typed.misfits(category.attributes, write.attributes or {})
        for name, problem in wrong.items():
            if _pair(name, write.attributes[name]) not in self._attributes_so_far:
                raise bad(
                    write, index, f"attributes.{name}", f"{category.name}: {problem}",
                    "invalid_attribute", "A manager sets the attributes of categories.",
                )  # fmt: skip

    @cached_property
    def _attributes_so_far(self) -> set[Any]:
        """All attributes in all versions of the annotation's regions, as `_pair` gives them."""
        rows = RegionRevision.objects.filter(region__annotation=self.annotation)
        values = rows.exclude(attributes={}).values_list("attributes", flat=True)
        return {_pair(name, value) for found in values for name, value in found.items()}

    def _apply_in_memory(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        stale: dict[int, Upsert | Delete] = {}
        for index, (write, shape) in enumerate(self.writes):
            if not isinstance(write, Upsert | Delete):
                continue
            if revision := self.seen.get(write.key):
                outcomes.append(self._outcome_then(revision))
                continue
            region = self.regions.get(write.region)
            if region is not None and region.pk and write.region not in self.before:
                self.before[write.region] = comments.shape_of(region)
                if region.deleted_at is None:
                    self.had[write.region] = region.category_id
            if write.based_on != (region.version if region else 0):
                stale[index] = write
                continue
            if isinstance(write, Upsert) and shape is not None:
                self._check_attributes(index, write)
                region = self._upsert(region, write, shape)
            elif region is None:
                raise bad(write, index, "region", "There is no such region to delete.")
            else:
                region.deleted_at = timezone.now()
            region.version += 1
            region.author_id = self.user.pk
            self.touched[write.region] = index
            self.revisions.append((region, _revision(region, write.key)))
            deleted = region.deleted_at is not None
            area = 0.0 if deleted else float(region.area)
            outcomes.append(Outcome(region.uuid, region.version, deleted, area))
        if stale:
            raise self._stale(stale)
        return outcomes

    def _outcome_then(self, revision: RegionRevision) -> Outcome:
        region = revision.region
        if revision.deleted:
            area = 0.0
        elif revision.version == region.version:
            area = region.area
        else:
            size = (self.image.height, self.image.width)
            area = float(
                polygon_masks.geometry_area(
                    Geometry(size, revision.shape.polygons, revision.shape.counts)
                )
            )
        return Outcome(region.uuid, revision.version, revision.deleted, area)

    def _stale(self, writes: dict[int, Upsert | Delete]) -> ServiceError:
        rows = Region.objects.filter(uuid__in=[write.region for write in writes.values()])
        stored = {region.uuid: region for region in rows.select_related("author")}
        conflicts = []
        for write in writes.values():
            region = stored.get(write.region)
            theirs = None
            if region is not None:
                theirs = region_values(region, self.image)
                theirs["deleted"] = region.deleted_at is not None
            mine = write_values(write)
            conflicts.append({"region": str(write.region), "mine": mine, "theirs": theirs})
        return ServiceError(
            412,
            "stale",
            "A region was changed since. Nothing of this patch was saved.",
            f"writes[{next(iter(writes))}].based_on",
            "Compare both versions and write again, based on the newer one.",
            {"conflicts": conflicts},
        )

    def _upsert(self, region: Region | None, write: Upsert, shape: Shape) -> Region:
        if region is None:
            ids = {"annotation_id": self.annotation.pk, "image_id": self.image.pk}
            region = Region(uuid=write.region, version=0, **ids)
            self.regions[write.region] = region
        region.category_id = write.category
        region.polygons = shape.polygons
        region.counts = shape.counts
        region.area = shape.area
        region.bbox = shape.bbox
        region.is_crowd = write.is_crowd
        region.order = write.order
        region.attributes = (
            typed.defaults(self.categories[write.category].attributes)
            if write.attributes is None
            else write.attributes
        )
        region.source = write.source
        region.proposal_id = write.proposal or region.proposal_id
        region.deleted_at = None
        return region

    def _changes_of_dismissals(self) -> dict[int, bool]:
        """Proposal ids to whether they are to be dismissed, of those that are not so already."""
        wanted = {
            write.proposal: isinstance(write, Dismiss)
            for write, _ in self.writes
            if isinstance(write, Dismiss | Restore)
        }
        return {pk: dismiss for pk, dismiss in wanted.items() if dismiss != (pk in self.dismissed)}

    def _check_editable(self) -> None:
        if self.project.archived:
            raise Conflict("archived", "The project is archived, so nothing in it changes.")
        if not may_edit(self.user, self.annotation):
            raise Conflict(
                "not_editable",
                f"The annotation is {self.annotation.get_status_display().lower()}.",
                hint="Take it back, or ask a reviewer to reopen it.",
            )

    def _check_limits(self) -> None:
        """The number of regions, and in exclusive projects that no two share a pixel."""
        live = [r for u in self.touched if (r := self.regions[u]).deleted_at is None]
        most = len(live) + (0 if self.begun else _LIVE.first(self.annotation.pk) or 0)
        if not live or (most <= MAX_REGIONS and not self.project.exclusive):
            return
        rows = _THERE(self.annotation.pk)
        others = [row for row in rows if row[-1] not in self.touched]
        if len(others) + len(live) > MAX_REGIONS:
            raise Conflict("too_many_regions", f"An image has at most {MAX_REGIONS} regions.")
        if self.project.exclusive:
            self._refuse_second(live, [(category, region) for *_, category, region in others])
            near = [
                pk
                for pk, bbox, *_ in others
                if any(_boxes_meet(bbox, region.bbox) for region in live)
            ]
            self._refuse_overlap(live + _NEAR.instances(near))

    def _refuse_second(self, live: list[Region], others: list[tuple[int, uuid.UUID]]) -> None:
        """No second region where `Project.one_region` says so.

        Where there are two already, since the category was of things before, both stay and change.
        """
        taken = dict(others)
        for region in sorted(live, key=self._is_new):
            first = taken.setdefault(region.category_id, region.uuid)
            if first == region.uuid or not self._is_new(region):
                continue
            category = self.categories[region.category_id]
            if self.project.one_region(category):
                raise ServiceError(
                    409,
                    "category_taken",
                    f"{category.name} has the region {first} already.",
                    f"writes[{self.touched[region.uuid]}].category",
                    "In this project all pixels of it are one region: add them to that one.",
                    {"region": str(region.uuid), "regions": [str(region.uuid), str(first)]},
                )

    def _is_new(self, region: Region) -> bool:
        """Whether this patch gives the region its category."""
        return self.had.get(region.uuid) != region.category_id

    def _refuse_overlap(self, regions: list[Region]) -> None:
        pair = rle.overlap([region.counts or "" for region in regions])
        if pair is None:
            return
        one, other = (regions[place] for place in pair)
        names = {c.pk: c.name for c in Category.objects.filter(project=self.project)}
        index = self.touched.get(one.uuid, self.touched.get(other.uuid))
        raise ServiceError(
            409,
            "overlap",
            f"The regions {one.uuid} ({names[one.category_id]}) and {other.uuid} "
            f"({names[other.category_id]}) share pixels.",
            f"writes[{index}].mask",
            "In this project a pixel belongs to one region: take it from the other first.",
            {"regions": [str(one.uuid), str(other.uuid)]},
        )

    def _save(self, shown: dict[int, bool], moves: bool) -> None:
        touched = [self.regions[region] for region in self.touched]
        changed = [region for region in touched if region.pk]
        _add(*[region for region in touched if not region.pk])
        if changed:
            _KEEP_SHAPES([region.pk for region in changed])
            _replace(*changed)
        active = min(max(self.seconds, 0), MAX_SECONDS)
        for region, revision in self.revisions:
            revision.region_id = region.pk
            revision.seconds = active / len(self.revisions)
        _add_revisions(*[revision for _, revision in self.revisions])
        if not self.begun:
            comments.mark_stale(self.annotation, self.before, touched)
        dismissed = [pk for pk, dismiss in shown.items() if dismiss]
        _dismiss(*[Dismissal(annotation=self.annotation, proposal_id=pk) for pk in dismissed])
        if restored := [pk for pk, dismiss in shown.items() if not dismiss]:
            Dismissal.objects.filter(annotation=self.annotation, proposal__in=restored).delete()

        first = not self.annotation.revision
        self.annotation.revision += len(self.revisions) + len(shown)
        if self.user.pk == self.annotation.annotator_id:  # a reviewer's stand in the revisions
            self.annotation.seconds_spent += active
        if moves:
            return
        _save_written(self.annotation)
        if self.annotation.status == Annotation.Status.IN_PROGRESS and not self.begun:
            work.keep(self.annotation)
        if first:
            work.settle(self.image)


def _pair(name: str, value: Any) -> Any:
    """An attribute to compare: true is not 1, but 2 is 2.0, as in JavaScript."""
    return name, isinstance(value, bool), value


def _boxes_meet(one: list[float], other: list[float]) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )


_KEEP_SHAPES = Prepared(
    lambda regions: RegionRevision.objects.filter(
        region__pk__in=[regions], polygons__isnull=True, counts=None
    ),
    lambda: {
        name: Subquery(Region.objects.filter(pk=OuterRef("region")).values(name))
        for name in ("polygons", "counts")
    },
    ["id"],
)
"""Revisions that have the geometry of these regions get their own copy, before it changes."""


def _revision(region: Region, key: uuid.UUID) -> RegionRevision:
    """The region as it is now, under the client's key."""
    return RegionRevision(
        version=region.version,
        write=key,
        author_id=region.author_id,
        deleted=region.deleted_at is not None,
        category_id=region.category_id,
        polygons=region.polygons,
        counts=region.counts,
        is_crowd=region.is_crowd,
        order=region.order,
        attributes=region.attributes,
        source=region.source,
    )
