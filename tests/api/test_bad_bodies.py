"""Bodies and parameters that no serializer should ever see: 4xx in plain words, never a 5xx."""

import json
from typing import Any

import pytest

from annotations.models import Project, User


@pytest.fixture
def client(owner, client_of) -> Any:
    return client_of(owner)


def post(client: Any, body: bytes | str, path: str = "/api/projects") -> Any:
    return client.generic("POST", path, body, content_type="application/json")


def check(reply: Any, status: int, code: str) -> dict[str, Any]:
    body = reply.json()
    assert (reply.status_code, body["code"]) == (status, code), body
    assert set(body) >= {"code", "detail", "field", "hint"}
    assert body["detail"]
    assert "/work" not in reply.content.decode()
    assert "Traceback" not in reply.content.decode()
    return body


DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "name=x",
        '{"name": "a", "kind": "instance", "name": "b"}',
        '{"name": NaN}',
        '{"name": -Infinity}',
        '{"name": 1e999}',
        '{"name": ' + "9" * 5000 + "}",
        '{"name": "\\u0000"}',
        '{"name": "\\ud800"}',
        '{"name": "\\udc00\\ud800"}',
        '{"\\u0000": 1}',
        '{"name": "\x00"}',
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        '{"name": ' + "[" * 70 + "]" * 70 + "}",
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        "\ufeff\ufeff{}",
    ],
    ids=range(19),
)
def test_what_is_not_strict_json_is_refused(client, body) -> None:
    reply = post(client, body)
    if body == "":
        check(reply, 400, "invalid")
    else:
        check(reply, 400, "invalid_json")
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    "name",
    ["\\ud83d\\ude00", "\\\\u0000", "[[[[{{{", '\\"[', "\U0001f600", "\\u00e9"],
)
def test_texts_that_only_look_suspicious_are_taken(client, name) -> None:
    reply = post(client, f'{{"name": "{name}", "kind": "instance"}}')
    assert reply.status_code == 201
    assert reply.json()["name"] == json.loads(f'"{name}"')


@pytest.mark.parametrize("body", ["[]", "3", "null", '"x"', "true", "[{}]"])
def test_a_body_that_is_no_object(client, body) -> None:
    check(post(client, body), 400, "invalid")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a", "kind": "instance", "owner": 1}, "owner"),
        ({"name": "a", "kind": "instance", "id": 1}, "id"),
        ({"name": "a", "kind": "video"}, "kind"),
        ({"name": "  ", "kind": "instance"}, "name"),
        ({"name": "n" * 201, "kind": "instance"}, "name"),
        ({"name": {}, "kind": "instance"}, "name"),
        ({"kind": "instance"}, "name"),
    ],
)
def test_the_field_is_named(client, body, field) -> None:
    assert check(post(client, json.dumps(body)), 400, "invalid")["field"] == field
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=x",
        "limit=1&limit=2",
        "after=-1",
        "after=99999999999999999999",
        "after=%00",
        "page=2",
        "_connector=OR",
        "owner__password__startswith=a",
        "archived=perhaps",
        "%ff=1",
    ],
)
def test_parameters_that_nobody_knows(client, query) -> None:
    check(client.get(f"/api/projects?{query}"), 400, "invalid")


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "projects/",
        "projects/0",
        "projects/x",
        "projects/1%0a",
        "projects/-1",
        f"projects/{10**40}",
        "tokens/%00",
        "annotations/1/regions/no-uuid",
        "images/1/workspace/",
    ],
)
def test_paths_that_are_none(client, path) -> None:
    check(client.get(f"/api/{path}"), 404, "not_found")


def test_methods_and_types_that_a_route_does_not_take(client) -> None:
    check(client.put("/api/projects", {}, format="json"), 405, "method_not_allowed")
    form = client.generic("POST", "/api/projects", "a=1", "application/x-www-form-urlencoded")
    check(form, 415, "unsupported_media_type")
    plain = client.generic("POST", "/api/projects", "{}", "text/plain")
    check(plain, 415, "unsupported_media_type")


def test_a_body_over_the_limit(client, settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = json.dumps({"name": "a", "kind": "instance", "guidelines": "x" * 2000})
    check(post(client, body), 413, "too_large")


def test_what_nobody_expected_is_a_500_without_details(client, monkeypatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the secret is /work/secret")

    monkeypatch.setattr("annotations.api.projects.list_projects", fail)
    reply = client.get("/api/projects")
    check(reply, 500, "server_error")
    assert b"secret" not in reply.content


def test_a_database_that_does_not_answer_is_a_503(client, monkeypatch) -> None:
    from django.db import OperationalError

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("annotations.api.projects.list_projects", fail)
    reply = client.get("/api/projects")
    check(reply, 503, "busy")
    assert reply["Retry-After"]


def test_texts_come_back_as_they_went_in(client) -> None:
    name = "<script>alert(1)</script> =cmd() \u202e \r\n ../"
    reply = client.post("/api/projects", {"name": name, "kind": "semantic"}, format="json")
    assert reply.json()["name"] == name
    assert User.objects.count() == 1
