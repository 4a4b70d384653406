"""One request for a whole piece of work: begun, saved and submitted, or nothing of it."""

import uuid
from typing import Any

import pytest
from django.utils import timezone

from annotations.api.annotations import read_writes
from annotations.models import Annotation, Lease, Notification, Region, RegionRevision, WorkFact
from annotations.services import events, reviews, submissions
from tests.api.test_patches import TRIANGLE


@pytest.fixture
def upsert(project) -> Any:
    category = project.categories.earliest("id").pk

    def make(**values: Any) -> dict[str, Any]:
        keys = {"region": str(uuid.uuid4()), "key": str(uuid.uuid4()), "based_on": 0}
        return {"op": "upsert", "category": category, "polygons": TRIANGLE} | keys | values

    return make


@pytest.fixture
def send(image, teammate, client_of) -> Any:
    """`send(write, …, submit=…)`: the server's reply to the teammate, or to another `user`."""

    def ask(*writes: Any, user: Any = teammate, **values: Any) -> Any:
        url = f"/api/images/{image.pk}/patches"
        return client_of(user).post(url, {"writes": writes} | values, format="json")

    return ask


def state() -> list[Any]:
    models = (Annotation, Region, RegionRevision, Lease, Notification, WorkFact)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_one_request_begins_saves_and_submits(send, upsert, image, teammate) -> None:
    write = upsert()
    reply = send(write, seconds=12, submit=str(uuid.uuid4()))
    annotation = Annotation.objects.get()
    line = {"region": write["region"], "version": 1, "deleted": False, "area": 15.0}
    assert reply.status_code == 200
    assert reply.json() == {
        "annotation": annotation.pk, "status": "submitted", "revision": 1, "regions": [line],
    }  # fmt: skip
    assert (annotation.annotator, annotation.revision) == (teammate, 1)
    assert (annotation.status, annotation.seconds_spent) == ("submitted", 12)
    assert annotation.submitted_at
    image.refresh_from_db()
    assert (image.status, image.has_place) == ("submitted", False)
    assert Lease.objects.get().state == Lease.State.DONE
    assert WorkFact.objects.get().due
    assert Notification.objects.filter(kind="submitted").exists()


def test_without_a_submission_it_is_a_save(send, upsert, image) -> None:
    assert send(upsert()).json()["status"] == "in_progress"
    image.refresh_from_db()
    assert image.status == "in_progress"
    assert Lease.objects.get().state == Lease.State.ACTIVE
    assert send(upsert(), seconds=3).json()["revision"] == 2
    annotation = Annotation.objects.get()
    assert (annotation.revision, annotation.seconds_spent) == (2, 3)


def test_a_request_that_comes_again_changes_nothing(send, upsert, teammate) -> None:
    request = [upsert(), upsert()]
    values = {"seconds": 5, "submit": str(uuid.uuid4()), "revision": 0}
    answer = send(*request, **values).json()
    before = state()
    assert send(*request, **values).json() == answer
    assert state() == before
    # Neither when it was taken back meanwhile.
    reviews.reopen(teammate, Annotation.objects.get(), 2)
    before = state()
    late = send(*request, **values)
    assert late.json() == answer | {"status": "in_progress"}
    assert state() == before


def test_what_was_saved_before_the_reply_was_lost_is_submitted(send, upsert) -> None:
    first, second = upsert(), upsert()
    send(first)
    reply = send(first, second, submit=str(uuid.uuid4()), revision=0)
    assert (reply.json()["status"], reply.json()["revision"]) == ("submitted", 2)


def test_another_revision_is_not_submitted(send, upsert) -> None:
    send(upsert())
    before = state()
    reply = send(upsert(), submit=str(uuid.uuid4()), revision=0)
    assert reply.status_code == 412
    assert (reply.json()["field"], reply.json()["revision"]) == ("revision", 1)
    assert state() == before


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"polygons": [[[0, 0, 5, 5]]]}, 400),
        ({"category": 10**9}, 400),
        ({"based_on": 3}, 412),
        ({"attributes": {"side": ""}}, 409),
    ],
)
def test_a_refusal_of_a_part_changes_nothing(send, upsert, project, change, status) -> None:
    if status == 409:
        needed = {"name": "side", "type": "text", "required": True, "default": "", "choices": []}
        project.categories.update(attributes=[needed])
    before = state()
    reply = send(upsert(), upsert(**change), submit=str(uuid.uuid4()))
    assert reply.status_code == status, reply.content
    assert state() == before == [[]] * 6


def test_what_fails_at_the_end_takes_all_with_it(send, upsert, monkeypatch) -> None:
    def fail(annotation: Annotation) -> None:
        raise RuntimeError

    monkeypatch.setattr(events, "submitted", fail)
    assert send(upsert(), submit=str(uuid.uuid4())).status_code == 500
    assert state() == [[]] * 6


def test_submitted_work_takes_no_more_writes(send, upsert) -> None:
    send(upsert(), submit=str(uuid.uuid4()))
    before = state()
    reply = send(upsert(), submit=str(uuid.uuid4()))
    assert (reply.status_code, reply.json()["code"]) == (409, "not_editable")
    assert send(submit=str(uuid.uuid4())).json()["status"] == "submitted"
    assert state() == before


def test_only_the_queue_gives_images_where_the_rules_say_so(send, upsert, project) -> None:
    project.free_picking = False
    project.save()
    reply = send(upsert(), submit=str(uuid.uuid4()))
    assert (reply.status_code, reply.json()["code"]) == (409, "not_given")
    assert state() == [[]] * 6


def test_nothing_in_an_archived_project_is_submitted(send, upsert, project) -> None:
    send(upsert())
    project.archived_at = timezone.now()
    project.save()
    for values in ({"submit": str(uuid.uuid4())}, {"submit": None}):
        reply = send(upsert(), **values)
        assert (reply.status_code, reply.json()["code"]) == (409, "archived")
    assert send(submit=str(uuid.uuid4())).status_code == 409


def test_everybody_has_an_annotation_of_their_own(send, upsert, owner, stranger) -> None:
    send(upsert())
    assert send(upsert(), user=owner, submit=str(uuid.uuid4())).status_code == 200
    assert dict(Annotation.objects.values_list("annotator__username", "status")) == {
        "teammate": "in_progress", "owner": "submitted",
    }  # fmt: skip
    before = state()
    assert send(upsert(), user=stranger, submit=str(uuid.uuid4())).status_code == 404
    assert state() == before


def test_a_submission_costs_the_same_however_many_regions_there_are(
    upsert, image, teammate, django_assert_max_num_queries
) -> None:
    writes = read_writes([upsert() for _ in range(50)])
    with django_assert_max_num_queries(26):
        submissions.save(teammate, image.pk, writes, submit=uuid.uuid4())
    assert Region.objects.count() == 50
