"""Who may open which page and do what; and that looking changes nothing."""

import pytest
from django.urls import reverse

from annotations.models import Job, Membership, User
from annotations.selectors.exports import Rule
from annotations.services import jobs, releases
from tests.pages.routes import ACTIONS, PAGES, RANK
from tests.rows import rows

WHO = [*RANK, "stranger", "anonymous"]


@pytest.fixture
def things(project, make_image, make_annotation, owner, teammate, reviewer):
    """What the addresses of pages are made of."""
    project.name = "Street"
    project.save()
    image = make_image(project)
    make_annotation(image, teammate, status="submitted", regions=2)
    first, last = project.categories.all()
    last.archived_at = image.created_at
    last.save()
    job = jobs.enqueue(project=project, kind="export", user=owner, image_ids=[image.pk])
    failed = jobs.enqueue(project=project, kind="export", user=owner)
    preview = jobs.enqueue(project=project, kind="prelabel", user=owner, params={"preview": True})
    Job.objects.filter(pk=failed.pk).update(state="failed")
    release = releases.make_release(project, Rule("submitted"), owner)
    colleague = User.objects.create(username="colleague")
    other = Membership.objects.create(project=project, user=colleague, role="annotator")
    return {
        "project": project.pk,
        "image": image.pk,
        "category": first.pk,
        "archived": last.pk,
        "job": job.pk,
        "release": release.pk,
        "failed": failed.pk,
        "preview": preview.pk,
        "member": project.memberships.get(user=teammate).pk,
        "other": other.pk,
    }


def expected(who: str, least: str, good: int) -> int:
    if who == "anonymous":
        return 302
    if who == "stranger":
        return 404
    return good if RANK.index(who) >= RANK.index(least) else 403


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("route", PAGES)
def test_pages(route, who, things, people, browse):
    key, least = PAGES[route]
    before = rows()
    response = browse(people[who]).get(reverse(route, args=[things[key]]))
    if route in ("pages:job", "models:preview") and who in RANK and who not in ("manager", "owner"):
        assert response.status_code == 404  # jobs of others do not exist for them
    else:
        assert response.status_code == expected(who, least, 200)
    if who == "anonymous":
        assert response["Location"].startswith("/login?next=")
    assert rows() == before


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: a.route)
def test_actions(action, who, things, people, browse):
    data = {k: things["image"] if v == "IMAGE" else v for k, v in action.data.items()}
    address = reverse(action.route, args=[things[name] for name in action.args])
    before = rows()
    response = browse(people[who]).post(address, data)
    good = expected(who, action.least, 302)
    if action.args[0] in ("job", "failed") and good == 403:
        good = 404
    assert response.status_code == good
    allowed = who in RANK and good == 302
    unchanging = ("pages:restore_project", "pages:move_category")
    if action.route not in unchanging:
        assert (rows() != before) == allowed


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: a.route)
def test_actions_need_post(action, things, owner, browse):
    address = reverse(action.route, args=[things[name] for name in action.args])
    before = rows()
    response = browse(owner).get(address)
    assert response.status_code == (200 if action.route in PAGES else 405)
    assert rows() == before


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: a.route)
def test_forged_posts_are_refused(action, things, owner, browse):
    address = reverse(action.route, args=[things[name] for name in action.args])
    before = rows()
    assert browse(owner, enforce_csrf_checks=True).post(address, action.data).status_code == 403
    assert rows() == before


@pytest.mark.parametrize("address", ["/", "/projects/new", "/models", "/account"])
def test_pages_of_everybody(address, people, browse, db):
    assert browse(people["stranger"]).get(address).status_code == 200
    assert browse(None).get(address).status_code == 302


def test_outsider_and_nonexistent_look_alike(things, stranger, browse):
    client = browse(stranger)
    there = client.get(f"/projects/{things['project']}/settings")
    nowhere = client.get("/projects/987654/settings")
    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content


def test_projects_of_others_are_not_listed(project, owner, stranger, browse):
    assert project.name in browse(owner).get("/").content.decode()
    assert project.name not in browse(stranger).get("/").content.decode()


def test_annotators_see_the_annotation_of_nobody_else(
    things, teammate, reviewer, project, make_image, make_annotation, browse
):
    image = make_image(project)
    theirs = make_annotation(image, reviewer)
    address = f"/images/{image.pk}/edit?annotation={theirs.pk}"
    assert browse(reviewer).get(address).status_code == 200
    assert browse(teammate).get(address).status_code == 404


def test_things_of_another_project_do_not_exist_here(things, make_project, owner, browse):
    other = make_project()
    address = reverse("pages:archive_category", args=[other.pk, things["category"]])
    assert browse(owner).post(address).status_code == 404


def test_images_of_another_project_are_not_deleted(things, make_project, make_image, owner, browse):
    other = make_project()
    image = make_image(other)
    address = reverse("pages:delete_images", args=[things["project"]])
    assert browse(owner).post(address, {"images": image.pk}).status_code == 404
    assert other.images.count() == 1


def test_a_removed_member_is_out_at_once(things, project, teammate, browse):
    client = browse(teammate)
    assert client.get(f"/projects/{project.pk}").status_code == 200
    project.memberships.get(user=teammate).delete()
    assert client.get(f"/projects/{project.pk}").status_code == 404
