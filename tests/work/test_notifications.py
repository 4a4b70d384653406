"""Who is told of what, how it is read, and what nobody is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotations.models import Job, Membership, Notification, User
from annotations.selectors.notifications import list_notifications, path_of, unread_count
from annotations.services import invitations, jobs, notifications, people, reviews, sweeping

Kind = Notification.Kind


def told(user) -> list[tuple[str, str]]:
    return [(str(one.kind), one.title) for one in list_notifications(user).order_by("id")]


@pytest.fixture
def begun(image, teammate, make_annotation):
    return make_annotation(image, teammate, regions=1)


def test_reviewers_are_told_once_that_work_waits(
    project, begun, make_image, make_annotation, teammate, reviewer, manager, owner, stranger
) -> None:
    reviews.submit(teammate, begun, 1)
    more = [make_annotation(make_image(project), teammate, regions=1) for _ in range(2)]
    reviews.submit(teammate, more[0], 1)
    for user in (reviewer, manager, owner):
        assert told(user) == [("submitted", f"teammate submitted {begun.image.name}")]
    assert told(teammate) == told(stranger) == []
    reviews.approve(reviewer, begun, 1)
    assert (unread_count(reviewer), unread_count(owner)) == (0, 1)
    reviews.submit(teammate, more[1], 1)
    assert (unread_count(reviewer), unread_count(owner)) == (1, 1)


def test_what_somebody_else_reviewed_waits_for_nobody(
    project, begun, make_image, make_annotation, teammate, reviewer, manager, owner
) -> None:
    own = make_annotation(make_image(project), manager, regions=1)
    reviews.submit(teammate, begun, 1)
    reviews.submit(manager, own, 1)
    reviews.send_back(reviewer, begun, 1, "The wheels are missing.")
    # What the manager submitted waits for the owner alone by now.
    assert [unread_count(user) for user in (reviewer, manager, owner)] == [0, 0, 1]
    reviews.reopen(manager, own, 1)
    assert unread_count(owner) == 0
    begun.refresh_from_db()
    reviews.submit(teammate, begun, 1)
    assert [unread_count(user) for user in (reviewer, manager, owner)] == [1, 1, 1]
    begun.image.delete()
    notifications.settle_reviewed()
    assert [unread_count(user) for user in (reviewer, manager, owner)] == [0, 0, 0]


def test_what_is_not_drawn_for_review_rings_no_bell(project, begun, teammate, reviewer) -> None:
    project.review_rule, project.review_share = "share", 0
    project.save()
    reviews.submit(teammate, begun, 1)
    assert told(reviewer) == []


def test_the_annotator_is_told_why_it_was_sent_back(begun, teammate, reviewer) -> None:
    reviews.submit(teammate, begun, 1)
    reviews.send_back(reviewer, begun, 1, "The wheels  are missing.")
    one = list_notifications(teammate).get()
    assert (one.title, one.text) == (
        f"reviewer sent {begun.image.name} back",
        "The wheels are missing.",
    )
    assert path_of(one) == f"/images/{begun.image_id}/edit?annotation={begun.pk}"
    begun.refresh_from_db()
    reviews.submit(teammate, begun, 1)
    assert unread_count(teammate) == 0  # dealt with


def test_comments_reach_each_once_and_nobody_who_may_not_see_them(
    project, begun, teammate, reviewer, manager, owner
) -> None:
    colleague = User.objects.create(username="colleague")
    Membership.objects.create(project=project, user=colleague, role="annotator")
    User.objects.create(username="outsider")
    first = reviews.add_comment(reviewer, begun, text="@teammate look, @colleague @outsider.")
    reviews.add_comment(teammate, begun, text="Like this, @manager?", reply_to=first.pk)
    reviews.add_comment(owner, begun, text="Yes.", reply_to=first.pk)
    name = begun.image.name
    assert told(teammate) == [
        ("mention", f"reviewer mentioned you on {name}"),
        ("reply", f"owner answered on {name}"),
    ]
    assert told(reviewer) == [
        ("reply", f"teammate answered on {name}"),
        ("reply", f"owner answered on {name}"),
    ]
    assert told(manager) == [("mention", f"teammate mentioned you on {name}")]
    assert told(owner) == []
    assert Notification.objects.count() == 5


def test_who_started_a_job_is_told_how_it_ended(project, image, owner, settings) -> None:
    def run(handler, **values) -> None:
        jobs.run(jobs.enqueue(project=project, kind="export", user=owner, **values).pk, handler)

    def refused(run: jobs.JobRun) -> None:
        run.fail({"code": "no", "detail": "The disk is full.", "field": "", "hint": ""})

    run(lambda run: run.finish({}, "3 images"))
    run(refused)
    run(lambda run: run.finish(), params={"preview": True})
    run(lambda run: run.cancelled())
    poison = jobs.enqueue(project=project, kind="export", user=owner)
    late = {"state": "running", "attempts": 3, "lease_expires_at": timezone.now()}
    Job.objects.filter(pk=poison.pk).update(**late)
    sweeping.sweep()
    found = [(str(one.kind), one.text[:17]) for one in list_notifications(owner).order_by("id")]
    assert found == [
        ("job_done", "3 images"),
        ("job_failed", "The disk is full."),
        ("job_failed", "The worker stoppe"),
    ]


def test_who_invited_somebody_is_told(project, manager, stranger) -> None:
    _, secret = invitations.invite(manager, project, role="reviewer", days=1)
    invitations.accept(stranger, secret)
    assert told(manager) == [("joined", f"stranger joined {project.name} as reviewer")]


def test_what_one_does_not_want_and_what_one_may_see_no_more(
    project, begun, teammate, reviewer, owner
) -> None:
    notifications.choose_kinds(teammate, {"comment": False})
    notifications.choose_kinds(teammate, {"reply": False})
    assert teammate.muted == ["comment", "reply"]
    notifications.choose_kinds(teammate, {"reply": True})
    begun.refresh_from_db()
    reviews.add_comment(reviewer, begun, text="Hm")
    assert told(teammate) == []
    reviews.add_comment(reviewer, begun, text="Hm, @teammate")
    assert unread_count(teammate) == 1
    people.remove_member(owner, project.memberships.get(user=teammate))
    assert (unread_count(teammate), told(teammate)) == (0, [])


def test_reading_over_the_api(project, begun, teammate, reviewer, client_of) -> None:
    for text in ("One", "Two", "Three"):
        reviews.add_comment(reviewer, begun, text=text)
    client, other = client_of(teammate), client_of(reviewer)
    found = client.get("/api/notifications?limit=2").json()
    assert [one["text"] for one in found["results"]] == ["Three", "Two"]
    assert client.get(f"/api/notifications?after={found['next']}").json()["next"] is None
    ids = {"ids": [found["results"][0]["id"]]}
    assert other.post("/api/notifications/read", ids, format="json").json() == {"unread": 0}
    assert client.get("/api/notifications/unread").json() == {"unread": 3}
    assert client.post("/api/notifications/read", ids, format="json").json() == {"unread": 2}
    assert len(client.get("/api/notifications?unread=true").json()["results"]) == 2
    every = {"ids": None}
    assert client.post("/api/notifications/read", every, format="json").json() == {"unread": 0}
    wrong = {"kinds": {"nonsense": True}}
    reply = client.put("/api/me/notifications", wrong, format="json")
    assert (reply.status_code, reply.json()["field"]) == (400, "kinds")


def test_the_list_and_the_bell(
    begun, teammate, reviewer, browse, django_assert_max_num_queries
) -> None:
    client = browse(teammate)
    assert "Nothing yet" in client.get("/notifications").content.decode()
    for number in range(30):
        reviews.add_comment(reviewer, begun, text=f"Number {number} <b>")
    with django_assert_max_num_queries(7):
        page = client.get("/notifications").content.decode()
    assert "30 unread" in page
    assert "Number 29 &lt;b&gt;" in page
    one = list_notifications(teammate)[0]
    reply = client.post(f"/notifications/{one.pk}/follow")
    assert reply.headers["Location"] == path_of(one)
    assert "29 unread" in client.get("/").content.decode()
    client.post("/notifications/read")
    assert "Nothing unread" in client.get("/notifications?unread=1").content.decode()


def test_old_ones_are_dropped(begun, teammate, reviewer) -> None:
    for _ in range(2):
        reviews.add_comment(reviewer, begun, text="Hm")
    old = Notification.objects.earliest("pk")
    long_ago = timezone.now() - timedelta(days=notifications.KEEP_DAYS, seconds=1)
    Notification.objects.filter(pk=old.pk).update(at=long_ago)
    notifications.tidy()
    assert Notification.objects.get().pk != old.pk
