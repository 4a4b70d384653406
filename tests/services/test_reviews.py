"""From begun to approved, and back."""

from typing import Any

import pytest
from django.utils import timezone

from annotations.errors import ServiceError
from annotations.models import Annotation, Image, Membership, Review, User
from annotations.services import reviews


def refused(call: Any, *args: Any, **values: Any) -> tuple[int, str]:
    before = list(Annotation.objects.values()), Review.objects.count()
    with pytest.raises(ServiceError) as caught:
        call(*args, **values)
    assert (list(Annotation.objects.values()), Review.objects.count()) == before
    return caught.value.status, caught.value.code


@pytest.fixture
def annotation(image, teammate, make_annotation) -> Annotation:
    return make_annotation(image, teammate, regions=1)


@pytest.fixture
def submitted(teammate, annotation) -> Annotation:
    return reviews.submit(teammate, annotation, 1)


def image_status(image: Image) -> str:
    return Image.objects.get(pk=image.pk).status


def test_an_annotation_is_made_once(image, teammate) -> None:
    first, made = reviews.start_annotation(teammate, image)
    again, made_again = reviews.start_annotation(teammate, image)
    assert (first, made, made_again) == (again, True, False)
    assert image_status(image) == "new"  # nothing was written yet


def test_the_way_of_an_annotation(image, annotation, teammate, reviewer) -> None:
    assert reviews.submit(teammate, annotation, 1).status == "submitted"
    assert image_status(image) == "submitted"
    assert reviews.send_back(reviewer, annotation, 1, " Too wide ").status == "sent_back"
    assert image_status(image) == "sent_back"
    reviews.submit(teammate, annotation, 1)
    done = reviews.approve(reviewer, annotation, 1)
    assert done.approved_at is not None
    assert image_status(image) == "approved"
    reopened = reviews.reopen(reviewer, annotation, 1, "One was missed")
    assert (reopened.approved_at, image_status(image)) == (None, "in_progress")
    told = Review.objects.values_list("verdict", "comment", "revision", "reviewer__username")
    assert list(told) == [
        ("reopen", "One was missed", 1, "reviewer"),
        ("approve", "", 1, "reviewer"),
        ("send_back", "Too wide", 1, "reviewer"),
    ]


def test_an_empty_annotation_may_be_submitted(image, teammate) -> None:
    annotation, _ = reviews.start_annotation(teammate, image)
    reviews.submit(teammate, annotation, 0)
    assert image_status(image) == "submitted"


def test_submitting_and_judging_twice_is_once(submitted, teammate, reviewer) -> None:
    at = submitted.submitted_at
    assert reviews.submit(teammate, submitted, 1).submitted_at == at
    reviews.approve(reviewer, submitted, 1)
    reviews.approve(reviewer, submitted, 1)
    assert Review.objects.count() == 1


def test_only_what_the_person_saw_is_submitted_and_judged(annotation, teammate, reviewer) -> None:
    assert refused(reviews.submit, teammate, annotation, 0) == (412, "stale")
    reviews.submit(teammate, annotation, 1)
    for call in (reviews.approve, reviews.send_back, reviews.reopen):
        assert refused(call, reviewer, annotation, 2, "x") == (412, "stale")


def test_only_the_annotator_submits(annotation, owner) -> None:
    assert refused(reviews.submit, owner, annotation, 1) == (403, "forbidden")


def test_only_what_was_submitted_is_judged(annotation, reviewer) -> None:
    for call in (reviews.approve, reviews.send_back):
        assert refused(call, reviewer, annotation, 1, "x") == (409, "not_submitted")
    assert reviews.reopen(reviewer, annotation, 1).status == "in_progress"
    assert not Review.objects.exists()


def test_sending_back_needs_a_comment(submitted, reviewer) -> None:
    assert refused(reviews.send_back, reviewer, submitted, 1, " \n ") == (400, "invalid")


def test_approved_work_is_not_submitted_again(submitted, teammate, reviewer) -> None:
    reviews.approve(reviewer, submitted, 1)
    assert refused(reviews.submit, teammate, submitted, 1) == (409, "not_editable")


def test_nobody_judges_the_own_work_while_somebody_else_could(
    project, image, reviewer, manager, owner, make_annotation
) -> None:
    own = reviews.submit(reviewer, make_annotation(image, reviewer), 0)
    for call in (reviews.approve, reviews.send_back):
        assert refused(call, reviewer, own, 0, "x") == (403, "forbidden")
    Membership.objects.filter(project=project, user__in=[manager]).delete()
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert reviews.approve(reviewer, own, 0).status == "approved"


def test_the_annotator_takes_back_what_nobody_judged(submitted, teammate, reviewer) -> None:
    assert reviews.reopen(teammate, submitted, 1).status == "in_progress"
    reviews.submit(teammate, submitted, 1)
    reviews.approve(reviewer, submitted, 1)
    assert refused(reviews.reopen, teammate, submitted, 1) == (403, "forbidden")


def test_the_image_shows_its_furthest_annotation(
    image, annotation, teammate, reviewer, manager, make_annotation
) -> None:
    other = make_annotation(image, reviewer, regions=1)
    reviews.submit(reviewer, other, 1)
    assert image_status(image) == "submitted"
    reviews.send_back(manager, other, 1, "No")
    assert image_status(image) == "sent_back"
    reviews.submit(teammate, annotation, 1)
    reviews.approve(manager, annotation, 1)
    reviews.submit(reviewer, other, 1)
    assert image_status(image) == "approved"


def test_nothing_moves_in_an_archived_project(submitted, image, project, reviewer) -> None:
    project.archived_at = timezone.now()
    project.save()
    image.refresh_from_db()
    assert refused(reviews.approve, reviewer, submitted, 1) == (409, "archived")
    assert refused(reviews.start_annotation, reviewer, image) == (409, "archived")


# --- comments -------------------------------------------------------------------------------------
def test_comments_are_pinned_to_pixels_and_regions(annotation, reviewer) -> None:
    region = annotation.regions.get()
    comment = reviews.add_comment(reviewer, annotation, text="Here", x=8, y=0.5, region=region.uuid)
    assert (comment.x, comment.y, comment.region) == (8, 0.5, region)
    assert reviews.resolve_comment(reviewer, comment, True).resolved_at
    assert reviews.resolve_comment(reviewer, comment, False).resolved_at is None


@pytest.mark.parametrize(
    "values",
    [
        {"text": " "},
        {"x": 1.0},
        {"y": 1.0},
        {"x": -0.1, "y": 1},
        {"x": 1, "y": 6.1},
        {"region": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_comments_that_are_refused(annotation, reviewer, values) -> None:
    given = {"text": "Here"} | values
    assert refused(reviews.add_comment, reviewer, annotation, **given) == (400, "invalid")
