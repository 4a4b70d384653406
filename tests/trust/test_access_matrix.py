"""Every route × method × everybody, from the URL configuration and `access_table`."""

import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from knox.models import AuthToken

from annotations.models import Comment, Job, Membership, User
from annotations.selectors.exports import Rule
from annotations.services import jobs, releases
from annotations.services.files import tile_folder
from inference.models import ModelVersion
from tests.ingest.samples import png
from tests.trust.access_table import API, PAGES, ROWS, WHO, Row, expected

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
UNSAFE = [row for row in ROWS if row.method != "GET"]
MISSING = 9_000_000
COCO = {
    "images": [{"id": 1, "file_name": "0.png", "width": 120, "height": 90}],
    "annotations": [],
    "categories": [],
}


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    """Every route of the URL configuration, but for the one that answers 404 to all others."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, before + str(pattern.pattern))
        elif isinstance(pattern, URLPattern) and str(pattern.pattern) != "^api/":
            yield before + str(pattern.pattern)


def route_of(row: Row) -> str:
    address = row.path.partition("?")[0].replace("{region}", str(uuid.uuid4()))
    for name in ("token", "uuid"):
        address = address.replace("{" + name + "}", "word")
    while "{" in address:
        address = address[: address.index("{")] + "1" + address[address.index("}") + 1 :]
    return resolve(address).route


class TestTheTable:
    def test_has_every_route(self):
        assert sorted(set(routes())) == sorted({route_of(row) for row in ROWS})

    def test_has_every_method(self, things, people):
        """What has no row is no method of the route: its owner gets 405."""
        client = browser(people["owner"])
        named = {(row.method, route_of(row)) for row in ROWS}
        addresses = {route_of(row): row for row in ROWS}
        for (route, row), method in itertools.product(addresses.items(), METHODS):
            if (method, route) not in named:
                reply = send(client, Row(method, row.path, row.least), things)
                assert reply.status_code == 405, (method, route)


@pytest.fixture
def people(
    owner, manager, reviewer, teammate, stranger, project, settings
) -> dict[str, User | None]:
    """Everybody in WHO; `removed` is a manager until the test takes the membership away."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    stranger.set_password("open sesame")
    stranger.save()
    removed = User.objects.create(username="removed")
    Membership.objects.create(project=project, user=removed, role="manager")
    deactivated = User.objects.create(username="deactivated")
    Membership.objects.create(project=project, user=deactivated, role="manager")
    return {
        "owner": owner,
        "manager": manager,
        "reviewer": reviewer,
        "annotator": teammate,
        "stranger": stranger,
        "removed": removed,
        "deactivated": deactivated,
        "anonymous": None,
    }


@pytest.fixture
def things(people, project, store_image, make_image, make_annotation) -> dict[str, Any]:
    """One of everything, by the names that addresses and bodies hold in braces."""
    project.name = "Street"
    project.save()
    image = store_image(project)
    image.file.values, image.file.levels = image.file.thumbnail, 1
    image.file.save()
    default_storage.save(f"{tile_folder(image.file.sha256)}/0/0_0.jpg", ContentFile(b"tile"))
    owner, annotator = people["owner"], people["annotator"]
    colleague = User.objects.create(username="colleague")
    membership = Membership.objects.create(project=project, user=colleague, role="annotator")
    annotation = make_annotation(image, annotator, regions=1)
    submitted = make_annotation(make_image(project), annotator, status="submitted", regions=1)
    approved = make_annotation(make_image(project), annotator, status="approved", regions=1)
    first, last = project.categories.all()
    type(last).objects.filter(pk=last.pk).update(archived_at=project.created_at)
    comment = Comment.objects.create(annotation=annotation, author=owner, text="Hm")
    job = jobs.enqueue(project=project, kind="prelabel", user=owner, image_ids=[image.pk])
    failed = jobs.enqueue(project=project, kind="prelabel", user=owner, image_ids=[image.pk])
    Job.objects.filter(pk=failed.pk).update(state="failed")
    file = default_storage.save("exports/one.zip", ContentFile(b"PK"))
    exported = jobs.enqueue(project=project, kind="export", user=owner)
    before, release = (
        releases.make_release(project, Rule(status), owner) for status in ("all", "submitted")
    )
    result = {"file": file, "name": "one.zip", "bytes": 2}
    Job.objects.filter(pk=exported.pk).update(state="done", result=result)
    return {
        "project": project.pk,
        "image": image.pk,
        "category": first.pk,
        "retired": last.pk,
        "owner": Membership.objects.get(project=project, user=owner).pk,
        "colleague": membership.pk,
        "annotation": annotation.pk,
        "theirs": make_annotation(image, colleague, regions=1).pk,
        "submitted": submitted.pk,
        "approved": approved.pk,
        "region": annotation.regions.get().uuid,
        "comment": comment.pk,
        "job": job.pk,
        "failed": failed.pk,
        "exported": exported.pk,
        "before": before.pk,
        "release": release.pk,
        "model": ModelVersion.objects.get(name="classic").pk,
        "token": AuthToken.objects.create(annotator)[0].token_key,
        "uuid": uuid.uuid4(),
    }


