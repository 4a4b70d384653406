"""What the editor opens with, and where it goes next."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from annotations.models import Annotation, Dismissal, Membership, Review, User
from annotations.services.reviews import add_comment, approve, send_back, submit


def opened(client: Any, image: Any, query: str = "") -> dict[str, Any]:
    reply = client.get(f"/api/images/{image.pk}/workspace{query}")
    assert reply.status_code == 200, reply.json()
    return reply.json()


def test_an_image_that_nobody_labeled(project, image, teammate, client_of) -> None:
    values = opened(client_of(teammate), image)
    assert values["annotation"] is None
    assert values["project"] == {
        "id": project.pk,
        "name": project.name,
        "kind": "instance",
        "guidelines": "",
        "role": "annotator",
    }
    assert values["image"]["url"] == f"/api/images/{image.pk}/file"
    assert [category["name"] for category in values["categories"]] == ["car", "road"]
    assert (values["position"], values["total"]) == (1, 1)
    assert (values["previous"], values["next"]) == (None, None)


def test_all_that_belongs_to_an_annotation(
    image, teammate, reviewer, client_of, make_annotation, make_prediction
) -> None:
    annotation = make_annotation(image, teammate, regions=2)
    gone = annotation.regions.last()
    gone.deleted_at = timezone.now()
    gone.save()
    proposal = make_prediction(image).proposals.first()
    Dismissal.objects.create(annotation=annotation, proposal=proposal)
    submit(teammate, annotation, 2)
    region = annotation.regions.first()
    add_comment(reviewer, annotation, text="Here", x=1.5, y=2, region=region.uuid)
    send_back(reviewer, annotation, 2, "Too wide")
    values = opened(client_of(teammate), image)["annotation"]
    assert [line["uuid"] for line in values["regions"]] == [str(region.uuid)]
    assert values["dismissed"] == [proposal.pk]
    assert values["annotator"] == {"id": teammate.pk, "username": "teammate"}
    assert (values["status"], values["editable"], values["reviewable"]) == (
        "sent_back",
        True,
        False,
    )
    (review,) = values["reviews"]
    assert (review["verdict"], review["comment"], review["reviewer"]) == (
        "send_back",
        "Too wide",
        "reviewer",
    )
    (comment,) = values["comments"]
    assert (comment["x"], comment["y"], comment["region"]) == (1.5, 2.0, str(region.uuid))
    assert (comment["author"], comment["resolved"]) == ("reviewer", False)


def test_proposals_are_those_of_the_newest_prediction_of_each_model(
    image, teammate, client_of, make_prediction
) -> None:
    make_prediction(image, proposals=3)
    newer = make_prediction(image, proposals=2)
    other = make_prediction(image, proposals=1, model="other")
    shown = opened(client_of(teammate), image)["proposals"]
    expected = {p.pk for prediction in (newer, other) for p in prediction.proposals.all()}
    assert {proposal["id"] for proposal in shown} == expected
    assert [proposal["score"] for proposal in shown] == sorted(
        (proposal["score"] for proposal in shown), reverse=True
    )
    assert set(shown[0]) >= {"mask", "polygons", "bbox", "area", "model", "model_version"}


def test_a_reviewer_opens_the_submitted_annotation_and_may_judge_it(
    project, image, teammate, reviewer, client_of, make_annotation
) -> None:
    other = User.objects.create(username="other")
    Membership.objects.create(project=project, user=other, role="annotator")
    make_annotation(image, other)
    submitted = make_annotation(image, teammate)
    submit(teammate, submitted, 0)
    values = opened(client_of(reviewer), image)["annotation"]
    assert (values["id"], values["editable"], values["reviewable"]) == (submitted.pk, False, True)
    own = make_annotation(image, reviewer)
    assert opened(client_of(reviewer), image)["annotation"]["id"] == own.pk
    chosen = opened(client_of(reviewer), image, f"?annotation={submitted.pk}")
    assert chosen["annotation"]["id"] == submitted.pk


def test_an_annotation_of_another_image_is_not_opened(
    project, image, teammate, client_of, make_image, make_annotation
) -> None:
    elsewhere = make_annotation(make_image(project), teammate)
    url = f"/api/images/{image.pk}/workspace?annotation={elsewhere.pk}"
    assert client_of(teammate).get(url).status_code == 404


def test_neighbours_by_id_and_by_status(project, teammate, client_of, make_image) -> None:
    images = [
        make_image(project, status=status)
        for status in ("new", "approved", "new", "approved", "new")
    ]
    client = client_of(teammate)
    values = opened(client, images[2])
    assert (values["previous"], values["next"]) == (images[1].pk, images[3].pk)
    assert (values["position"], values["total"]) == (3, 5)
    values = opened(client, images[2], "?status=new")
    assert (values["previous"], values["next"]) == (images[0].pk, images[4].pk)
    assert (values["position"], values["total"]) == (2, 3)


def test_the_number_of_queries_is_fixed(
    image, teammate, reviewer, client_of, make_annotation, make_prediction,
    django_assert_max_num_queries,
) -> None:  # fmt: skip
    annotation = make_annotation(image, teammate, regions=60)
    for region in annotation.regions.all()[:9]:
        add_comment(reviewer, annotation, text="Look", region=region.uuid)
    make_prediction(image, proposals=30)
    client = client_of(teammate)
    with django_assert_max_num_queries(14):
        assert len(opened(client, image)["annotation"]["regions"]) == 60
    submit(teammate, annotation, 60)
    client = client_of(reviewer)
    with django_assert_max_num_queries(14):
        opened(client, image)


# --- next -----------------------------------------------------------------------------------------
def follow(client: Any, project: Any, after: int | None = None, mode: str = "label") -> Any:
    query = f"?mode={mode}" + (f"&after={after}" if after else "")
    return client.get(f"/api/projects/{project.pk}/next{query}").json()["image"]


def test_what_was_sent_back_comes_first_then_what_is_begun_then_what_is_new(
    project, teammate, reviewer, client_of, make_image, make_annotation
) -> None:
    new, begun, back, theirs = (make_image(project).pk for _ in range(4))
    images = {image.pk: image for image in project.images.all()}
    make_annotation(images[begun], teammate)
    submit(teammate, sent := make_annotation(images[back], teammate), 0)
    send_back(reviewer, sent, 0, "No")
    make_annotation(images[theirs], reviewer)
    images[theirs].status = "in_progress"
    images[theirs].save(update_fields=["status"])
    client = client_of(teammate)
    assert follow(client, project) == back
    submit(teammate, sent, 0)
    assert follow(client, project) == begun
    submit(teammate, Annotation.objects.get(image=begun), 0)
    assert follow(client, project) == new
    submit(teammate, make_annotation(images[new], teammate), 0)
    assert follow(client, project) is None


def test_skipping_goes_forward_and_round_and_sees_every_image(
    project, teammate, client_of, make_image, make_annotation
) -> None:
    images = [make_image(project) for _ in range(5)]
    make_annotation(images[3], teammate)
    client = client_of(teammate)
    assert follow(client, project) == images[3].pk
    seen, here = [], images[0].pk
    for _ in range(5):
        seen.append(here)
        here = follow(client, project, here)
    assert seen == [image.pk for image in images]
    assert here == images[3].pk  # round again, with what is begun


def test_the_last_image_is_not_offered_again(project, image, teammate, client_of) -> None:
    client = client_of(teammate)
    assert follow(client, project) == image.pk
    assert follow(client, project, image.pk) is None


def test_after_a_corrected_image_comes_the_next_one_that_was_sent_back(
    project, teammate, reviewer, client_of, make_image, make_annotation
) -> None:
    images = [make_image(project) for _ in range(4)]
    for image in images[1:3]:
        annotation = make_annotation(image, teammate, status="sent_back")
        Review.objects.create(
            annotation=annotation, reviewer=reviewer, verdict="send_back", revision=0
        )
    client = client_of(teammate)
    assert follow(client, project) == images[1].pk
    submit(teammate, Annotation.objects.get(image=images[1]), 0)
    assert follow(client, project, images[1].pk) == images[2].pk


def test_reviewing_takes_the_oldest_submission_and_goes_on(
    project, teammate, reviewer, client_of, make_image, make_annotation
) -> None:
    images = [make_image(project) for _ in range(3)]
    now = timezone.now()
    for image, minutes in zip(images, (20, 30, 10), strict=True):
        annotation = make_annotation(image, teammate, status="submitted")
        annotation.submitted_at = now - timedelta(minutes=minutes)
        annotation.save()
    own = make_annotation(make_image(project), reviewer, status="submitted")
    own.submitted_at = now - timedelta(hours=9)
    own.save()
    client = client_of(reviewer)
    assert follow(client, project, mode="review") == images[1].pk
    assert follow(client, project, images[1].pk, "review") == images[0].pk
    approve(reviewer, Annotation.objects.get(image=images[0]), 0)
    assert follow(client, project, images[0].pk, "review") == images[2].pk
    assert follow(client, project, images[2].pk, "review") == images[1].pk
    reply = client.get(f"/api/projects/{project.pk}/next?mode=review").json()
    assert reply["annotation"] == Annotation.objects.get(image=images[1]).pk


@pytest.mark.parametrize("mode", ["label", "review"])
def test_next_has_a_query_budget(
    project, reviewer, client_of, make_image, django_assert_max_num_queries, mode
) -> None:
    images = [make_image(project) for _ in range(30)]
    client = client_of(reviewer)
    with django_assert_max_num_queries(10):
        follow(client, project, images[3].pk, mode)
