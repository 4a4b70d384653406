"""The queue gives each image to one person."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from annotations.errors import ServiceError
from annotations.models import Annotation, Image, Lease, Membership, Project, User
from annotations.services import regions, reviews, work


def refused(call, *args, **values) -> tuple[int, str]:
    with pytest.raises(ServiceError) as caught:
        call(*args, **values)
    return caught.value.status, caught.value.code


def expire(lease: Lease) -> None:
    Lease.objects.filter(pk=lease.pk).update(until=timezone.now() - timedelta(seconds=1))


def pulled(user: User, project: Project, purpose: str = "label") -> Lease:
    lease = work.pull(user, project, purpose)
    assert lease is not None
    return lease


@pytest.fixture
def images(project, make_image) -> list[Image]:
    return [make_image(project) for _ in range(4)]


def test_each_person_gets_another_image_and_keeps_it(project, images, teammate, reviewer) -> None:
    mine, theirs = pulled(teammate, project), pulled(reviewer, project)
    assert (mine.image_id, theirs.image_id) == (images[0].pk, images[1].pk)
    assert pulled(teammate, project) == mine  # resumes where it was


def test_looking_at_it_again_puts_the_end_off_now_and_then(project, images, teammate) -> None:
    lease = pulled(teammate, project)
    assert pulled(teammate, project).until == lease.until
    earlier = lease.until - timedelta(minutes=2)
    Lease.objects.filter(pk=lease.pk).update(until=earlier)
    assert pulled(teammate, project).until >= lease.until


def test_what_was_submitted_is_done_and_what_was_sent_back_comes_first(
    project, images, teammate, reviewer
) -> None:
    lease = pulled(teammate, project)
    annotation, _ = reviews.start_annotation(teammate, lease.image)
    reviews.submit(teammate, annotation, 0)
    assert Lease.objects.get(pk=lease.pk).state == "done"
    assert pulled(teammate, project).image == images[1]
    reviews.send_back(reviewer, annotation, 0, "No")
    back = pulled(teammate, project)
    assert back.image == images[0]
    assert pulled(reviewer, project).image == images[2]


def test_an_expired_lease_goes_to_the_next_and_cannot_be_held(
    project, images, teammate, reviewer
) -> None:
    lease = pulled(teammate, project)
    expire(lease)
    assert pulled(reviewer, project).image == images[0]
    assert refused(work.heartbeat, teammate, lease) == (409, "lease_lost")
    assert pulled(teammate, project).image == images[1]


def test_a_heartbeat_holds_and_a_late_one_takes_again_what_nobody_took(
    project, images, teammate
) -> None:
    lease = pulled(teammate, project)
    before = lease.until
    assert work.heartbeat(teammate, lease).until > before
    expire(lease)
    assert work.sweep() == 1
    again = work.heartbeat(teammate, lease)
    assert (again.state, again.image) == ("active", images[0])


def test_saving_holds_what_one_works_on(project, images, teammate) -> None:
    annotation, _ = reviews.start_annotation(teammate, images[2])
    lease = Lease.objects.get(image=images[2], user=teammate)
    expire(lease)
    write = regions.Upsert(
        region=uuid.uuid4(), based_on=0,
        key=uuid.uuid4(),
        category=project.categories.first().pk, polygons=[[[0, 0, 4, 0, 4, 4]]],
    )  # fmt: skip
    regions.apply_patch(teammate, annotation, [write])
    lease.refresh_from_db()
    assert lease.until > timezone.now()


def test_handing_back_and_skipping(project, images, teammate, reviewer, manager) -> None:
    lease = pulled(teammate, project)
    work.hand_back(teammate, lease)
    assert pulled(reviewer, project).image == images[0]
    lease = pulled(teammate, project)
    assert refused(work.skip, teammate, lease, "other") == (400, "invalid")
    work.skip(teammate, lease, "unclear", "Is this a car?")
    assert pulled(teammate, project).image == images[2]
    assert pulled(manager, project).image == images[1]  # others may know
    skipped = Lease.objects.get(state="skipped")
    assert (skipped.reason, skipped.note) == ("unclear", "Is this a car?")
    assert refused(work.offer_again, teammate, skipped) == (403, "forbidden")
    work.hand_back(teammate, Lease.objects.get(user=teammate, state="active"))
    work.hand_back(manager, Lease.objects.get(user=manager, state="active"))
    work.offer_again(manager, skipped)
    assert pulled(teammate, project).image == images[1]


def test_leases_of_others_are_not_to_be_touched(project, images, teammate, stranger) -> None:
    lease = pulled(teammate, project)
    for call in (work.heartbeat, work.hand_back):
        assert refused(call, stranger, lease) == (404, "not_found")
    assert refused(work.take_away, stranger, lease) == (404, "not_found")
    assert refused(work.pull, stranger, project) == (404, "not_found")
    assert refused(work.pull, teammate, project, "review") == (403, "forbidden")


def test_batches_and_priorities_order_the_queue(project, images, manager, teammate) -> None:
    late, soon = (work.make_batch(manager, project, name=name) for name in ("late", "soon"))
    work.change_batch(manager, late, {"order": 9})
    work.place(manager, project, [images[0].pk], batch=late)
    work.place(manager, project, [images[1].pk, images[2].pk], batch=soon)
    work.place(manager, project, [images[2].pk], priority=5)
    order = []
    for _ in range(4):
        lease = pulled(teammate, project)
        order.append(lease.image)
        work.skip(teammate, lease, "too_hard")
    assert order == [images[2], images[1], images[0], images[3]]
    assert work.pull(teammate, project) is None
    assert refused(work.make_batch, manager, project, name="LATE") == (409, "name_taken")
    assert refused(work.place, manager, project, [images[0].pk, 10**9], priority=1)[0] == 404


def test_several_annotators_per_image_where_asked(
    project, images, manager, teammate, reviewer, owner
) -> None:
    batch = work.make_batch(manager, project, name="twice", annotators=2)
    work.place(manager, project, [images[3].pk], batch=batch)
    assert pulled(teammate, project).image == images[3]
    assert pulled(reviewer, project).image == images[3]
    assert pulled(owner, project).image == images[0]
    annotation, _ = reviews.start_annotation(teammate, images[3])
    reviews.submit(teammate, annotation, 0)
    assert pulled(teammate, project).image == images[1]  # never the same person twice
    assert pulled(manager, project).image == images[2]
    work.set_rules(manager, project, {"annotators": 2})
    work.hand_back(manager, Lease.objects.get(user=manager, state="active"))
    work.hand_back(owner, Lease.objects.get(user=owner, state="active"))
    assert pulled(owner, project).image == images[0]
    assert pulled(manager, project).image == images[0]


def test_where_picking_is_not_free_the_queue_says_who_labels_what(
    project, images, manager, teammate
) -> None:
    work.set_rules(manager, project, {"free_picking": False})
    project.refresh_from_db()
    image = Image.objects.select_related("project").get(pk=images[1].pk)
    assert refused(reviews.start_annotation, teammate, image) == (409, "not_given")
    reviews.start_annotation(manager, image)
    lease = pulled(teammate, project)
    assert reviews.start_annotation(teammate, lease.image)[1]
    assert refused(work.set_rules, teammate, project, {"free_picking": True})[0] == 403


def test_reopened_work_waits_for_the_one_who_made_it(project, images, teammate, reviewer) -> None:
    annotation, _ = reviews.start_annotation(teammate, images[0])
    reviews.submit(teammate, annotation, 0)
    reviews.approve(reviewer, annotation, 0)
    reviews.reopen(reviewer, annotation, 0)
    assert pulled(reviewer, project).image == images[1]
    assert pulled(teammate, project).image == images[0]


def test_two_reviewers_judge_two_annotations(project, images, teammate, reviewer, manager) -> None:
    for image in images[:2]:
        annotation, _ = reviews.start_annotation(teammate, image)
        reviews.submit(teammate, annotation, 0)
    one, other = (pulled(user, project, "review") for user in (reviewer, manager))
    assert {one.image, other.image} == set(images[:2])
    assert one.annotation
    reviews.approve(reviewer, one.annotation, 0)
    assert Lease.objects.get(pk=one.pk).state == "done"
    expire(other)
    assert pulled(reviewer, project, "review").annotation == other.annotation


def test_nobody_judges_the_own_work_where_the_rules_say_never(
    project, images, owner, manager, reviewer
) -> None:
    Membership.objects.filter(project=project, user__in=[manager, reviewer]).delete()
    annotation, _ = reviews.start_annotation(owner, images[0])
    reviews.submit(owner, annotation, 0)
    work.set_rules(owner, project, {"lone_review": False})
    assert work.pull(owner, project, "review") is None
    annotation = Annotation.objects.select_related("project").get()
    assert refused(reviews.approve, owner, annotation, 0) == (403, "forbidden")


PEOPLE = 50


@pytest.mark.django_db(transaction=True)
def test_fifty_who_pull_at_once_get_fifty_images(make_project, make_image) -> None:
    project = make_project()
    for _ in range(PEOPLE + 5):
        make_image(project)
    people = [User.objects.create(username=f"person {n}") for n in range(PEOPLE)]
    Membership.objects.bulk_create(
        Membership(project=project, user=user, role="annotator") for user in people
    )
    barrier = threading.Barrier(PEOPLE)

    def one(user: User) -> int:
        try:
            barrier.wait()
            return pulled(user, project).image_id
        finally:
            connections.close_all()

    with ThreadPoolExecutor(PEOPLE) as pool:
        given = list(pool.map(one, people))
    assert len(set(given)) == PEOPLE
    assert Image.objects.filter(project=project, has_place=True).count() == 5
