"""Projects, categories, members and lists over HTTP."""

from typing import Any

import pytest

from annotations.models import Category, Comment, Membership, Project, User


def test_a_project_from_beginning_to_end(stranger, client_of) -> None:
    client = client_of(stranger)
    body = {"name": "Streets", "kind": "panoptic", "guidelines": "All of them.\n"}
    made = client.post("/api/projects", body, format="json")
    assert made.status_code == 201
    project = made.json()
    assert {key: project[key] for key in body} == body
    assert (project["role"], project["archived"]) == ("owner", False)
    assert set(project["counts"].values()) == {0}
    url = f"/api/projects/{project['id']}"
    assert client.get(url).json() == project
    changed = client.patch(url, {"name": "Roads", "archived": True}, format="json").json()
    assert (changed["name"], changed["archived"]) == ("Roads", True)
    assert client.get("/api/projects").json()["results"] == []
    assert client.get("/api/projects?archived=true").json()["results"] == [changed]
    assert client.patch(url, {"kind": "instance"}, format="json").status_code == 400
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404


def test_one_lists_the_own_projects_with_role_and_counts(
    make_project, make_image, manager, stranger, client_of
) -> None:
    older, newer = make_project(), make_project()
    for status in ("new", "new", "approved"):
        make_image(older, status=status)
    rows = client_of(manager).get("/api/projects").json()["results"]
    assert [row["id"] for row in rows] == [newer.pk, older.pk]
    assert {row["role"] for row in rows} == {"manager"}
    assert rows[1]["counts"] == {
        "new": 2,
        "in_progress": 0,
        "submitted": 0,
        "sent_back": 0,
        "approved": 1,
    }
    assert client_of(stranger).get("/api/projects").json() == {"results": [], "next": None}


def test_paging_shows_each_row_once(make_project, owner, client_of) -> None:
    expected = [make_project().pk for _ in range(5)][::-1]
    client, seen, cursor = client_of(owner), [], None
    while True:
        query = f"?limit=2&after={cursor}" if cursor else "?limit=2"
        reply = client.get(f"/api/projects{query}").json()
        seen += [row["id"] for row in reply["results"]]
        cursor = reply["next"]
        if cursor is None:
            break
    assert seen == expected


def test_categories_over_http(project, manager, client_of) -> None:
    client = client_of(manager)
    url = f"/api/projects/{project.pk}/categories"
    made = client.post(url, {"name": "tree", "is_thing": False}, format="json")
    assert made.status_code == 201
    assert made.json() == {
        "id": made.json()["id"],
        "name": "tree",
        "supercategory": "",
        "color": "#009e73",
        "hotkey": "3",
        "is_thing": False,
        "order": 2,
        "attributes": [],
        "archived": False,
    }
    one = f"/api/categories/{made.json()['id']}"
    assert client.patch(one, {"color": "#ABCDEF"}, format="json").json()["color"] == "#abcdef"
    assert client.delete(one).json()["archived"] is True
    assert client.patch(one, {"archived": False}, format="json").json()["archived"] is False
    taken = client.post(url, {"name": "TREE"}, format="json")
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    for bad in ({"color": "red"}, {"hotkey": "12"}, {"export_id": 1}, {"order": -1}):
        assert client.patch(one, bad, format="json").status_code == 400
    assert Category.objects.get(name="tree").export_id == 3


def test_members_over_http(project, owner, stranger, client_of) -> None:
    client = client_of(owner)
    url = f"/api/projects/{project.pk}/members"
    made = client.post(url, {"username": "stranger", "role": "annotator"}, format="json")
    assert made.status_code == 201
    assert made.json()["user"] == {"id": stranger.pk, "username": "stranger"}
    one = f"/api/members/{made.json()['id']}"
    assert client.patch(one, {"role": "owner"}, format="json").json()["role"] == "owner"
    assert len(client.get(url).json()["results"]) == 5
    assert client.delete(one).status_code == 204
    assert client.patch(one, {"role": "owner"}, format="json").status_code == 404


def test_reviewing_over_http(image, teammate, reviewer, make_annotation, client_of) -> None:
    annotation = make_annotation(image, teammate, regions=1)
    url = f"/api/annotations/{annotation.pk}"
    post = {"format": "json"}
    mate, judge = client_of(teammate), client_of(reviewer)
    stale = mate.post(f"{url}/submit", {"revision": 0}, **post)
    assert (stale.status_code, stale.json()["revision"]) == (412, 1)
    assert mate.post(f"{url}/submit", {"revision": 1}, **post).json()["status"] == "submitted"
    back = {"revision": 1, "comment": "Wider"}
    assert judge.post(f"{url}/send_back", {"revision": 1}, **post).status_code == 400
    assert judge.post(f"{url}/send_back", back, **post).json()["status"] == "sent_back"
    remark = judge.post(f"{url}/comments", {"text": "Here", "x": 1, "y": 2}, **post).json()
    assert mate.get(f"{url}/comments").json()["results"] == [remark]
    done = mate.patch(f"/api/comments/{remark['id']}", {"resolved": True}, **post).json()
    assert done["resolved"] is True
    mate.post(f"{url}/submit", {"revision": 1}, **post)
    assert judge.post(f"{url}/approve", {"revision": 1}, **post).json()["status"] == "approved"
    assert judge.post(f"{url}/reopen", {"revision": 1}, **post).json()["status"] == "in_progress"


def test_annotations_are_filtered(
    project, make_image, teammate, reviewer, make_annotation, client_of
) -> None:
    first = make_annotation(make_image(project), teammate, status="submitted")
    make_annotation(make_image(project), teammate)
    own = make_annotation(make_image(project), reviewer)
    url = f"/api/projects/{project.pk}/annotations"

    def found(query: str) -> list[int]:
        return [row["id"] for row in client_of(reviewer).get(url + query).json()["results"]]

    assert len(found("")) == 3
    assert found("?status=submitted") == [first.pk]
    assert found("?annotator=reviewer") == [own.pk]
    assert found("?annotator=nobody") == []
    assert client_of(reviewer).get(f"{url}?status=lost").status_code == 400


@pytest.fixture
def many(make_project, make_image, make_annotation, owner, teammate) -> Project:
    """A project with 20 of each, beside 20 others."""
    projects = [make_project() for _ in range(20)]
    project = projects[0]
    for number in range(20):
        annotation = make_annotation(make_image(project), teammate, "submitted", regions=4)
        person = User.objects.create(username=f"person {number}")
        Membership.objects.create(project=project, user=person, role="annotator")
    Comment.objects.bulk_create(
        Comment(annotation=annotation, author=owner, text="Hm") for _ in range(20)
    )
    return project


@pytest.mark.parametrize(
    ("path", "budget"),
    [
        ("projects", 4),
        ("projects/{project}/categories", 6),
        ("projects/{project}/members", 6),
        ("projects/{project}/annotations", 6),
        ("annotations/{annotation}/comments", 5),
        ("annotations/{annotation}", 9),
        ("annotations/{annotation}/history", 5),
        ("tokens", 3),
        ("notifications", 3),
        ("teams", 3),
        ("projects/{project}/teams", 6),
        ("projects/{project}/webhooks", 6),
    ],
)
def test_lists_have_a_query_budget(
    many, owner, client_of, django_assert_max_num_queries, path, budget
) -> None:
    places: dict[str, Any] = {"project": many.pk, "annotation": many.annotations.last().pk}
    client = client_of(owner)
    with django_assert_max_num_queries(budget):
        reply = client.get("/api/" + path.format(**places))
    assert reply.status_code == 200
