"""Every route × method: anonymous 401, outsider as if it did not exist, too low a role 403."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from knox.models import AuthToken
from rest_framework.test import APIClient

from annotations.models import (
    Annotation,
    Category,
    Comment,
    Image,
    Job,
    Membership,
    Prediction,
    Project,
    User,
)
from annotations.selectors.exports import Rule
from annotations.services import releases

MISSING = 9_000_000


def verdict() -> dict[str, Any]:
    return {"revision": 1, "comment": "Why"}


# (method, path, body, the lowest role that gets past 403 or None where everyone in the project may)
ROUTES: list[tuple[str, str, Any, str | None]] = [
    ("get", "projects/{project}", None, None),
    ("patch", "projects/{project}", {"guidelines": "All cars."}, "manager"),
    ("patch", "projects/{project}", {"name": "Streets"}, "owner"),
    ("delete", "projects/{project}", None, "owner"),
    ("get", "projects/{project}/categories", None, None),
    ("post", "projects/{project}/categories", {"name": "tree"}, "manager"),
    ("patch", "categories/{category}", {"name": "tree"}, "manager"),
    ("delete", "categories/{category}", None, "manager"),
    ("get", "projects/{project}/members", None, None),
    ("get", "projects/{project}/teams", None, None),
    ("post", "projects/{project}/teams", {"team": 1, "role": "annotator"}, "manager"),
    ("get", "projects/{project}/webhooks", None, "manager"),
    ("post", "projects/{project}/members", {"username": "new", "role": "reviewer"}, "manager"),
    ("post", "projects/{project}/members", {"username": "new", "role": "manager"}, "owner"),
    ("patch", "members/{member}", {"role": "reviewer"}, "manager"),
    ("patch", "members/{member}", {"role": "manager"}, "owner"),
    ("delete", "members/{owner}", None, "owner"),
    ("get", "projects/{project}/annotations", None, None),
    ("get", "projects/{project}/next", None, None),
    ("get", "projects/{project}/next?mode=review", None, "reviewer"),
    ("get", "images/{image}/workspace", None, None),
    ("post", "images/{image}/annotations", {}, None),
    ("post", "images/{image}/patches", {"writes": []}, None),
    ("get", "annotations/{annotation}", None, None),
    ("get", "annotations/{annotation}/picture", None, None),
    ("get", "images/{image}/proposals/picture", None, None),
    ("post", "annotations/{annotation}/patches", {"writes": []}, None),
    ("get", "annotations/{annotation}/regions/{region}", None, None),
    ("put", "annotations/{annotation}/regions/{region}", "region", None),
    ("delete", "annotations/{annotation}/regions/{region}", None, None),
    ("post", "annotations/{annotation}/submit", {"revision": 1}, None),
    ("post", "annotations/{annotation}/approve", verdict(), "reviewer"),
    ("post", "annotations/{annotation}/send_back", verdict(), "reviewer"),
    ("get", "annotations/{annotation}/comments", None, None),
    ("post", "annotations/{annotation}/comments", {"text": "Look"}, None),
    ("patch", "comments/{comment}", {"resolved": True}, None),
    ("get", "projects/{project}/releases", None, "reviewer"),
    ("post", "projects/{project}/releases", {"name": "v1"}, "manager"),
    ("get", "releases/{release}", None, "reviewer"),
    ("patch", "releases/{release}", {"name": "v1"}, "manager"),
    ("delete", "releases/{release}", None, "owner"),
    ("get", "releases/{release}/diff?against={release}", None, "reviewer"),
    ("get", "releases/{release}/images/1/picture?against={release}", None, "reviewer"),
]
RANKS = ["annotator", "reviewer", "manager", "owner"]


@pytest.fixture
def places(project, image, make_annotation, teammate, owner) -> dict[str, Any]:
    """The ids of one of each; the annotation is the teammate's."""
    annotation = make_annotation(image, teammate, regions=1)
    region = annotation.regions.get()
    comment = Comment.objects.create(annotation=annotation, author=teammate, text="Hm")
    return {
        "project": project.pk,
        "category": project.categories.first().pk,
        "member": Membership.objects.get(user=teammate).pk,
        "owner": Membership.objects.get(user=owner).pk,
        "image": image.pk,
        "annotation": annotation.pk,
        "region": region.uuid,
        "comment": comment.pk,
        "release": releases.make_release(project, Rule("all"), owner).pk,
    }


def send(client: APIClient, method: str, path: str, body: Any, places: dict[str, Any]) -> Any:
    headers = {"If-Match": '"1"'} if "/regions/" in path and method != "get" else {}
    if body == "region":
        body = {"category": Category.objects.earliest("pk").pk, "polygons": [[[0, 0, 4, 0, 4, 4]]]}
    url = "/api/" + path.format(**places)
    return getattr(client, method)(url, body, format="json", headers=headers)


