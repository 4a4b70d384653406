"""Every route × method × everybody, from the URL configuration and `access_table`."""

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from knox.models import AuthToken

from annotations.models import Membership, User
from tests.trust.access_table import API, PAGES, ROWS, Row, expected, who_asks
from tests.trust.everybody import browser, send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
UNSAFE = [row for row in ROWS if row.method != "GET"]
MISSING = 9_000_000


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


def answers(row: Row, people, things, everything) -> dict[str, int]:
    """What each of WHO gets, each time from the same state; a refusal must not change it."""
    found = {}
    state = everything()
    for who in who_asks(row):
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
    assert answers(row, people, things, everything) == {
        who: expected(row, who) for who in who_asks(row)
    }


@pytest.mark.parametrize("row", [row for row in ROWS if expected(row, "stranger") == 404], ids=str)
def test_what_one_may_not_see_looks_like_what_does_not_exist(row, people, things):
    client = browser(people["stranger"])
    nowhere = dict.fromkeys(things, MISSING) | {"region": uuid.uuid4(), "token": "0123abcd"}
    there, missing = send(client, row, things), send(client, row, nowhere)
    assert there.status_code == missing.status_code == 404
    assert there.content == missing.content
    own = {"X-Request-ID"}  # a new one for every request
    assert headers_but(there, own) == headers_but(missing, own)


def headers_but(reply, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name not in names}


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
