"""What is named beside the address: things of other projects, and tokens that may do little.

Made from `access_table`, so that a new route is asked, too.
"""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve
from rest_framework import serializers

from annotations.models import User
from annotations.services.people import create_token
from tests.conftest import new_project
from tests.trust.access_table import API, ROWS, Row
from tests.trust.everybody import ROLES, browser, one_of_everything, send

MISSING = 9_000_000
READ = ("/api/notifications/read", "/notifications/read")
"""They pass over those of others, and say nothing of them."""
GLOBAL = {"uuid", "model", "learned", "open_team"}
"""Of the whole installation, or no thing at all."""
FILTERS = {"against": "before", "annotation": "theirs", "model": "trained"}
"""What a parameter names, where it is not called like that."""
ADMINISTERS = re.compile(
    r"/(tokens|members|teams|team_members|project_teams|people|invitations|webhooks|deliveries"
    r"|rules)(/|$)"
)
"""What only a token of the scope `admin` may change."""


@pytest.fixture
def foreign(people, things) -> dict[str, Any]:
    """One of everything in a project of which nobody in `people` knows."""
    others = {role: User.objects.create(username=f"other {role}") for role in ROLES}
    return one_of_everything(others, new_project(others), mark="-there")


def named(row: Row) -> Iterator[str]:
    """The things that a request names beside the one that its address is about."""
    path = re.findall(r"{(\w+)}", row.path)
    body = re.findall(r"{(\w+)}", json.dumps(row.body))
    yield from sorted({*path[1:], *body, *(path[:1] if path[1:] else ())} - GLOBAL)


def nothing(name: str) -> Any:
    """An id that nothing has."""
    return uuid.uuid4() if name == "region" else "0123abcd" if name == "token" else MISSING


MORE = [
    Row("POST", "/api/projects/{project}/exports", "manager", 202,
        {"format": "coco", "release": "{release}"}),
    Row("POST", "/api/projects/{project}/consensus", "manager", 202,
        {"images": ["{image}"], "least": 2}),
    Row("POST", "/api/annotations/{theirs}/comments", "manager", 201,
        {"text": "Look", "reply_to": "{comment}"}),
    Row("POST", "/api/projects/{project}/prelabel", "manager", 202, {"model": "{trained}"}),
    Row("POST", "/api/images/{image}/segment", "annotator", 200,
        {"model": "{trained}", "points": [{"x": 5, "y": 4, "positive": True}]}),
    Row("POST", "/api/images/{image}/embed", "annotator", 200, {"model": "{trained}"}),
    Row("GET", "/api/images/{image}/embedding?model={trained}", "annotator"),
    Row("GET", "/api/releases/{release}/diff?against={before}", "reviewer"),
]  # fmt: skip
"""What a request may name, and need not."""
NAMED = [(row, name) for row in [*ROWS, *MORE] for name in named(row)]
LISTS = [
    (row, field, given[0].strip("{}"))
    for row in [*ROWS, *MORE]
    for field, given in (row.body if isinstance(row.body, dict) else {}).items()
    if isinstance(given, list) and re.match("{", str(*given[:1])) and isinstance(given[0], str)
    if row.path not in READ
]


def test_what_a_request_names_is_looked_for_in_its_project(people, things, foreign, everything):
    """The owner of one project names things of another, in addresses and bodies."""
    client = browser(people["owner"])
    before = everything()
    assert len(NAMED) > 50
    for row, name in NAMED:
        there = send(client, row, {**things, name: foreign[name]})
        missing = send(client, row, {**things, name: nothing(name)})
        if name == "region":  # its UUID is a secret of those who see it
            assert there.status_code in (404, 409), row
            continue
        assert there.status_code >= 400 or row.path in READ, f"{row} took a {name}"
        assert there.status_code == missing.status_code, f"{row} tells that there is a {name}"
        if row in API:
            said, expected = there.json(), missing.json()
            assert shape(said) == shape(expected), f"{row} tells that there is a {name}"
    assert everything() == before


def test_a_list_with_one_of_another_project_is_refused_as_a_whole(
    people, things, foreign, everything
):
    client = browser(people["owner"])
    before = everything()
    assert {name for _, _, name in LISTS} == {"image", "approved"}
    for row, field, name in LISTS:
        mixed = replace(row, body={**row.body, field: [things[name], foreign[name]]})
        odd = replace(row, body={**row.body, field: [things[name], MISSING]})
        replies = [send(client, one, things) for one in (mixed, odd)]
        assert {reply.status_code for reply in replies} <= {400, 404}, row
        assert len({shape(reply.json()) for reply in replies}) == 1, row
    assert everything() == before


def shape(body: dict[str, Any]) -> str:
    return re.sub(r"[0-9]+", "#", json.dumps(body))


def test_a_filter_tells_nothing_of_other_projects(people, things, foreign):
    """`?category=` of another project and of none give the same."""
    client = browser(people["owner"])
    asked = 0
    for row in API:
        if row.method != "GET" or "?" in row.path:
            continue
        view: Any = resolve(row.path.format(**things)).func
        declared = getattr(view.view_class.get, "endpoint", None)  # the schema's own has none
        for name, field in declared.query().fields.items() if declared else ():
            thing = FILTERS.get(name, name)
            if isinstance(field, serializers.IntegerField) and thing in foreign:
                address = f"{row.path.format(**things)}?{name}="
                there, missing = (client.get(f"{address}{pk}") for pk in (foreign[thing], MISSING))
                assert there.status_code == missing.status_code, (row, name)
                assert there.content == missing.content, (row, name)
                asked += 1
    assert asked >= 5


def test_a_token_that_may_read_changes_nothing(people, things, everything):
    _, secret = create_token(people["owner"], scope="read")
    client = Client(headers={"Authorization": f"Token {secret}"})
    before = everything()
    for row in API:
        if row.method != "GET" and row.least != "anybody":
            assert send(client, row, things).status_code == 403, row
    assert everything() == before


def test_a_token_that_may_write_administers_nothing(people, things, everything):
    people["owner"].is_staff = True
    people["owner"].save()
    _, secret = create_token(people["owner"], scope="write")
    client = Client(headers={"Authorization": f"Token {secret}"})
    before = everything()
    rows = [row for row in API if row.method != "GET" and ADMINISTERS.search(row.path)]
    assert len(rows) > 20
    for row in rows:
        assert send(client, row, things).status_code == 403, row
    assert everything() == before
