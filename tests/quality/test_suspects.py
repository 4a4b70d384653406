"""Planted errors come first in the ranking; a verdict does what it says."""

import numpy as np
import pytest

from annotations.errors import Conflict, Forbidden, NotFound, ServiceError
from annotations.masks import suspects as finders
from annotations.models import Annotation, Suspicion
from annotations.services import facts, jobs, reviews, suspects
from tests.masks.test_agreement import box, shape
from tests.quality.conftest import draw

A, B = ("car", 2, 2, 10, 10), ("car", 20, 2, 10, 10)
SIZE = (40, 50)


def test_a_region_of_another_size_is_odd_and_usual_ones_are_not():
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (60, len(finders.FEATURES)))
    values[7, 0] = 12
    found = finders.odd(values, np.zeros(60, int))
    assert (found[0].place, found[0].reason, found[0].text) == (7, "size", "unusually large")
    assert {one.place for one in found} == {7}


def test_a_wrong_name_is_found_by_what_the_region_looks_like():
    random = np.random.default_rng(0)
    categories = np.repeat([3, 9], 60)
    values = random.normal(categories[:, None], 1, (120, len(finders.FEATURES)))
    given = categories.copy()
    given[[5, 70]] = [9, 3]
    groups = np.arange(120) % 10
    found = {place: other for place, other, _ in finders.unlike(values, given, groups)}
    assert found == {5: 3, 70: 9}


def test_one_category_or_one_image_has_nothing_to_compare():
    values = np.zeros((40, len(finders.FEATURES)))
    assert not finders.unlike(values, np.zeros(40, int), np.arange(40))
    assert not finders.unlike(values, np.arange(40) % 2, np.zeros(40, int))
    assert not finders.twins(np.zeros((1, 4)), np.zeros(1, int), np.zeros(1, int))


def test_slivers_and_holes():
    thin = box(0, 0, 40, 2)
    assert [reason for reason, _, _ in finders.broken(thin, SIZE)] == ["sliver"]
    mask = np.zeros(SIZE, bool)
    mask[2:32, 2:32] = True
    assert not finders.broken(shape(mask), SIZE)
    mask[10, 10] = False
    mask[38, 45] = True
    found = finders.broken(shape(mask), SIZE)
    assert [(reason, text) for reason, _, text in found] == [
        ("sliver", "1 tiny parts"),
        ("gap", "1 tiny holes"),
    ]


def test_others_who_labeled_the_image_have_a_say():
    """Of three people two agree on the first object; of the second two people say two things."""
    people = [
        [box(2, 2, 10, 10), box(20, 2, 10, 10)],
        [box(2, 3, 10, 10), box(20, 2, 10, 10, category=2)],
        [box(3, 2, 10, 10, category=2)],
    ]
    otherwise, confirmed = finders.named_by_others(people)
    assert sorted(otherwise) == [(0, 1, 2, 0.5), (1, 1, 1, 0.5), (2, 0, 1, 0.85)]
    assert not confirmed  # one says the same, one something else
    otherwise, confirmed = finders.named_by_others([*people, people[0][:1]])
    assert (2, 0, 1, 0.85) in otherwise
    assert confirmed == {(0, 0), (1, 0), (3, 0)}
    findings = [finders.Finding(0, "size", 0.5, "")] * 2
    assert finders.combined(findings)[0] == (0.5, findings[:1])
    assert finders.combined(findings, {0})[0][0] == 0.5 * finders.CONFIRMED


def test_twins_with_two_names():
    pattern = np.tile([0.1, 0.9], 6)
    thumbs = np.array([pattern, 1 - pattern, pattern + 0.005, np.full(12, 0.5), np.full(12, 0.5)])
    categories, images = np.array([1, 1, 2, 1, 2]), np.arange(5)
    assert finders.twins(thumbs, categories, images) == [(0, 2), (2, 0)]
    assert not finders.twins(thumbs, np.ones(5, int), images)
    assert not finders.twins(thumbs, categories, np.zeros(5, int))


def test_what_a_model_sees_differently():
    drawn = [box(0, 0, 10, 10), box(20, 0, 10, 10)]
    other, missed = finders.disputed(
        drawn,
        [(box(0, 0, 10, 9, category=2), 0.9), (box(35, 25, 10, 10), 0.9), (drawn[1], 0.9)],
    )
    assert other == [(0, 0, pytest.approx(0.81))]
    assert missed == [(1, pytest.approx(0.54))]


def search(user, project) -> None:
    done = jobs.run(suspects.start(user, project).pk, suspects.run_suspects)
    assert done is not None
    assert done.state == "done", done.error


@pytest.fixture
def suspicion(project, teammate, reviewer, field, propose) -> Suspicion:
    """A region that is there twice, in a submitted annotation."""
    draw(teammate, field(), [A, B, ("road", 2, 2, 10, 10)])
    search(reviewer, project)
    return Suspicion.objects.get()


def test_the_search_says_what_and_why(suspicion, project):
    assert suspicion.reason == "twice"
    assert suspicion.detail == "there twice: 100% the same pixels as a region of car"
    assert suspicion.category == project.categories.get(name="road")
    assert suspicion.bbox == [2, 2, 10, 10]


def test_wrong_sends_a_submitted_annotation_back_with_the_reason(suspicion, reviewer):
    suspects.judge(reviewer, suspicion, "wrong")
    annotation = Annotation.objects.get()
    assert annotation.status == "sent_back"
    comment = annotation.comments.get()
    assert "there twice" in comment.text
    assert comment.region == suspicion.region
    with pytest.raises(Conflict):
        suspects.judge(reviewer, suspicion, "right")


def test_wrong_reopens_an_approved_annotation(suspicion, reviewer):
    annotation = Annotation.objects.get()
    reviews.approve(reviewer, annotation, annotation.revision)
    suspects.judge(reviewer, suspicion, "wrong")
    assert Annotation.objects.get().status == "in_progress"


def test_right_and_skip_change_nothing_and_do_not_come_again(suspicion, reviewer, project):
    suspects.judge(reviewer, suspicion, "skip")
    suspects.judge(reviewer, suspicion, "right")
    assert Annotation.objects.get().status == "submitted"
    assert not Annotation.objects.get().comments.exists()
    search(reviewer, project)
    assert Suspicion.objects.count() == 1


def test_who_may_search_and_judge(suspicion, project, teammate, reviewer, stranger, client_of):
    for user, error in ((teammate, Forbidden), (stranger, NotFound)):
        with pytest.raises(error):
            suspects.start(user, project)
        with pytest.raises(error):
            suspects.judge(user, suspicion, "right")
    with pytest.raises(ServiceError):
        suspects.judge(reviewer, suspicion, "maybe")
    url = f"/api/suspicions/{suspicion.pk}/picture"
    assert client_of(teammate).get(url).status_code == 404
    reply = client_of(reviewer).get(url)
    assert (reply.status_code, reply.content[8:12]) == (200, b"WEBP")


def test_a_model_that_sees_something_else_is_a_reason(project, teammate, reviewer, field, propose):
    image = field()
    propose(image, [("road", 2, 2, 10, 10), ("car", 20, 15, 8, 8)])
    draw(teammate, image, [A])
    search(reviewer, project)
    found = {one.reason: one for one in Suspicion.objects.all()}
    assert set(found) == {"model", "missed"}
    assert found["missed"].region is None
    suspects.judge(reviewer, found["missed"], "wrong")
    assert Annotation.objects.get().comments.get().region is None
    facts.measure_due()
