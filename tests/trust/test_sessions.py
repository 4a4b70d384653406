"""Cookies, and what a session lets somebody do who has it for a moment."""

import csv
import io

import pytest
from django.conf import settings
from django.test import Client

from annotations.api.quality import as_csv
from annotations.models import User
from annotations.selectors.quality import Column, Table
from annotations.services import logins
from annotations.services.people import create_token
from tests.pages.conftest import browse
from tests.trust.everybody import QUICK

__all__ = ["browse"]

PASSWORD = "open sesame"


@pytest.fixture
def anna(db, settings) -> User:
    settings.PASSWORD_HASHERS = [QUICK]
    return User.objects.create_user("anna", password=PASSWORD)


def log_in(client: Client, **more: str) -> str:
    """Where it leads."""
    data = {"username": "anna", "password": PASSWORD, **more}
    reply = client.post("/login", data)
    assert reply.status_code == 302
    return reply["Location"]


def test_a_session_that_somebody_planted_is_not_the_one_after_logging_in(anna, client):
    client.get("/login")
    session = client.session
    session["planted"] = "yes"
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before
    log_in(client)
    assert client.cookies["sessionid"].value != before
    stolen = Client()
    stolen.cookies["sessionid"] = before
    assert stolen.get("/api/me").status_code == 401


def test_scripts_and_other_sites_get_no_session(anna, client):
    log_in(client)
    cookie = client.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert client.cookies["csrftoken"]["samesite"] == "Lax"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_logging_in_leads_to_no_other_site(target, anna, client):
    assert log_in(client, next=target) == settings.LOGIN_REDIRECT_URL
    assert client.get("/login", {"next": target})["Location"] == settings.LOGIN_REDIRECT_URL


def test_logging_in_leads_where_one_wanted_to_go(anna, client):
    assert log_in(client, next="/models") == "/models"


def test_the_old_password_is_not_guessed_in_a_session_left_open(anna, browse, monkeypatch):
    monkeypatch.setattr(logins, "PER_NAME", 3)
    client = browse(anna)
    new = {"new_password1": "correct horse battery", "new_password2": "correct horse battery"}
    guesses = [client.post("/account", {"old_password": f"{n}", **new}) for n in range(4)]
    assert [reply.status_code for reply in guesses] == [400, 400, 400, 302]
    assert client.post("/account", {"old_password": PASSWORD, **new}).status_code == 302
    anna.refresh_from_db()
    assert anna.check_password(PASSWORD)


def test_no_cell_of_a_csv_file_is_a_formula(project, owner, browse):
    User.objects.filter(pk=owner.pk).update(username="=cmd|' /C calc'!A0")
    owner.refresh_from_db()
    create_token(owner)
    audit = browse(owner).get(f"/projects/{project.pk}/audit?format=csv").getvalue()
    columns = [Column("category", "Category"), Column("regions", "Regions")]
    report = as_csv(Table("x", "X", columns, [{"category": "@SUM(A1)", "regions": -1}])).content
    cells = [
        cell
        for file in (audit, report)
        for row in csv.reader(io.StringIO(file.decode()))
        for cell in row
    ]
    assert {"'=cmd|' /C calc'!A0", "'@SUM(A1)", "-1"} <= set(cells)
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@")]
