"""Logging in and out, CSRF, tokens."""

from typing import Any

import pytest
from knox.models import AuthToken
from rest_framework.test import APIClient

from annotations.models import Project, User

PASSWORD = "correct horse battery"


@pytest.fixture
def person(db) -> User:
    return User.objects.create_user("anna", password=PASSWORD)


def browser() -> APIClient:
    return APIClient(enforce_csrf_checks=True)


def log_in(client: Any, password: str = PASSWORD) -> Any:
    """As a script does: the CSRF cookie comes with the 401 of `me`."""
    assert client.get("/api/me").status_code == 401
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value}
    body = {"username": "anna", "password": password}
    return client.post("/api/login", body, format="json", headers=headers)


def test_a_session_from_login_to_logout(person) -> None:
    client = browser()
    me = log_in(client).json()
    assert (me["id"], me["username"]) == (person.pk, "anna")
    assert client.get("/api/me").json()["username"] == "anna"
    reply = client.post("/api/logout", headers={"X-CSRFToken": me["csrf"]})
    assert reply.status_code == 204
    assert client.get("/api/me").status_code == 401


def test_a_wrong_password_and_an_unknown_name_look_the_same(person) -> None:
    wrong = log_in(browser(), "wrong")
    person.delete()
    unknown = log_in(browser())
    assert wrong.status_code == unknown.status_code == 400
    assert wrong.json() == unknown.json()


def test_a_person_who_was_deactivated_is_out(person) -> None:
    client = browser()
    log_in(client)
    _, secret = AuthToken.objects.create(person)
    person.is_active = False
    person.save()
    assert client.get("/api/me").status_code == 401
    token = APIClient(headers={"Authorization": f"Token {secret}"})
    assert token.get("/api/me").status_code == 401
    assert log_in(browser()).status_code == 400


def test_guessing_is_slowed_down(person) -> None:
    replies = [log_in(browser(), f"guess {number}").status_code for number in range(21)]
    assert replies == [400] * 20 + [429]


@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": "x" * 64}])
def test_a_forged_request_is_refused(person, headers) -> None:
    client = browser()
    login = client.post("/api/login", {"username": "anna", "password": PASSWORD}, format="json")
    assert (login.status_code, login.json()["code"]) == (403, "csrf")
    log_in(client)
    body = {"name": "a", "kind": "instance"}
    reply = client.post("/api/projects", body, format="json", headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (403, "csrf")
    assert not Project.objects.exists()


def test_a_request_from_another_site_is_refused(person) -> None:
    client = browser()
    headers = {"X-CSRFToken": log_in(client).json()["csrf"], "Origin": "https://evil.example"}
    body = {"name": "a", "kind": "instance"}
    reply = client.post("/api/projects", body, format="json", headers=headers)
    assert reply.status_code == 403


def test_a_token_is_shown_once_and_needs_no_csrf(person) -> None:
    client = browser()
    csrf = {"X-CSRFToken": log_in(client).json()["csrf"]}
    made = client.post("/api/tokens", headers=csrf)
    assert made.status_code == 201
    secret, key = made.json()["token"], made.json()["key"]
    assert secret.startswith(key)
    listed = client.get("/api/tokens")
    assert [row["key"] for row in listed.json()["results"]] == [key]
    assert secret not in listed.content.decode()
    script = APIClient(enforce_csrf_checks=True, headers={"Authorization": f"Token {secret}"})
    body = {"name": "a", "kind": "instance"}
    assert script.post("/api/projects", body, format="json").status_code == 201


@pytest.mark.parametrize("header", ["Token wrong", "Token", "Token a b", "Bearer x", "Basic eDp5"])
def test_wrong_tokens(db, header) -> None:
    reply = APIClient(headers={"Authorization": header}).get("/api/projects")
    assert (reply.status_code, reply.json()["code"]) == (401, "not_logged_in")
    assert reply["WWW-Authenticate"]