def browser(user: User | None, **options: Any) -> Client:
    client = Client(**options)
    if user is not None:
        client.force_login(user)
    return client


def filled(value: Any, things: dict[str, Any]) -> Any:
    """A body with the things in place of their names; numbers stay numbers."""
    if isinstance(value, dict):
        return {key: filled(item, things) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, things) for item in value]
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    found = things[value.strip("{}")]
    return found if isinstance(found, int) else str(found)


def send(client: Client, row: Row, things: dict[str, Any]) -> Any:
    address = row.path.format(**things)
    body = filled(row.body, things)
    if isinstance(body, dict) and "FILE" in body.values():
        picture = row.path.endswith(("images", "upload"))
        data = png(seed=5) if picture else json.dumps(COCO).encode()
        body = {k: SimpleUploadedFile("a.bin", data) if v == "FILE" else v for k, v in body.items()}
    elif row.path.startswith("/api/"):
        text = "" if body is None else json.dumps(body)
        kind = "application/json"
        return client.generic(row.method, address, text, kind, headers=row.headers)
    if row.method == "POST":
        return client.post(address, body or {})
    return client.generic(row.method, address)


def answers(row: Row, people, things, everything) -> dict[str, int]:
    """What each of WHO gets, each time from the same state; a refusal must not change it."""
    found = {}
    state = everything()
    for who in WHO:
        client = browser(people[who])
        with transaction.atomic():
            point = transaction.savepoint()
            if who == "removed":
                assert client.get(f"/api/projects/{things['project']}").status_code == 200
                Membership.objects.filter(user=people[who]).delete()
            elif who == "deactivated":
                assert client.get("/api/me").status_code == 200
                User.objects.filter(pk=people[who].pk).update(is_active=False)
            before = everything() if who in ("removed", "deactivated") else state
            reply = send(client, row, things)
            found[who] = reply.status_code
            if row.method == "GET" or reply.status_code >= 400:
                assert everything() == before, f"{who}: {row} changed something"
            if expected(row, who) == 302 and expected(row, "anonymous") == 302:
                to_login = reply.headers.get("Location", "").startswith("/login?next=")
                assert to_login == (who in ("anonymous", "deactivated")) or row.least == "anybody"
            transaction.savepoint_rollback(point)
    return found


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_may(row, people, things, everything):
    assert answers(row, people, things, everything) == {who: expected(row, who) for who in WHO}


@pytest.mark.parametrize("row", [row for row in ROWS if expected(row, "stranger") == 404], ids=str)
def test_what_one_may_not_see_looks_like_what_does_not_exist(row, people, things):
    client = browser(people["stranger"])
    nowhere = dict.fromkeys(things, MISSING) | {"region": uuid.uuid4(), "token": "0123abcd"}
    there, missing = send(client, row, things), send(client, row, nowhere)
    assert there.status_code == missing.status_code == 404
    assert there.content == missing.content
    assert dict(there.headers) == dict(missing.headers)


@pytest.mark.parametrize("row", [row for row in API if row.least != "anybody"], ids=str)
def test_a_revoked_token_is_out_at_the_next_request(row, people, things, everything):
    token, secret = AuthToken.objects.create(people["owner"])
    client = Client(headers={"Authorization": f"Token {secret}"})
    assert client.get("/api/me").status_code == 200
    token.delete()
    before = everything()
    assert send(client, row, things).status_code == 401
    assert everything() == before


@pytest.mark.parametrize("row", UNSAFE, ids=str)
def test_a_forged_request_is_refused(row, people, things, everything):
    client = browser(people["owner"], enforce_csrf_checks=True)
    before = everything()
    assert send(client, row, things).status_code == 403
    assert everything() == before


def test_pages_do_not_take_tokens(people, things):
    """A token is for scripts: with it alone, no page opens."""
    _, secret = AuthToken.objects.create(people["owner"])
    client = Client(headers={"Authorization": f"Token {secret}"})
    for row in PAGES:
        if row.method == "GET" and row.least != "anybody":
            assert send(client, row, things).status_code == 302, row
