"""What is measured of submitted work, and that the sums follow every change."""

import queue

import pytest
from django.db.models import Sum
from django.utils import timezone

from annotations.models import (
    Annotation,
    Gold,
    Image,
    PairFact,
    RegionDay,
    RegionFact,
    WorkDay,
    WorkFact,
)
from annotations.services import facts, ingest, measuring, regions, reviews
from tests.quality.conftest import draw

A, B = ("car", 2, 2, 10, 10), ("car", 20, 2, 10, 10)


def day(**where) -> dict[str, float]:
    row = WorkDay.objects.get(**where)
    names = ("annotations", "approved", "sent_back", "gold", "regions", "seconds")
    return {name: getattr(row, name) for name in names}


def by_origin() -> dict[str, int]:
    """Of all people, which is the sum of what there is of each."""
    rows = RegionDay.objects.order_by().values("origin").annotate(n=Sum("count"))
    all_people, each = (
        dict(rows.filter(annotator__isnull=together).values_list("origin", "n"))
        for together in (True, False)
    )
    assert all_people == each
    return all_people


def test_a_submission_is_measured_with_its_seconds(teammate, field):
    draw(teammate, field(), [A, B], seconds=30)
    assert day() == {
        "annotations": 1, "approved": 0, "sent_back": 0, "gold": 0, "regions": 2, "seconds": 60,
    }  # fmt: skip
    mine, all_people = RegionDay.objects.order_by("pk")
    assert (mine.annotator, all_people.annotator) == (teammate, None)
    for row in (mine, all_people):
        assert (row.origin, row.count, row.seconds, row.area) == ("drawn", 2, 60, 200)
        assert row.day == timezone.now().date()


def test_seconds_of_a_patch_are_shared_by_its_writes(teammate, field):
    annotation = draw(teammate, field(), [A, B], seconds=10, submit=False)
    ids = list(annotation.regions.values_list("uuid", flat=True))
    gone = [regions.Delete(pk, 1, pk) for pk in ids[:1]]
    regions.apply_patch(teammate, annotation, gone, 7)
    seconds = annotation.regions.get(uuid=ids[0]).revisions.values_list("seconds", flat=True)
    assert list(seconds) == [10, 7]


def test_accepted_edited_rejected_and_unused_proposals(teammate, field, propose):
    image = field()
    accepted, edited, renamed, dismissed, _unused = propose(
        image, [A, B, ("road", 2, 15, 5, 5), ("car", 30, 20, 4, 4), ("road", 36, 26, 2, 2)]
    )
    annotation, _ = reviews.start_annotation(teammate, image)
    regions.apply_patch(teammate, annotation, [regions.Dismiss(dismissed.pk)])
    draw(
        teammate,
        image,
        [A, ("car", 20, 2, 10, 12), ("car", 2, 15, 5, 5)],
        proposals=[accepted, edited, renamed],
    )
    rows = {row.proposal_id: row for row in RegionFact.objects.exclude(proposal=None)}
    assert (rows[accepted.pk].origin, rows[accepted.pk].iou) == ("accepted", 1)
    assert (rows[edited.pk].origin, rows[edited.pk].pixels_changed) == ("edited", 20)
    assert rows[edited.pk].iou == pytest.approx(100 / 120)
    assert rows[renamed.pk].origin == "edited"
    assert {row.origin: row.count for row in RegionFact.objects.filter(proposal=None)} == {
        "rejected": 1,
        "unused": 1,
    }
    counts = by_origin()
    assert counts["rejected"] == counts["unused"] == counts["accepted"] == 1


def test_a_prediction_made_after_the_submission_was_not_left_out(teammate, field, propose):
    image = field()
    annotation = draw(teammate, image, [A])
    propose(image, [B])
    facts.due_again(Annotation.objects.filter(pk=annotation.pk))
    facts.measure_due()
    assert by_origin() == {"drawn": 1}


def test_sums_follow_verdicts_and_what_is_taken_back(teammate, reviewer, field):
    annotation = draw(teammate, field(), [A])
    reviews.approve(reviewer, annotation, annotation.revision)
    facts.measure_due()
    assert day()["approved"] == 1
    annotation = reviews.reopen(reviewer, annotation, annotation.revision)
    facts.measure_due()
    assert not WorkDay.objects.exists()
    assert not RegionDay.objects.exists()
    annotation = reviews.submit(teammate, annotation, annotation.revision)
    reviews.send_back(reviewer, annotation, annotation.revision, "No")
    facts.measure_due()
    assert (day()["annotations"], day()["sent_back"]) == (1, 1)


def test_sums_lose_what_a_removed_image_added(manager, teammate, field):
    gone, kept = field(), field()
    draw(teammate, gone, [A, B])
    draw(teammate, kept, [A])
    ingest.delete_image(manager, gone)
    assert (day()["annotations"], day()["regions"]) == (1, 1)
    assert by_origin() == {"drawn": 1}


def test_measuring_twice_changes_nothing_and_a_changed_annotation_waits(teammate, field):
    annotation = draw(teammate, field(), [A])
    before = day()
    facts.measure_project(annotation.project)
    assert day() == before
    assert not WorkFact.objects.filter(due__isnull=False).exists()


