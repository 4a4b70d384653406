"""Reports say what was planted, to whom they may, with few queries."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotations.errors import Forbidden, NotFound
from annotations.models import Gold, WorkFact
from annotations.selectors import quality
from annotations.selectors.quality import Filter, report
from annotations.services import facts
from tests.quality.conftest import draw

A, B = ("car", 2, 2, 10, 10), ("car", 20, 2, 10, 10)
R = ("road", 2, 15, 5, 5)


@pytest.fixture
def worked(project, owner, manager, teammate, other, field, propose):
    """Two annotators on a gold image, and one on an image with proposals."""
    image = field()
    truth = draw(manager, image, [A, B, R])
    Gold.objects.create(image=image, truth=truth, created_by=owner)
    draw(teammate, image, [A, B, R], seconds=10)
    draw(other, image, [A, ("road", 20, 2, 10, 10), ("car", 34, 20, 5, 5)], seconds=30)
    drawn = field()
    for _ in range(3):
        draw(teammate, field(), [A, B], seconds=20)
    one, two, _ = propose(drawn, [A, B, R])
    draw(teammate, drawn, [A, ("car", 20, 2, 10, 5)], seconds=4, proposals=[one, two])
    return project


def rows(project, user, name, key, **wanted):
    return {row[key]: row for row in report(user, project, name, Filter(**wanted)).rows}


def test_people_and_their_scores(worked, owner):
    people = rows(worked, owner, "people", "person")
    assert set(people) == {"manager", "teammate", "other"}
    good, bad = people["teammate"], people["other"]
    assert (good["gold_objects"], good["iou"], good["pq"]) == (3, 1, 1)
    assert (bad["gold_objects"], bad["wrong"], bad["missing"], bad["extra"]) == (3, 1, 1, 1)
    assert bad["pq"] == pytest.approx(1 / (1 + 2))
    assert bad["seconds_per_region"] == 30
    assert people["manager"]["gold_objects"] == 0


def test_categories_and_confusion(worked, owner, other):
    found = rows(worked, owner, "categories", "category")
    assert found["road"]["missing"] == 1
    # car: truth 4, of which one was called road; 3 right, 1 extra of the other annotator
    assert found["car"]["wrong"] == 1
    assert found["car"]["pq"] == pytest.approx(3 / (3 + 0.5 + 0.5))
    assert found["road"]["pq"] == pytest.approx(1 / (1 + 0.5 + 0.5))
    cells = {
        (row["from"], row["to"]): row["count"]
        for row in report(owner, worked, "confusion", Filter()).rows
    }
    assert cells[("car", "road")] == 1
    assert cells[("road", "(nothing)")] == 1
    assert cells[("(nothing)", "car")] == 1
    assert cells[("car", "car")] == 3


def test_models_against_people(worked, owner):
    (model,) = report(owner, worked, "models", Filter()).rows
    assert model["proposals"] == 3
    assert (model["accepted"], model["edited"], model["unused"]) == pytest.approx([1 / 3] * 3)
    assert model["iou"] == pytest.approx((1 + 0.5) / 2)
    assert model["pixels_changed"] == 25
    assert model["seconds"] == 4
    hand = rows(worked, owner, "categories", "category")["car"]["by_hand"]
    assert model["hours_saved"] == pytest.approx((2 * hand - 8) / 3600)
    (kept,) = report(owner, worked, "model_confusion", Filter()).rows
    assert kept == {"from": "car", "to": "car", "count": 2}
    (day,) = report(owner, worked, "model_days", Filter()).rows
    assert day["iou"] == pytest.approx(0.75)


def test_agreement_of_pairs(worked, owner):
    pairs = {(r["first"], r["second"]): r for r in report(owner, worked, "pairs", Filter()).rows}
    assert pairs[("manager", "teammate")]["object_alpha"] == 1
    assert pairs[("manager", "teammate")]["pixel_kappa"] == 1
    assert pairs[("manager", "other")]["object_alpha"] < 0.5
    everything = rows(worked, owner, "agreement", "category")
    assert 0 < everything["(all)"]["pixel_alpha"] < 1
    assert everything["car"]["objects"] > everything["road"]["objects"]
    assert len(report(owner, worked, "agreement_days", Filter()).rows) == 1


def test_filters(worked, owner, teammate, other):
    today = timezone.now().date()
    assert set(rows(worked, owner, "people", "person", person=other.pk)) == {"other"}
    assert not rows(worked, owner, "people", "person", end=today - timedelta(days=1))
    assert rows(worked, owner, "days", "day", start=today, end=today)
    road = worked.categories.get(name="road").pk
    assert rows(worked, owner, "people", "person", category=road)["teammate"]["regions"] == 1
    batch = worked.batches.create(name="first")
    assert not rows(worked, owner, "people", "person", batch=batch.pk)


def test_others_see_their_own_numbers_without_gold(worked, teammate, reviewer, other, stranger):
    mine = rows(worked, teammate, "people", "person")
    assert set(mine) == {"teammate"}
    assert "iou" not in mine["teammate"]
    with pytest.raises(Forbidden):
        report(teammate, worked, "people", Filter(person=other.pk))
    for name in ("pairs", "confusion", "agreement"):
        with pytest.raises(Forbidden):
            report(reviewer, worked, name, Filter())
    with pytest.raises(NotFound):
        report(stranger, worked, "people", Filter())
    with pytest.raises(NotFound):
        report(teammate, worked, "wages", Filter())


def test_forecast(worked, owner):
    found = quality.forecast(owner, worked)
    assert found.left == 0
    assert found.per_day > 0
    assert found.end == timezone.now().date()


def test_sums_equal_facts_made_anew(worked, owner):
    before = [report(owner, worked, name, Filter()).rows for name in quality.REPORTS]
    WorkFact.objects.all().delete()
    facts.measure_project(worked)
    assert [report(owner, worked, name, Filter()).rows for name in quality.REPORTS] == before


def test_a_report_costs_few_queries(worked, owner, django_assert_max_num_queries):
    for name in quality.REPORTS:
        with django_assert_max_num_queries(6):
            report(owner, worked, name, Filter())


def test_csv_and_accepted_proposals(worked, owner, teammate, client_of):
    client = client_of(owner)
    url = f"/api/projects/{worked.pk}/quality"
    reply = client.get(f"{url}/people?form=csv&person=other")
    lines = reply.content.decode().splitlines()
    assert lines[0].startswith("person,annotations,approved")
    assert [line.split(",")[0] for line in lines[1:]] == ["other"]
    found = client.get(f"{url}/accepted").json()["results"]
    assert [(row["iou"], row["pixels_changed"], row["seconds"]) for row in found] == [
        (1, 0, 4),
        (0.5, 50, 4),
    ]
    assert client.get(f"{url}/people?person=nobody").status_code == 404


def test_a_name_that_begins_like_a_formula_is_no_formula(worked, owner, client_of):
    worked.categories.filter(name="road").update(name="=1+1")
    reply = client_of(owner).get(f"/api/projects/{worked.pk}/quality/categories?form=csv")
    assert b"\n'=1+1," in reply.content
