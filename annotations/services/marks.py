"""How far a person has come in a queue of which each image is for several people.

There the images that a person has had keep a place for others, and each pull would step over all of
them again. So now and then the first image that is open to the person is written down, and the next
pulls begin there: nothing before it is open, but for what became open since. Whatever opens an
image calls `opened`, and pulls look at those images too. Where it may be any of them, as when a
rule changes, all marks of the project are void.
"""

from enum import Enum, auto
from functools import cache
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum

from annotations.models import Batch, Membership, Opening, Project
from annotations.prepared import Insert, Prepared
from annotations.selectors import work as queue

FAR = 200
"""A mark is moved when the image that was found is so many ids behind it."""
MOST_OPENINGS = 200
"""Each pull looks at so many in a moment."""


class Mark(NamedTuple):
    """Of the images of a batch none before this one is open: greater priority, or a smaller id."""

    priority: int
    image: int

    def is_far(self, found: "Mark") -> bool:
        return found.priority != self.priority or found.image > self.image + FAR


END = Mark(-(2**31), 2**63 - 1)
"""No image of the batch is open."""

_add = Insert(Opening)


def _voided(what: Any) -> Subquery:
    rows = Opening.objects.filter(project=OuterRef("project"), image=None).order_by()
    return Subquery(rows.values("project").annotate(number=what).values("number"))


_STORED = Prepared(
    lambda user, project: (
        Membership.objects.filter(user=user, project=project)
        .order_by()
        .values_list("marks", _voided(Count("pk")), _voided(Sum("pk")))
    )
)


class Marks:
    """Of one person in one project, as the database has them when this is made.

    Make it in the transaction of the pull, before anything of the queue is read: what makes them
    void and is committed after that, does so for the next pull.
    """

    def __init__(self, user: int, project: int) -> None:
        self._member = Membership.objects.filter(user=user, project=project)
        stored, count, total = _STORED(user, project)[0]
        # What is committed late has a smaller id than some that are there: so both are compared.
        self._voided = [int(count or 0), int(total or 0)]
        good = stored is not None and stored.get("voided") == self._voided
        self._of: dict[str, list[int]] = stored["of"] if good else {}

    def get(self, batch: int | None) -> Mark | None:
        """That of a batch, or of the images in none."""
        found = self._of.get(str(batch))
        return Mark(*found) if found else None

    def keep(self, batch: int | None, first: Mark | None) -> None:
        """`first` is the first open image. Images in no batch have no end: more are uploaded."""
        mark = first or (END if batch else None)
        if mark is None or mark == self.get(batch):
            return
        if mark.priority < 0 and mark != END:  # what is uploaded has 0, so it comes before
            return
        self._of[str(batch)] = list(mark)
        self._member.update(marks={"voided": self._voided, "of": self._of})


_BATCHES = Prepared(lambda project: queue.waiting_batches(project).values_list("pk"))
_SEVERAL = Prepared(
    lambda project: (
        Batch.objects.filter(project=project, annotators__gt=1).order_by().values_list("pk")[:1]
    )
)


class _Part(Enum):
    """Of a queue, by a mark in it."""

    ALL = auto()
    OPENED = auto()
    """What is before it and was opened since."""
    SAME = auto()
    """From the mark on, with its priority."""
    LOWER = auto()


class _Lock(Enum):
    NO = auto()
    SKIP = auto()
    WAIT = auto()


@cache
def _free(in_batch: bool, part: _Part, lock: _Lock) -> Prepared:
    """The first image of a batch, or of none, for a person, as a mark."""

    def build(
        user: int, project: int, after: int, batch: int, priority: int, image: int
    ) -> QuerySet[Any, Any]:
        rows = queue.queue_of(user, project, batch if in_batch else None).exclude(pk=after)
        if part == _Part.OPENED:
            rows = rows.filter(Q(priority__gt=priority) | Q(priority=priority, pk__lt=image))
            opened = Opening.objects.filter(project=project, image__isnull=False)
            rows = rows.filter(pk__in=opened.values("image"))
        elif part == _Part.SAME:
            rows = rows.filter(priority=priority, pk__gte=image)
        elif part == _Part.LOWER:
            rows = rows.filter(priority__lt=priority)
        if lock != _Lock.NO:
            skip = lock == _Lock.SKIP
            rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=skip)
        return rows.values_list("priority", "pk")[:1]

    return Prepared(build)


def _first_free(
    asked: tuple[int, int, int],
    batch: int | None,
    lock: _Lock,
    mark: Mark | None,
    *parts: _Part,
) -> Mark | None:
    """The first open image of the first part in which there is one."""
    for part in parts:
        query = _free(batch is not None, part, lock)
        for row in query(*asked, batch or 0, *(mark or (0, 0))):
            return Mark(*row)
    return None


class Finder:
    """The first image of the queue that is open to a person and that nobody else has locked.

    Make it in the transaction of the pull. `asked`: person, project and the image that must not
    come, 0 for none.
    """

    def __init__(self, project: Project, asked: tuple[int, int, int], in_batches: bool) -> None:
        self._asked = asked
        several = project.annotators > 1 or (in_batches and _SEVERAL(project.pk))
        self._marks = Marks(*asked[:2]) if several else None
        found = _BATCHES(project.pk) if in_batches else []
        self._batches = [*(batch for (batch,) in found), None]

    def first(self) -> int | None:
        """Skips what others have locked, and waits for it at the end of the queue."""
        locks = connection.features.has_select_for_update
        for lock in (_Lock.SKIP, _Lock.WAIT) if locks else (_Lock.NO,):
            for batch in self._batches:
                image = self._first_of(batch, lock)
                if image is not None:
                    return image
        return None

    def _first_of(self, batch: int | None, lock: _Lock) -> int | None:
        marks = self._marks
        mark = marks.get(batch) if marks else None
        if mark:
            found = _first_free(self._asked, batch, lock, mark, _Part.OPENED)
            if found or mark == END:
                return found.image if found else None
        # From the front where nothing is open behind the mark.
        parts = [_Part.SAME, _Part.LOWER, _Part.ALL] if mark else [_Part.ALL]
        found = _first_free(self._asked, batch, lock, mark, *parts)
        if marks and (found is None or mark is None or mark.is_far(found)):
            user, project, _ = self._asked  # what must not come or is locked is open, too
            asked = (user, project, 0)
            marks.keep(batch, _first_free(asked, batch, _Lock.NO, mark, *parts))
        return found.image if found else None


def opened(project: int, image: int | None = None) -> None:
    """To be called in the transaction in which an image may have become open again to somebody.

    Without an image it may be any.
    """
    _add(Opening(project_id=project, image_id=image))


def tidy() -> None:
    """Where many images were opened, all marks are made void instead."""
    many = Opening.objects.order_by().values("project").annotate(number=Count("pk"))
    many = many.filter(number__gt=MOST_OPENINGS)
    for project in many.values_list("project", flat=True):
        with transaction.atomic():
            Opening.objects.filter(project=project).delete()
            opened(project)
