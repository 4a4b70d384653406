"""Guessing is slow at every door, whatever the guesser says about itself."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache.backends.redis import RedisCache

from annotations.models import User
from annotations.services import logins


@pytest.fixture
def guess(client, db, monkeypatch):
    """`guess(name, address)` → whether the attempt was counted out, at the page."""
    monkeypatch.setattr(logins, "PER_NAME", 3)
    monkeypatch.setattr(logins, "PER_ADDRESS", 5)
    User.objects.create(username="anna")

    def once(name: str = "anna", address: str = "192.0.2.1", **headers: str) -> bool:
        data = {"username": name, "password": "guess"}
        reply = client.post("/login", data, REMOTE_ADDR=address, headers=headers)
        assert reply.status_code == 200
        return "Too many attempts" in reply.content.decode()

    return once


def test_the_page_counts_by_name_and_address(guess):
    assert [guess() for _ in range(4)] == [False] * 3 + [True]
    assert not guess(address="192.0.2.2")
    assert not guess("berta")


def test_many_names_from_one_address_are_counted_too(guess):
    assert [guess(f"name{n}") for n in range(6)] == [False] * 5 + [True]


def test_the_page_and_the_api_count_together(guess, client):
    assert [guess() for _ in range(3)] == [False] * 3
    body = {"username": "anna", "password": "guess"}
    reply = client.post("/api/login", body, "application/json", REMOTE_ADDR="192.0.2.1")
    assert (reply.status_code, reply.json()["code"]) == (429, "too_many_requests")
    assert int(reply["Retry-After"]) > 0


def test_an_invented_address_does_not_help(guess, settings):
    assert [guess(**{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(4)][-1]
    settings.BEHIND_TLS = True  # the proxy adds the address that it saw as the last one
    forged = [guess(**{"X-Forwarded-For": f"198.51.100.{n}, 192.0.2.9"}) for n in range(4)]
    assert forged == [False] * 3 + [True]


def test_the_right_password_of_somebody_counted_out_does_not_open(client, db, monkeypatch):
    monkeypatch.setattr(logins, "PER_NAME", 1)
    User.objects.create_user("anna", password="open sesame")
    data = {"username": "anna", "password": "open sesame"}
    assert client.post("/login", data | {"password": "x"}).status_code == 200
    assert client.post("/login", data).status_code == 200
    assert client.get("/api/me").status_code == 401


def test_without_redis_all_that_count_at_once_count_together(monkeypatch):
    """In files, which threads lock as processes do; a minute later none of it counts."""
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(logins._count, ["anna"] * 400))
    assert sorted(found) == list(range(1, 401))
    monkeypatch.setattr(logins, "WINDOW_SECONDS", -1)
    assert logins._count("anna") == 1


def test_a_dead_cache_locks_nobody_out(client, db, monkeypatch, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(logins, "cache", RedisCache("redis://127.0.0.1:1/0", {}))
    User.objects.create_user("anna", password="open sesame")
    data = {"username": "anna", "password": "open sesame"}
    assert client.post("/login", data).status_code == 302
