"""Pulls that begin at a mark give what a walk from the front of the queue would give."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotations.models import Annotation, Batch, Gold, Image, Lease, Membership, Opening, User
from annotations.selectors import work as queue
from annotations.services import gold, marks, reviews, work
from inference.services import ordering
from tests.conftest import new_image


@pytest.fixture
def crowd(project) -> list[User]:
    people = [User.objects.create(username=f"person {number}") for number in range(3)]
    Membership.objects.bulk_create(
        Membership(project=project, user=user, role="annotator") for user in people
    )
    return people


def plainly(user, project) -> int | None:
    """The first open image, batch after batch, without a mark."""
    for rows in queue.queues(user, project):
        if (image := rows.first()) is not None:
            return image.pk
    return None


class Team:
    """Does by chance what people do, and compares each new image with the plain one."""

    def __init__(self, project, crowd, manager, reviewer, chance) -> None:
        self.project, self.crowd, self.chance = project, crowd, chance
        self.manager, self.reviewer = manager, reviewer
        self.marked = 0

    def pull(self) -> None:
        user = self.chance.choice(self.crowd)
        for lease in Lease.objects.filter(user=user, state="active"):  # so that a new one comes
            self.end(lease)
        expected = plainly(user, self.project)
        found = work.pull(user, self.project)
        assert (found.image_id if found else None) == expected
        member = Membership.objects.get(user=user, project=self.project)
        self.marked += bool(member.marks)

    def end(self, lease: Lease) -> None:
        how = self.chance.choice(["submit"] * 6 + ["skip", "back", "expire"])
        if how == "submit":
            annotation, _ = reviews.start_annotation(lease.user, lease.image)
            if annotation.status == "in_progress":
                reviews.submit(lease.user, annotation, annotation.revision)
        elif how == "skip":
            work.skip(lease.user, lease, "too_hard")
        elif how == "back":
            work.hand_back(lease.user, lease)
        else:
            Lease.objects.filter(pk=lease.pk).update(until=timezone.now() - timedelta(seconds=1))
            work.sweep()

    def disturb(self) -> None:
        images = list(Image.objects.filter(project=self.project))
        some = [image.pk for image in self.chance.sample(images, 3)]
        batches = [*Batch.objects.filter(project=self.project), None]
        match self.chance.randrange(10):
            case 0:
                work.place(self.manager, self.project, some, priority=self.chance.randint(-1, 2))
            case 1:
                batch = self.chance.choice(batches)
                work.place(self.manager, self.project, some, batch=batch)
            case 2:
                number = self.chance.randint(2, 3)
                work.set_rules(self.manager, self.project, {"annotators": number})
            case 3:
                new_image(self.project)
            case 4:
                for lease in Lease.objects.filter(project=self.project, state="skipped")[:2]:
                    work.offer_again(self.manager, lease)
            case 5:
                places = [ordering.Place(image, 5, "doubt") for image in some]
                ordering.apply(self.project, places)
            case 6:
                done = self.project.annotations.filter(status="submitted").exclude(
                    image__in=Gold.objects.values("image")
                )
                if annotation := done.first():
                    reviews.approve(self.reviewer, annotation, annotation.revision)
                    gold.add(self.manager, self.project, [annotation.pk])
            case 7:
                for batch in Batch.objects.filter(project=self.project):
                    self.project.refresh_from_db()
                    work.change_batch(
                        self.manager, batch, {"annotators": self.chance.choice([None, 1, 3])}
                    )
            case 8:
                if batch := batches[0]:
                    work.remove_batch(self.manager, batch)
                batch = work.make_batch(self.manager, self.project, name="new", annotators=1)
                work.place(self.manager, self.project, some, batch=batch)
            case 9:
                marks.tidy()


@pytest.mark.parametrize("seed", range(2))
def test_marks_change_no_pull(project, crowd, manager, reviewer, seed, monkeypatch) -> None:
    monkeypatch.setattr(marks, "FAR", 0)
    monkeypatch.setattr(marks, "MOST_OPENINGS", 3)
    for _ in range(14):
        new_image(project)
    work.set_rules(manager, project, {"annotators": 2})
    batch = work.make_batch(manager, project, name="first", annotators=1)
    images = Image.objects.filter(project=project).values_list("pk", flat=True)
    work.place(manager, project, images[:6], batch=batch)
    team = Team(project, crowd, manager, reviewer, random.Random(seed))
    for _ in range(50):
        team.pull()
        if team.chance.random() < 0.3:
            team.disturb()
    assert team.marked > 20


class World:
    """Image 0 is done and image 1 held by two; `ahead` skipped 2 and did 3 and 4.

    Images 0 and 2 are in a batch, of which each is for one.
    """

    def __init__(self, project, crowd, manager, reviewer) -> None:
        self.project, self.manager, self.reviewer = project, manager, reviewer
        self.ahead, behind, third = crowd
        self.images = [new_image(project) for _ in range(8)]
        work.set_rules(manager, project, {"annotators": 2})
        self.batch = work.make_batch(manager, project, name="first", annotators=1)
        work.place(manager, project, [self.images[0].pk], batch=self.batch)
        self.done = self.submit(behind, 0)
        self.held = self.pull(behind, 1)
        self.pull(third, 1)
        work.place(manager, project, [self.images[2].pk], batch=self.batch)
        self.skipped = self.pull(self.ahead, 2)
        work.skip(self.ahead, self.skipped, "too_hard")
        self.submit(self.ahead, 3)
        self.submit(self.ahead, 4)

    def pull(self, user: User, number: int) -> Lease:
        lease = work.pull(user, self.project)
        assert lease is not None
        assert self.images.index(lease.image) == number
        return lease

    def submit(self, user: User, number: int) -> Annotation:
        self.pull(user, number)
        annotation, _ = reviews.start_annotation(user, self.images[number])
        return reviews.submit(user, annotation, 0)

    def expire(self) -> None:
        Lease.objects.filter(pk=self.held.pk).update(until=timezone.now() - timedelta(seconds=1))
        work.sweep()

    def offer_again(self) -> None:
        Opening.objects.filter(image__isnull=False).delete()  # the skip opened it for others
        work.offer_again(self.manager, self.skipped)

    def into_a_batch(self) -> None:
        batch = work.make_batch(self.manager, self.project, name="second")
        work.place(self.manager, self.project, [self.images[6].pk], batch=batch)

    def make_gold(self) -> None:
        reviews.approve(self.reviewer, self.done, self.done.revision)
        gold.add(self.manager, self.project, [self.done.pk])

    def order(self) -> None:
        ordering.apply(self.project, [ordering.Place(self.images[7].pk, 1, "doubt")])


@pytest.mark.parametrize(
    ("happens", "given"),
    [
        (lambda world: None, 5),
        (lambda world: work.hand_back(world.held.user, world.held), 1),
        (lambda world: work.skip(world.held.user, world.held, "too_hard"), 1),
        (World.expire, 1),
        (World.offer_again, 2),
        (lambda world: work.set_rules(world.manager, world.project, {"annotators": 3}), 1),
        (lambda world: work.change_batch(world.manager, world.batch, {"annotators": 2}), 0),
        (lambda world: work.remove_batch(world.manager, world.batch), 0),
        (lambda w: work.place(w.manager, w.project, [w.images[7].pk], priority=1), 7),
        (World.into_a_batch, 6),
        (World.make_gold, 0),
        (World.order, 7),
    ],
)
def test_what_becomes_open_before_a_mark_is_given(
    happens, given, project, crowd, manager, reviewer, monkeypatch
) -> None:
    monkeypatch.setattr(marks, "FAR", 0)
    world = World(project, crowd, manager, reviewer)
    happens(world)
    world.pull(world.ahead, given)


def test_a_pull_begins_at_the_mark(project, crowd, manager, reviewer, monkeypatch) -> None:
    monkeypatch.setattr(marks, "FAR", 0)
    world = World(project, crowd, manager, reviewer)
    with CaptureQueriesContext(connection) as caught:
        world.pull(world.ahead, 5)
    asked = [one["sql"] for one in caught if '"annotations_image"."batch_id" ASC' in one["sql"]]
    walks = [sql for sql in asked if "annotations_opening" not in sql]
    assert walks
    start = f'"annotations_image"."id" >= {world.images[4].pk} '
    assert all(start in sql for sql in walks), walks
