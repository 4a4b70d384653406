"""Invitations, scopes of tokens, deactivation, and the log of all that."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from annotations.errors import ServiceError
from annotations.models import AuditEntry, Invitation, Lease, Membership, User
from annotations.selectors.audit import list_entries
from annotations.services import invitations, people, work


def refused(call, *args, **values) -> tuple[int, str]:
    with pytest.raises(ServiceError) as caught:
        call(*args, **values)
    return caught.value.status, caught.value.code


def test_an_invitation_makes_one_member(project, manager, owner, stranger, teammate) -> None:
    made, secret = invitations.invite(manager, project, role="reviewer", days=7)
    assert secret not in str(list(Invitation.objects.values()))
    assert invitations.accept(teammate, secret) == project  # a member already: nothing is used up
    assert invitations.accept(stranger, secret) == project
    assert Membership.objects.get(project=project, user=stranger).role == "reviewer"
    other = User.objects.create(username="other")
    assert refused(invitations.accept, other, secret) == (404, "not_found")
    made.refresh_from_db()
    assert made.used_by == stranger
    for who, role in ((manager, "owner"), (teammate, "annotator")):
        assert refused(invitations.invite, who, project, role=role, days=7)[0] == 403
    assert refused(invitations.invite, other, project, role="annotator", days=7)[0] == 404
    assert invitations.invite(owner, project, role="owner", days=7)


def test_links_that_are_no_good(project, manager, stranger) -> None:
    late, secret = invitations.invite(manager, project, role="annotator", days=1)
    Invitation.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    withdrawn, other = invitations.invite(manager, project, role="annotator", days=1)
    invitations.withdraw(manager, withdrawn)
    for bad in (secret, other, "nonsense", "\ud800"):
        assert refused(invitations.accept, stranger, bad) == (404, "not_found")


def test_whoever_is_invited_makes_an_account(project, manager) -> None:
    _, secret = invitations.invite(manager, project, role="annotator", days=7)
    taken = {"username": "manager", "password": "correct horse battery"}
    assert refused(invitations.sign_up, secret, **taken)[1] in ("invalid", "name_taken")
    weak = {"username": "newcomer", "password": "12345678"}
    assert refused(invitations.sign_up, secret, **weak) == (400, "invalid")
    user = invitations.sign_up(secret, username="newcomer", password="correct horse battery")
    assert project.memberships.get(user=user).role == "annotator"
    late = {"username": "latecomer", "password": "correct horse battery"}
    assert refused(invitations.sign_up, secret, **late) == (404, "not_found")
    assert not User.objects.filter(username="latecomer").exists()


@pytest.mark.parametrize(
    ("scope", "reads", "writes", "administers"),
    [("read", 200, 403, 403), ("write", 200, 201, 403), ("admin", 200, 201, 201)],
)
def test_a_token_does_what_its_scope_says(
    project, image, owner, stranger, scope, reads, writes, administers
) -> None:
    _, secret = people.create_token(owner, scope=scope, days=1)
    client = APIClient(headers={"Authorization": f"Token {secret}"})
    base = f"/api/projects/{project.pk}"
    assert client.get(base).status_code == reads
    assert client.post(f"/api/images/{image.pk}/annotations").status_code == writes
    body = {"username": "stranger", "role": "annotator"}
    assert client.post(f"{base}/members", body, format="json").status_code == administers
    assert client.post("/api/tokens", {}, format="json").status_code == administers


def test_a_deactivated_person_is_out_at_once(project, image, teammate, owner) -> None:
    browser = Client()
    browser.force_login(teammate)
    _, secret = people.create_token(teammate)
    script = APIClient(headers={"Authorization": f"Token {secret}"})
    lease = work.pull(teammate, project)
    assert lease
    assert browser.get("/api/me").status_code == script.get("/api/me").status_code == 200
    people.deactivate(teammate, owner)
    assert browser.get("/api/me").status_code == script.get("/api/me").status_code == 401
    assert Lease.objects.get(pk=lease.pk).state == "returned"
    people.reactivate(teammate)
    teammate.refresh_from_db()
    assert teammate.is_active
    assert browser.get("/api/me").status_code == script.get("/api/me").status_code == 401


def test_the_log_tells_what_happened_to_owners_alone(
    project, make_project, owner, manager, stranger, teammate
) -> None:
    member = people.add_member(owner, project, username="stranger", role="annotator")
    people.set_role(owner, member, "reviewer")
    people.create_token(teammate, scope="read")
    people.create_token(User.objects.create(username="outsider"))
    people.add_member(owner, make_project(), username="stranger", role="annotator")
    said = [entry.what for entry in list_entries(owner, project)]
    assert said[0].startswith("Made the token ")
    assert said[1:] == ["Made stranger reviewer, was annotator", "Added stranger as annotator"]
    for who, status in ((manager, 403), (teammate, 403)):
        assert refused(list_entries, who, project)[0] == status
    assert refused(list_entries, User.objects.get(username="outsider"), project)[0] == 404


def test_the_log_of_a_project_tells_nothing_of_the_installation(project, owner, teammate) -> None:
    """Anybody may make a project and add staff to it, who did much elsewhere and before."""
    staff = User.objects.create(username="staff", is_staff=True)
    people.create_token(staff)
    people.add_member(owner, project, username="staff", role="annotator")
    people.switch_off(staff, teammate)
    people.create_token(staff, scope="read")
    said = [entry.what for entry in list_entries(owner, project)]
    assert said[0].endswith("… (read)")
    assert said[1:] == ["Added staff as annotator"]


def test_the_log_is_only_added_to(project, owner) -> None:
    people.create_token(owner)
    entry = AuditEntry.objects.get()
    for change in (
        entry.delete,
        entry.save,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(what=""),
    ):
        with pytest.raises(TypeError):
            change()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE annotations_auditentry SET what = ''")
    assert AuditEntry.objects.get().what.startswith("Made the token")