@pytest.mark.parametrize(("method", "path", "body", "least"), ROUTES)
def test_anonymous_gets_401(method, path, body, least, places, client_of) -> None:
    reply = send(client_of(None), method, path, body, places)
    assert (reply.status_code, reply.json()["code"]) == (401, "not_logged_in")


@pytest.mark.parametrize(("method", "path", "body", "least"), ROUTES)
def test_to_a_stranger_nothing_exists(
    method, path, body, least, places, stranger, client_of
) -> None:
    reply = send(client_of(stranger), method, path, body, places)
    nowhere = dict.fromkeys(places, MISSING) | {"region": uuid.uuid4()}
    missing = send(client_of(stranger), method, path, body, nowhere)
    assert reply.status_code == missing.status_code == 404
    assert reply.json() == missing.json()


@pytest.mark.parametrize(("method", "path", "body", "least"), [r for r in ROUTES if r[3]])
def test_too_low_a_role_gets_403_and_the_right_one_does_not(
    method, path, body, least, places, owner, manager, reviewer, teammate, client_of
) -> None:
    User.objects.create(username="new")
    people = dict(zip(RANKS, [teammate, reviewer, manager, owner], strict=True))
    for role in RANKS[: RANKS.index(least)]:
        reply = send(client_of(people[role]), method, path, body, places)
        assert (reply.status_code, reply.json()["code"]) == (403, "forbidden"), role
    reply = send(client_of(people[least]), method, path, body, places)
    assert reply.status_code not in (401, 403, 404)


@pytest.mark.parametrize(("method", "path", "body", "least"), [r for r in ROUTES if not r[3]])
def test_every_member_may_do_the_rest(
    method, path, body, least, places, teammate, client_of
) -> None:
    reply = send(client_of(teammate), method, path, body, places)
    assert reply.status_code in (200, 201, 204), reply.json()


def test_a_member_who_was_removed_is_out_at_the_next_request(
    project, places, owner, teammate, client_of
) -> None:
    client = client_of(teammate)
    assert client.get(f"/api/projects/{project.pk}").status_code == 200
    assert client_of(owner).delete(f"/api/members/{places['member']}").status_code == 204
    for path in ("projects/{project}", "images/{image}/workspace", "annotations/{annotation}"):
        assert send(client, "get", path, None, places).status_code == 404
    patch = send(client, "post", "annotations/{annotation}/patches", {"writes": []}, places)
    assert patch.status_code == 404


def test_a_colleagues_annotation_is_for_reviewers_only(
    project, image, make_annotation, reviewer, teammate, client_of
) -> None:
    other = User.objects.create(username="other")
    Membership.objects.create(project=project, user=other, role="annotator")
    annotation = make_annotation(image, teammate)
    url = f"/api/annotations/{annotation.pk}"
    assert client_of(other).get(url).status_code == 404
    assert client_of(reviewer).get(url).status_code == 200
    listed = client_of(other).get(f"/api/projects/{project.pk}/annotations").json()
    assert listed == {"results": [], "next": None}
    opened = client_of(other).get(f"/api/images/{image.pk}/workspace").json()
    assert opened["annotation"] is None
    workspace = f"/api/images/{image.pk}/workspace?annotation={annotation.pk}"
    assert client_of(other).get(workspace).status_code == 404


def test_a_revoked_token_is_refused_at_the_next_request(teammate) -> None:
    token, secret = AuthToken.objects.create(teammate)
    client = APIClient(headers={"Authorization": f"Token {secret}"})
    assert client.get("/api/me").json()["username"] == "teammate"
    assert client.delete(f"/api/tokens/{token.token_key}").status_code == 204
    assert client.get("/api/me").status_code == 401


def test_one_cannot_revoke_the_token_of_another(teammate, owner, client_of) -> None:
    token, _ = AuthToken.objects.create(teammate)
    assert client_of(owner).delete(f"/api/tokens/{token.token_key}").status_code == 404
    assert AuthToken.objects.filter(user=teammate).exists()


def test_anonymous_sees_nothing_even_of_a_project_without_members(
    project, image, teammate, make_annotation, make_prediction
) -> None:
    annotation = make_annotation(image, teammate)
    Comment.objects.create(annotation=annotation, author=teammate, text="Hm")
    make_prediction(image)
    Membership.objects.all().delete()
    for model in (Project, Category, Image, Annotation, Comment, Prediction, Job):
        assert not model.objects.visible_to(AnonymousUser()).exists(), model
