"""Logging in and out, passwords, tokens."""

import pytest
from knox.models import AuthToken
from rest_framework.test import APIClient

from annotations.services import logins


@pytest.fixture
def person(owner):
    owner.set_password("an old password")
    owner.save()
    return owner


def test_login_and_logout(person, browse):
    client = browse(None)
    assert client.get("/models")["Location"] == "/login?next=/models"
    bad = client.post("/login", {"username": "owner", "password": "wrong"})
    assert "do not belong together" in bad.content.decode()
    good = client.post(
        "/login", {"username": "owner", "password": "an old password", "next": "/models"}
    )
    assert good["Location"] == "/models"
    assert client.get("/login").status_code == 302
    assert client.get("/logout").status_code == 405
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_passwords_cannot_be_guessed_fast(person, browse, monkeypatch):
    monkeypatch.setattr(logins, "PER_NAME", 2)
    client, good = browse(None), {"username": "owner", "password": "an old password"}
    for _ in range(2):
        client.post("/login", good | {"password": "wrong"})
    assert "Too many attempts" in client.post("/login", good).content.decode()
    assert client.post("/login", good | {"username": "other"}).status_code == 200
    assert client.get("/").status_code == 302


def test_login_leads_to_no_other_site(person, browse):
    data = {"username": "owner", "password": "an old password", "next": "https://evil.example/"}
    assert browse(None).post("/login", data)["Location"] == "/"


def test_the_password_is_changed(person, browse):
    client = browse(person)
    new = {"new_password1": "another one 123", "new_password2": "another one 123"}
    wrong = client.post("/account", {"old_password": "guess", **new})
    assert wrong.status_code == 400
    assert client.post("/account", {"old_password": "an old password", **new}).status_code == 302
    person.refresh_from_db()
    assert person.check_password("another one 123")
    assert client.get("/").status_code == 200  # still logged in


def test_a_token_is_shown_once_works_and_is_revoked(person, stranger, browse):
    client = browse(person)
    html = client.post("/account/tokens").content.decode()
    secret = html.split('data-copy="')[1].split('"')[0]
    assert secret not in client.get("/account").content.decode()
    script = APIClient(headers={"Authorization": f"Token {secret}"})
    assert script.get("/api/me").json()["username"] == "owner"
    key = AuthToken.objects.get().token_key
    assert key in client.get("/account").content.decode()
    assert browse(stranger).post(f"/account/tokens/{key}/revoke").status_code == 404
    assert client.post(f"/account/tokens/{key}/revoke").status_code == 302
    assert script.get("/api/me").status_code == 401


def test_pages_with_secrets_are_not_stored(person, browse):
    assert "no-store" in browse(person).post("/account/tokens")["Cache-Control"]
