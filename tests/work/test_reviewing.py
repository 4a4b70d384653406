"""Fix and approve, stale comments, what to compare with, and what is drawn for review."""

import uuid
from typing import Any

import pytest

from annotations.errors import ServiceError
from annotations.models import Annotation, Comment, Region, Review
from annotations.selectors import reviews as queue
from annotations.selectors import versions
from annotations.services import regions, reviews, work


def refused(call: Any, *args: Any, **values: Any) -> tuple[int, str]:
    with pytest.raises(ServiceError) as caught:
        call(*args, **values)
    return caught.value.status, caught.value.code


def box(region: Region | None, x: int, width: int, category: int) -> regions.Upsert:
    ring = [x, 0, x + width, 0, x + width, 6, x, 6]
    return regions.Upsert(
        region=region.uuid if region else uuid.uuid4(),
        based_on=region.version if region else 0,
        key=uuid.uuid4(),
        category=category,
        polygons=[[ring]],
    )


def again(annotation: Annotation) -> Annotation:
    return Annotation.objects.select_related("project", "image").get(pk=annotation.pk)


@pytest.fixture
def submitted(image, teammate, make_annotation) -> Annotation:
    return reviews.submit(teammate, make_annotation(image, teammate, regions=2), 2)


def test_a_reviewer_corrects_and_approves(submitted, reviewer, manager, teammate, project) -> None:
    category = project.categories.first().pk
    write = box(submitted.regions.first(), 0, 4, category)
    assert refused(regions.apply_patch, reviewer, submitted, [write]) == (409, "not_editable")
    assert refused(reviews.fix, teammate, submitted, 2) == (403, "forbidden")
    reviews.fix(reviewer, submitted, 2)
    assert refused(reviews.fix, manager, submitted, 2) == (409, "being_fixed")
    for who in (manager, teammate):
        assert refused(regions.apply_patch, who, again(submitted), [write])[0] == 409
    regions.apply_patch(reviewer, again(submitted), [write], 9)
    now = again(submitted)
    assert (now.revision, now.seconds_spent) == (3, 0)  # that is the annotator's time
    assert refused(reviews.approve, reviewer, submitted, 2) == (412, "stale")
    reviews.approve(reviewer, submitted, 3)
    verdict = Review.objects.get()
    assert (verdict.verdict, verdict.fixed, verdict.revision) == ("approve", True, 3)
    write = box(again(submitted).regions.first(), 0, 2, category)
    assert refused(regions.apply_patch, reviewer, again(submitted), [write])[0] == 409


@pytest.mark.parametrize(
    ("x", "width", "stale"),
    [(0, 1, False), (0, 4, True), (5, 1, True)],
    ids=["the same pixels", "more pixels", "other pixels"],
)
def test_a_comment_is_stale_when_its_region_has_other_pixels(
    image, teammate, make_annotation, project, x, width, stale
) -> None:
    annotation = make_annotation(image, teammate)
    category = project.categories.first().pk
    regions.apply_patch(teammate, annotation, [box(None, 0, 1, category)])
    region = annotation.regions.get()
    reviews.add_comment(teammate, annotation, text="Here", region=region.uuid)
    regions.apply_patch(teammate, annotation, [box(region, x, width, category)])
    assert (Comment.objects.get().stale_at is not None) == stale


@pytest.mark.parametrize(("x", "stale"), [(3, False), (4, True), (5, True), (6, False)])
def test_a_comment_at_a_pixel_is_stale_when_the_pixel_changes_hands(
    image, teammate, make_annotation, project, x, stale
) -> None:
    """A region of columns 4 and 5 is made."""
    annotation = make_annotation(image, teammate)
    reviews.add_comment(teammate, annotation, text="Here", x=x + 0.5, y=2.5)
    write = box(None, 4, 2, project.categories.first().pk)
    regions.apply_patch(teammate, annotation, [write])
    assert (Comment.objects.get().stale_at is not None) == stale