def test_a_lost_message_delays_measuring(teammate, field, monkeypatch):
    draw(teammate, field(), [A], measure=False)
    facts.measure_late()
    assert not WorkDay.objects.exists()
    monkeypatch.setattr(facts, "LATE_SECONDS", -1)
    facts.measure_late()
    assert day()["annotations"] == 1


def test_work_on_a_gold_image_is_scored(teammate, manager, field):
    image = field()
    boxes = [A, B, ("road", 2, 15, 5, 5)]
    truth = draw(manager, image, boxes)
    Gold.objects.create(image=image, truth=truth, created_by=manager)
    draw(teammate, image, [("car", 2, 2, 10, 9), ("road", 20, 2, 10, 10), ("car", 30, 20, 4, 4)])
    rows = RegionFact.objects.filter(work__annotator=teammate)
    found = {row.gold: row for row in rows}
    assert set(found) == {"right", "wrong", "extra", "missing"}
    assert found["right"].gold_iou == pytest.approx(0.9)
    assert found["right"].gold_dice == pytest.approx(180 / 190)
    car, road = image.project.categories.all()
    assert (found["wrong"].truth, found["wrong"].category) == (car, road)
    assert found["missing"].truth == road
    assert day(annotator=teammate)["gold"] == 1
    assert day(annotator=manager)["gold"] == 0


def test_a_changed_truth_scores_the_others_again(teammate, manager, reviewer, field):
    image = field()
    truth = draw(manager, image, [A])
    Gold.objects.create(image=image, truth=truth, created_by=manager)
    draw(teammate, image, [A, B])
    assert RegionFact.objects.filter(gold="extra").count() == 1
    truth = reviews.reopen(manager, truth, truth.revision)
    draw(manager, image, [B])
    assert set(
        RegionFact.objects.filter(work__annotator=teammate).values_list("gold", flat=True)
    ) == {"right"}


def test_pairs_of_people_who_labeled_one_image(teammate, other, field):
    image = field()
    draw(teammate, image, [A, B])
    assert not PairFact.objects.exists()
    draw(other, image, [("car", 2, 2, 10, 10), ("road", 20, 2, 10, 10), ("road", 30, 20, 4, 4)])
    rows = PairFact.objects.all()
    assert {row.first_id for row in rows} == {teammate.pk}
    told = {
        tuple(c and c.name for c in (row.first_category, row.second_category)): (
            row.objects_found,
            row.pixels,
        )
        for row in rows
    }
    assert told == {
        ("car", "car"): (1, 100),
        ("car", "road"): (1, 100),
        (None, "road"): (1, 16),
        (None, None): (0, 1200 - 216),
    }


def test_a_write_in_the_middle_of_measuring_is_not_overwritten(teammate, field, monkeypatch):
    annotation = draw(teammate, field(), [A], measure=False)
    original = facts.measured

    def meanwhile(found):
        facts.due(annotation)
        return original(found)

    monkeypatch.setattr(facts, "measured", meanwhile)
    facts.measure(annotation.pk)
    fact = WorkFact.objects.get()
    assert fact.due is not None
    assert fact.day is None
    assert Image.objects.exists()


def test_several_are_measured_at_once_as_one_by_one(teammate, owner, field, monkeypatch):
    for person in (teammate, owner):
        for box in (A, B):
            draw(person, field(), [box], measure=False)
    assert facts.measure_due() == 4
    rows = list(WorkDay.objects.order_by("annotator").values())
    assert [row["annotations"] for row in rows] == [2, 2]
    monkeypatch.setattr(facts, "TOGETHER", 1)
    facts.due_again(Annotation.objects.all())
    assert facts.measure_due() == 4
    again = list(WorkDay.objects.order_by("annotator").values())
    assert [row | {"id": 0} for row in again] == [row | {"id": 0} for row in rows]


def test_what_cannot_be_measured_holds_up_nothing(teammate, field, monkeypatch):
    """It says why, and is tried again when it becomes due again."""
    first, second, third = (draw(teammate, field(), [A], measure=False) for _ in range(3))
    original = measuring._region_facts

    def fail(annotation, *others):
        if annotation.pk == second.pk:
            raise ValueError("no such shape")
        return original(annotation, *others)

    monkeypatch.setattr(measuring, "_region_facts", fail)
    facts.measure_due()
    assert dict(WorkFact.objects.values_list("annotation", "problem")) == {
        first.pk: "", second.pk: "ValueError: no such shape", third.pk: "",
    }  # fmt: skip
    assert not WorkFact.objects.filter(due__isnull=False).exists()
    assert day()["annotations"] == 2
    monkeypatch.setattr(measuring, "_region_facts", original)
    facts.due(second)
    facts.measure_due()
    assert not WorkFact.objects.exclude(problem="").exists()
    assert day()["annotations"] == 3


def test_one_message_tells_of_all_that_becomes_due_within_a_second(monkeypatch):
    told: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr(facts, "WAKE_SECONDS", 0.05)
    monkeypatch.setattr(facts, "wake", lambda: told.put(1))
    for _ in range(2):
        for _ in range(3):
            facts.wake_soon()
        told.get(timeout=10)
        assert told.empty()
