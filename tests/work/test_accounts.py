"""The page of all people: what staff sees, and switching accounts off and on."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from annotations.errors import ServiceError
from annotations.models import AuditEntry, Lease, User
from annotations.pages.middleware import SEEN_EVERY
from annotations.services import people, work


@pytest.fixture
def staff(db) -> User:
    return User.objects.create(username="staff", is_staff=True)


def test_staff_sees_everybody(
    project, make_project, staff, teammate, stranger, client_of, django_assert_max_num_queries
) -> None:
    make_project()
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.force_login(teammate)
    people.create_token(teammate)
    expired, _ = people.create_token(teammate, days=1)
    expired.expiry = timezone.now() - timedelta(days=1)
    expired.save()
    client = client_of(staff)
    client.get("/api/me")
    with django_assert_max_num_queries(4):
        lines = {one["username"]: one for one in client.get("/api/people").json()["results"]}
    assert len(lines) == 6
    found = lines["teammate"]
    assert (found["sessions"], found["tokens"], found["projects"]) == (2, 1, 2)
    assert lines["stranger"]["sessions"] == 0
    search = client.get("/api/people?search=mate").json()["results"]
    assert [one["username"] for one in search] == ["teammate"]
    people.deactivate(stranger)
    off = client.get("/api/people?state=inactive").json()["results"]
    assert [one["username"] for one in off] == ["stranger"]


def test_switching_off_ends_everything_at_once(project, image, staff, teammate, browse) -> None:
    browser, client = Client(), browse(staff)
    browser.force_login(teammate)
    _, secret = people.create_token(teammate)
    script = APIClient(headers={"Authorization": f"Token {secret}"})
    lease = work.pull(teammate, project)
    assert lease
    client.post(f"/people/{teammate.pk}/deactivate")
    assert browser.get("/api/me").status_code == script.get("/api/me").status_code == 401
    assert Lease.objects.get(pk=lease.pk).state == "returned"
    page = client.get("/people").content.decode()
    assert "Let in again" in page
    assert "Deactivated teammate" in page
    assert AuditEntry.objects.get(what="Deactivated teammate").actor == "staff"
    client.post(f"/people/{teammate.pk}/reactivate")
    browser.force_login(teammate)
    assert browser.get("/api/me").status_code == 200


def test_nobody_switches_off_themselves_or_a_superuser_above(staff, teammate) -> None:
    root = User.objects.create(username="root", is_staff=True, is_superuser=True)
    for who, whom, status in (
        (staff, staff, 409),
        (staff, root, 403),
        (teammate, staff, 403),
        (root, root, 409),
    ):
        with pytest.raises(ServiceError) as caught:
            people.switch_off(who, whom)
        assert caught.value.status == status
    assert not User.objects.filter(is_active=False).exists()
    people.switch_off(root, staff)


def test_last_seen_is_kept_for_browsers_and_scripts_with_few_writes(teammate) -> None:
    browser = Client()
    browser.force_login(teammate)
    _, secret = people.create_token(teammate)
    script = APIClient(headers={"Authorization": f"Token {secret}"})
    for client in (browser, script):
        long_ago = timezone.now() - 2 * SEEN_EVERY
        User.objects.filter(pk=teammate.pk).update(last_seen_at=long_ago)
        client.get("/api/notifications/unread")
        teammate.refresh_from_db()
        assert timezone.now() - teammate.last_seen_at < timedelta(minutes=1)
        seen = teammate.last_seen_at
        client.get("/api/notifications/unread")
        teammate.refresh_from_db()
        assert teammate.last_seen_at == seen


def test_a_locked_database_keeps_nobody_from_reading(teammate, client_of, monkeypatch) -> None:
    User.objects.update(last_seen_at=None)

    def locked(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    client = client_of(teammate)
    monkeypatch.setattr(QuerySet, "update", locked)
    assert client.get("/api/me").status_code == 200