def test_answers_belong_to_one_comment(submitted, teammate, reviewer, make_image, make_annotation):
    first = reviews.add_comment(reviewer, submitted, text="Too wide")
    answer = reviews.add_comment(teammate, submitted, text="Why?", reply_to=first.pk)
    further = reviews.add_comment(reviewer, submitted, text="So", reply_to=answer.pk)
    assert (answer.parent, further.parent) == (first, first)
    elsewhere = make_annotation(make_image(submitted.project), teammate)
    values = {"text": "Hm", "reply_to": first.pk}
    assert refused(reviews.add_comment, teammate, elsewhere, **values) == (400, "invalid")


def test_what_an_annotation_is_compared_with(
    submitted, image, teammate, reviewer, stranger, project, make_annotation, make_prediction
) -> None:
    prediction = make_prediction(image, proposals=3)
    other = make_annotation(image, reviewer, regions=1)
    reviews.send_back(reviewer, submitted, 2, "Too wide")
    region = submitted.regions.first()
    write = box(region, 0, 4, project.categories.last().pk)
    regions.apply_patch(teammate, again(submitted), [write])
    now = again(submitted)
    review = Review.objects.get()
    keys = [f"review-{review.pk}", f"prediction-{prediction.pk}", f"annotation-{other.pk}"]
    assert [base.key for base in versions.bases_of(reviewer, now)] == keys
    sizes = [len(versions.base_regions(reviewer, now, key)) for key in keys]
    assert sizes == [2, 3, 1]
    was = versions.base_regions(reviewer, now, keys[0])
    assert all(one["polygons"] is None for one in was)  # as it was before the write
    assert [base.key for base in versions.bases_of(teammate, now)] == keys[:2]
    for key in (keys[2], "review-0", "annotation-x", "other"):
        assert refused(versions.base_regions, teammate, now, key) == (404, "not_found")


def test_a_share_is_drawn_and_the_rest_is_accepted_by_a_manager(
    project, teammate, reviewer, manager, make_image, make_annotation
) -> None:
    work.set_rules(manager, project, {"review_rule": "share", "review_share": 30})
    for _ in range(40):
        annotation = make_annotation(make_image(project), teammate)
        annotation.project = project
        reviews.submit(teammate, annotation, 0)
    drawn = queue.review_queue(reviewer, project).count()
    assert 3 <= drawn <= 24
    assert refused(reviews.accept_unsampled, reviewer, project) == (403, "forbidden")
    assert reviews.accept_unsampled(manager, project) == 40 - drawn
    assert Annotation.objects.filter(status="approved").count() == 40 - drawn
    assert queue.review_queue(reviewer, project).count() == drawn


def test_the_riskiest_come_first(
    project, teammate, reviewer, manager, owner, make_image, make_annotation, make_prediction
) -> None:
    work.set_rules(manager, project, {"review_rule": "riskiest"})
    sure, unsure, careless = (make_image(project) for _ in range(3))
    for image, score in ((sure, 0.9), (unsure, 0.2)):
        proposal = make_prediction(image, proposals=1).proposals.get()
        type(proposal).objects.filter(pk=proposal.pk).update(score=score)
        annotation = make_annotation(image, teammate, regions=1)
        annotation.regions.update(proposal=proposal)
        reviews.submit(teammate, annotation, 1)
    sent_back = make_annotation(make_image(project), owner, regions=1)
    for _ in range(6):
        reviews.submit(owner, sent_back, 1)
        reviews.send_back(manager, sent_back, 1, "No")
    reviews.submit(owner, make_annotation(careless, owner, regions=1), 1)
    found = [row.image for row in queue.review_queue(reviewer, project)]
    assert found == [careless, unsure, sure]


