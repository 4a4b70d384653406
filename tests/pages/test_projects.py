"""The projects, a new one, and the grid."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotations.models import Project
from annotations.pages import projects as pages

NEW = {"name": "Street", "kind": "panoptic", "categories": "car\nroad stuff", "guidelines": "Look."}


def test_a_new_project(owner, browse):
    response = browse(owner).post("/projects/new", NEW)
    project = Project.objects.get()
    assert response["Location"] == f"/projects/{project.pk}/upload"
    assert (project.name, project.kind, project.guidelines) == ("Street", "panoptic", "Look.")
    assert project.memberships.get().role == "owner"
    found = project.categories.values_list("name", "is_thing", "hotkey", "export_id")
    assert list(found) == [("car", True, "1", 1), ("road", False, "2", 2)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "   "}, "This field is required."),
        ({"kind": "video"}, "Select a valid choice"),
        ({"categories": "car\nCAR"}, "there twice"),
        ({"guidelines": "x" * 50_001}, "at most 50000"),
    ],
)
def test_a_refused_project_says_why_and_keeps_what_was_typed(change, words, owner, browse):
    response = browse(owner).post("/projects/new", NEW | change)
    assert response.status_code == 400
    html = response.content.decode()
    assert words in html
    assert "Look." in html or "guidelines" in change
    assert not Project.objects.exists()


def test_an_archived_project_is_listed_apart(project, owner, browse):
    client = browse(owner)
    client.post(f"/projects/{project.pk}/archive")
    assert project.name not in client.get("/").content.decode().split('id="toasts"')[0]
    assert "1 archived" in client.get("/").content.decode()
    assert project.name in client.get("/?archived=1").content.decode()
    client.post(f"/projects/{project.pk}/restore")
    assert project.name in client.get("/").content.decode()


def test_the_list_needs_few_queries_however_many_projects(make_project, make_image, owner, browse):
    client = browse(owner)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            client.get("/")
        return len(found)

    make_image(make_project())
    client.get("/")
    first = queries()
    for _ in range(5):
        make_image(make_project())
    assert queries() == first <= 6


def cards(html: str) -> int:
    return html.count('class="thumb"')


@pytest.mark.parametrize(("who", "words"), [("owner", "1 to review"), ("teammate", "1 in review")])
def test_the_list_says_what_waits(who, words, project, make_image, request, browse):
    make_image(project, status="submitted")
    client = browse(request.getfixturevalue(who))
    assert words in client.get("/").content.decode()


def test_the_grid_pages_by_cursor(project, make_image, owner, browse, monkeypatch):
    monkeypatch.setattr(pages, "CARDS", 2)
    made = [make_image(project) for _ in range(5)]
    client, address, seen = browse(owner), f"/projects/{project.pk}", []
    for expected in (2, 2, 1):
        html = client.get(address, headers={"HX-Request": "true"}).content.decode()
        assert cards(html) == expected
        seen += [image.pk for image in made if f"/images/{image.pk}/edit" in html]
        more = html.split('hx-get="')[1].split('"')[0] if "hx-get" in html else ""
        address = more.replace("&amp;", "&")
    assert seen == [image.pk for image in made]
    assert address == ""


def test_the_grid_filters(project, make_image, make_annotation, owner, teammate, browse):
    street = make_image(project, name="Street 1.jpg", status="submitted")
    make_image(project, name="field.jpg")
    annotation = make_annotation(street, teammate, status="submitted", regions=1)
    labeled = annotation.regions.get().category_id
    client, address = browse(owner), f"/projects/{project.pk}"
    for query, number in [
        ("", 2),
        ("status=submitted", 1),
        ("status=approved", 0),
        ("status=nonsense", 2),
        ("search=street", 1),
        ("search=%25", 0),
        ("search=%00", 2),
        ("annotator=teammate", 1),
        ("annotator=owner", 0),
        (f"category={labeled}", 1),
        (f"category={labeled}&status=new", 0),
        ("category=abc", 2),
        ("category=99999999999999999999999", 2),
        ("after=abc", 2),
        ("after=99999999999999999999999", 2),
    ]:
        assert cards(client.get(f"{address}?{query}").content.decode()) == number, query


def test_the_grid_shows_labels(
    project, make_image, make_annotation, make_prediction, owner, teammate, browse
):
    new, proposed, seen = (make_image(project) for _ in range(3))
    make_prediction(proposed)
    make_prediction(seen)
    approved = make_annotation(seen, teammate, "approved")
    make_annotation(seen, owner)
    client = browse(owner)
    plain = client.get(f"/projects/{project.pk}").content.decode()
    assert f'src="/api/images/{seen.pk}/thumbnail"' in plain
    html = client.get(f"/projects/{project.pk}?labels=1").content.decode()
    assert f'src="/api/annotations/{approved.pk}/picture"' in html
    assert f'src="/api/images/{new.pk}/thumbnail"' in html
    assert f'src="/api/images/{proposed.pk}/proposals/picture"' in html


def test_the_grid_has_a_query_budget(project, make_image, owner, browse):
    client, address = browse(owner), f"/projects/{project.pk}"
    for _ in range(30):
        make_image(project)
    client.get(address)
    with CaptureQueriesContext(connection) as found:
        client.get(address)
    assert len(found) <= 18
    with CaptureQueriesContext(connection) as found:
        client.get(address, headers={"HX-Request": "true"})
    assert len(found) <= 8


def test_where_labeling_starts(project, make_image, make_annotation, reviewer, teammate, browse):
    client = browse(teammate)
    start = f"/projects/{project.pk}/next"
    assert client.get(start)["Location"] == f"/projects/{project.pk}"
    image = make_image(project)
    assert client.get(start)["Location"] == f"/images/{image.pk}/edit"
    annotation = make_annotation(image, teammate, status="submitted")
    review = browse(reviewer).get(f"{start}?mode=review")["Location"]
    assert review == f"/images/{image.pk}/edit?annotation={annotation.pk}&mode=review"
    assert client.get(f"{start}?mode=review").status_code == 403


def test_many_images_are_deleted_at_once(project, make_image, owner, browse):
    made = [make_image(project) for _ in range(3)]
    address = reverse("pages:delete_images", args=[project.pk])
    response = browse(owner).post(address, {"images": f"{made[0].pk},{made[2].pk}"}, follow=True)
    assert "2 images were deleted." in response.content.decode()
    assert list(project.images.all()) == [made[1]]


def test_a_project_is_deleted_only_by_its_name(project, owner, browse):
    client, address = browse(owner), f"/projects/{project.pk}/delete"
    assert "does not match" in client.post(address, {"name": "?"}, follow=True).content.decode()
    assert Project.objects.count() == 1
    client.post(address, {"name": project.name})
    assert Project.objects.count() == 0