def test_the_history_of_a_region_says_who_and_what_it_was(submitted, reviewer, project) -> None:
    region = submitted.regions.first()
    reviews.fix(reviewer, submitted, 2)
    write = box(region, 0, 4, project.categories.last().pk)
    regions.apply_patch(reviewer, again(submitted), [write], 6)
    past = versions.history_of(again(submitted), region.uuid)
    assert [(one["version"], one["author"]) for one in past] == [(1, "teammate"), (2, "reviewer")]
    assert past[0]["mask"]
    assert past[1]["polygons"] == write.polygons
    assert past[1]["seconds"] == 6
    assert refused(versions.history_of, submitted, uuid.uuid4()) == (404, "not_found")


def test_an_older_state_is_looked_at_and_restored_by_the_save_protocol(
    image, teammate, project, make_annotation, client_of
) -> None:
    """Two regions; the first is changed, the second deleted; then all is as it was before."""
    annotation = make_annotation(image, teammate, regions=2)
    first, second = annotation.regions.all()
    later: list[regions.Write] = [
        box(first, 3, 4, project.categories.last().pk),
        regions.Delete(second.uuid, second.version, uuid.uuid4()),
    ]
    for write in later:
        regions.apply_patch(teammate, annotation, [write], 6)
    client = client_of(teammate)
    url = f"/api/annotations/{annotation.pk}/history"

    lines = client.get(url).json()["results"]
    assert [(line["region"], line["version"], line["deleted"]) for line in lines] == [
        (str(second.uuid), 2, True),
        (str(first.uuid), 2, False),
        (str(second.uuid), 1, False),
        (str(first.uuid), 1, False),
    ]
    assert {line["author"] for line in lines} == {"teammate"}
    assert [line["source"] for line in lines[1:]] == ["api", "brush", "brush"]
    page = client.get(f"{url}?region={first.uuid}&limit=1").json()
    assert page["results"] == [lines[1]]
    page = client.get(f"{url}?region={first.uuid}&after={page['next']}").json()
    assert page == {"results": [lines[3]], "next": None}

    def shapes(found: list[dict[str, Any]]) -> list[Any]:
        return [(one["uuid"], one["category"], one["mask"], one["polygons"]) for one in found]

    then = client.get(f"{url}/{lines[2]['id']}").json()["regions"]
    assert [one["version"] for one in then] == [1, 1]
    between = client.get(f"{url}/{lines[1]['id']}").json()["regions"]
    assert [one["uuid"] for one in between] == [str(first.uuid), str(second.uuid)]
    writes = [
        {"op": "upsert", "region": one["uuid"], "based_on": 2, "key": str(uuid.uuid4()),
         **{name: one[name] for name in ("category", "mask", "polygons", "order", "attributes")}}
        for one in then
    ]  # fmt: skip
    patch = f"/api/annotations/{annotation.pk}/patches"
    assert client.post(patch, {"writes": writes}, "json").status_code == 200
    now = client.get(f"/api/annotations/{annotation.pk}").json()["regions"]
    assert shapes(now) == shapes(then)
    assert [one["version"] for one in now] == [3, 3]
    assert client.get(f"{url}/{lines[0]['id'] + 999}").status_code == 404


@pytest.mark.parametrize("rule", ["all", "riskiest"])
def test_the_queue_is_read_page_by_page(rule, make_image, make_annotation, project, teammate,
                                        reviewer) -> None:  # fmt: skip
    project.review_rule = rule
    project.save()
    made = [make_annotation(make_image(project), teammate) for _ in range(6)]
    for number, one in enumerate(made):  # some at the same moment, some as risky as others
        at = one.created_at.replace(microsecond=number // 4)
        values = {"status": "submitted", "submitted_at": at, "risk": number % 3 / 4}
        Annotation.objects.filter(pk=one.pk).update(**values)
    rows = queue.review_queue(reviewer, project)
    whole = list(rows)
    assert len(whole) == 6
    for place, last in enumerate(whole):
        assert list(queue.queue_after(rows, project, last)) == whole[place + 1 :]
