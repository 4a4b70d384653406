"""The rules of jobs: one worker at a time, nothing lost, nothing done twice."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from annotations.errors import ServiceError
from annotations.models import Job, Membership, Project
from annotations.services import jobs, sweeping

State = Job.State


@pytest.fixture(autouse=True)
def woken(monkeypatch) -> list[int]:
    """Ids of the jobs for which a message was sent."""
    sent: list[int] = []
    monkeypatch.setattr(
        jobs.current_app, "send_task", lambda task, args, **options: sent.extend(args)
    )
    return sent


@pytest.fixture
def make_job(project, manager):
    def make(**values) -> Job:
        return jobs.enqueue(project=project, kind="export", user=manager, **values)

    return make


def expire(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def test_a_message_is_sent_when_the_transaction_commits(
    make_job, woken, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        job = make_job()
        assert woken == []
    assert woken == [job.pk]
    assert (job.state, job.attempts, job.lease) == (State.QUEUED, 0, None)


def test_the_same_key_is_one_job(make_job, make_project, manager):
    first = make_job(key="a", params={"x": 1})
    assert make_job(key="a", params={"x": 2}).pk == first.pk
    assert make_job(key="b").pk != first.pk
    assert make_job().pk != make_job().pk
    other = jobs.enqueue(project=make_project(), kind="export", user=manager, key="a")
    assert other.pk != first.pk


def test_a_job_done_at_once_is_done_once_and_goes_on_elsewhere_when_that_is_killed(
    make_job, woken, django_capture_on_commit_callbacks
):
    ran: list[int] = []

    def handler(run: jobs.JobRun) -> None:
        ran.append(run.job.pk)
        run.finish({"x": 1}, "Done so")

    with django_capture_on_commit_callbacks(execute=True):
        job = make_job(key="a", at_once=handler)
        assert ran == []
    assert (job.state, job.result, job.attempts, job.lease) == (State.DONE, {"x": 1}, 1, None)
    with django_capture_on_commit_callbacks(execute=True):
        assert make_job(key="a", at_once=handler).message == "Done so"
    assert (ran, woken) == ([job.pk], [])

    killed = make_job(at_once=handler)  # before the transaction's end was told
    assert Job.objects.get(pk=killed.pk).state == State.RUNNING
    expire(killed)
    sweeping.sweep()
    assert woken == [killed.pk]
    again = jobs.run(killed.pk, handler)
    assert again
    assert (again.state, again.attempts) == (State.DONE, 2)


def test_a_broker_that_is_away_delays_the_job(
    make_job, monkeypatch, woken, django_capture_on_commit_callbacks
):
    def away(*args, **kwargs):
        raise ConnectionError("no broker")

    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(jobs.current_app, "send_task", away)
        job = make_job()
    assert sweeping.sweep() == 0
    assert woken == []
    expire(job)
    assert sweeping.sweep() == 1
    assert woken == [job.pk]
    assert sweeping.sweep() == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_the_job(make_job):
    job = make_job()
    barrier = threading.Barrier(6)
    won = []

    def work() -> None:
        try:
            barrier.wait()
            if run := jobs.claim(job.pk):
                won.append(run.lease)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.refresh_from_db()
    assert won == [job.lease]
    assert (job.state, job.attempts) == (State.RUNNING, 1)


def test_a_handler_ends_its_job(make_job):
    job = make_job(total=3)

    def handler(run: jobs.JobRun) -> None:
        for number in range(3):
            run.progress(number + 1)
        run.finish({"file": "x"}, "3 images")

    ended = jobs.run(job.pk, handler)
    assert ended
    assert (ended.state, ended.done, ended.result) == (State.DONE, 3, {"file": "x"})
    assert ended.lease is None
    assert ended.ended_at
    assert jobs.run(job.pk, handler) is None


@pytest.mark.django_db(transaction=True)
def test_progress_is_written_and_extends_the_lease(make_job, monkeypatch):
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    run = jobs.claim(make_job(total=9).pk)
    assert run
    expire(run.job)
    run.progress(4, message="half")
    job = Job.objects.get()
    assert (job.done, job.total, job.message) == (4, 9, "half")
    assert job.lease_expires_at
    assert job.lease_expires_at > timezone.now()


def test_what_a_person_can_put_right_fails_at_once(make_job):
    def handler(run: jobs.JobRun) -> None:
        raise ServiceError(422, "bad", "The file is bad.", "a.png", "Fix it.")

    ended = jobs.run(make_job().pk, handler)
    assert ended
    assert (ended.state, ended.attempts) == (State.FAILED, 1)
    assert ended.error == {
        "code": "bad", "detail": "The file is bad.", "field": "a.png", "hint": "Fix it.",
    }  # fmt: skip


def test_the_unexpected_is_tried_three_times_and_tells_no_secrets(make_job, caplog):
    job = make_job()

    def handler(run: jobs.JobRun) -> None:
        raise RuntimeError("/secret/path")

    for attempt in (1, 2):
        ended = jobs.run(job.pk, handler)
        assert ended
        assert (ended.state, ended.attempts) == (State.QUEUED, attempt)
        assert ended.lease_expires_at
        assert ended.lease_expires_at > timezone.now()
    ended = jobs.run(job.pk, handler)
    assert ended
    assert ended.error
    assert (ended.state, ended.error["code"]) == (State.FAILED, "internal")
    assert "/secret" not in str(ended.error)
    assert "/secret/path" in caplog.text


def test_a_dead_workers_job_is_taken_back_and_given_up_after_three(make_job, woken):
    job = make_job()
    for attempt in (1, 2, 3):
        assert jobs.claim(job.pk)
        assert sweeping.sweep() == 0
        expire(job)
        sweeping.sweep()
        job.refresh_from_db()
        assert job.attempts == attempt
        assert job.state == (State.QUEUED if attempt < 3 else State.FAILED)
        assert woken == [job.pk] * min(attempt, 2)
    assert job.error["code"] == "worker_stopped"
    assert jobs.claim(job.pk) is None


def test_a_worker_that_lost_its_lease_can_write_nothing(make_job, image):
    job = make_job(image_ids=[image.pk])
    slow = jobs.claim(job.pk)
    assert slow
    expire(job)
    sweeping.sweep()
    fast = jobs.claim(job.pk)
    assert fast
    for attempt in (slow.finish, slow.cancelled, slow.hold, lambda: slow.fail({"detail": ""})):
        with pytest.raises(jobs.LeaseLost), transaction.atomic():
            attempt()
    slow._extend()
    with pytest.raises(jobs.LeaseLost):
        slow.check()
    fast.hold()
    fast.finish({"by": "fast"})
    job.refresh_from_db()
    assert job.result == {"by": "fast"}


def test_a_queued_job_is_cancelled_at_once(make_job):
    job = jobs.cancel(make_job())
    assert (job.state, job.cancel_requested) == (State.CANCELLED, True)
    assert job.ended_at
    assert jobs.claim(job.pk) is None


@pytest.mark.django_db(transaction=True)
def test_a_running_job_stops_at_its_next_step(make_job, monkeypatch):
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    steps = []

    def handler(run: jobs.JobRun) -> None:
        for number in range(9):
            if number == 3:
                assert jobs.cancel(Job.objects.get()).state == State.RUNNING
            run.progress(number, 9)
            steps.append(number)

    ended = jobs.run(make_job().pk, handler)
    assert ended
    assert ended.state == State.CANCELLED
    assert steps == [0, 1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_asked_to_end_hands_its_job_and_its_items_back(
    make_job, project, make_image, monkeypatch, woken
):
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    images = [make_image(project) for _ in range(3)]
    job = make_job(image_ids=[image.pk for image in images])
    woken.clear()

    def handler(run: jobs.JobRun) -> None:
        for number, item in enumerate(run.pending()):
            run.progress(number)
            run.end_item(item)
            monkeypatch.setattr(jobs, "stopping", threading.Event())
            jobs.stopping.set()

    ended = jobs.run(job.pk, handler)
    assert ended
    assert (ended.state, ended.attempts, ended.lease) == (State.QUEUED, 0, None)
    assert woken == [job.pk]
    items = [(item.state, item.attempts) for item in ended.items.all()]
    assert items == [(State.DONE, 1), (State.QUEUED, 0), (State.QUEUED, 0)]


def test_a_cancelled_job_of_a_dead_worker_is_cancelled(make_job):
    job = make_job()
    jobs.claim(job.pk)
    jobs.cancel(job)
    expire(job)
    sweeping.sweep()
    job.refresh_from_db()
    assert job.state == State.CANCELLED


def test_a_done_job_is_neither_cancelled_nor_retried(make_job):
    job = make_job()
    jobs.run(job.pk, lambda run: run.finish())
    assert jobs.cancel(job).state == State.DONE
    with pytest.raises(ServiceError) as refused:
        jobs.retry(job.created_by, job)
    assert refused.value.status == 409


def test_what_could_not_be_asked_for_now_is_not_retried(make_job, project, client_of):
    job = make_job()
    Job.objects.filter(pk=job.pk).update(state=State.FAILED, kind="prelabel")
    mine = Membership.objects.filter(project=project, user=job.created_by)
    client = client_of(job.created_by)
    mine.update(role="reviewer")
    assert client.post(f"/api/jobs/{job.pk}/retry").status_code == 403
    mine.update(role="manager")
    Project.objects.filter(pk=project.pk).update(archived_at=timezone.now())
    assert client.post(f"/api/jobs/{job.pk}/retry").json()["code"] == "archived"
    Project.objects.filter(pk=project.pk).update(archived_at=None)
    assert client.post(f"/api/jobs/{job.pk}/retry").status_code == 200


def test_retry_keeps_what_was_done(make_job, project, make_image):
    images = [make_image(project) for _ in range(3)]
    job = make_job(image_ids=[image.pk for image in images])
    assert job.total == 3
    seen = []

    def handler(run: jobs.JobRun) -> None:
        for item in run.pending():
            seen.append(item.image_id)
            bad = item.image_id == images[1].pk and len(seen) < 4
            run.end_item(item, error="no" if bad else "", seconds=0.5)
        run.finish()

    jobs.run(job.pk, handler)
    assert seen == [image.pk for image in images]
    assert [item.state for item in job.items.all()] == ["done", "failed", "done"]
    jobs.retry(job.created_by, job)
    jobs.run(job.pk, handler)
    assert seen[3:] == [images[1].pk]
    assert {item.state for item in job.items.all()} == {"done"}


def test_an_image_that_kills_workers_is_passed_over(make_job, project, make_image):
    images = [make_image(project) for _ in range(3)]
    job = make_job(image_ids=[image.pk for image in images])

    class Death(BaseException):
        pass

    def handler(run: jobs.JobRun) -> None:
        for item in run.pending():
            if item.image_id == images[1].pk:
                raise Death
            run.end_item(item)
        run.finish()

    for _ in range(2):
        with pytest.raises(Death):
            jobs.run(job.pk, handler)
        expire(job)
        sweeping.sweep()
    ended = jobs.run(job.pk, handler)
    assert ended
    assert ended.state == State.DONE
    assert [item.state for item in job.items.all()] == ["done", "failed", "done"]


@pytest.mark.django_db(transaction=True)
def test_the_lease_is_kept_while_a_handler_is_busy(make_job, settings):
    settings.JOB_LEASE_SECONDS = 0.4
    job = make_job()
    begun, leave = threading.Event(), threading.Event()

    def busy(run: jobs.JobRun) -> None:
        begun.set()
        leave.wait(10)
        run.finish()

    def work() -> None:
        try:
            jobs.run(job.pk, busy)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait(10)
    for _ in range(10):
        leave.wait(0.15)
        sweeping.sweep()
        job.refresh_from_db()
        assert (job.state, job.attempts) == (State.RUNNING, 1)
    leave.set()
    worker.join()
    job.refresh_from_db()
    assert job.state == State.DONE


def test_results_and_the_end_are_one_transaction(make_job, project):
    """Whoever lost the job rolls back what it wrote."""
    job = make_job()
    slow = jobs.claim(job.pk)
    assert slow
    expire(job)
    sweeping.sweep()
    assert jobs.claim(job.pk)

    def write_and_finish() -> None:
        with transaction.atomic():
            project.guidelines = "written by the slow one"
            project.save()
            slow.finish()

    with pytest.raises(jobs.LeaseLost):
        write_and_finish()
    project.refresh_from_db()
    assert project.guidelines == ""


# --- API ----------------------------------------------------------------------------------------


def test_who_sees_and_ends_a_job(make_job, client_of, owner, manager, reviewer, teammate, stranger):
    job = make_job()
    calls = [("", "get"), ("/items", "get"), ("/cancel", "post"), ("/retry", "post")]

    def ask(user: object, path: str, method: str, pk: int = job.pk) -> Any:
        return getattr(client_of(user), method)(f"/api/jobs/{pk}{path}")

    for path, method in calls:
        assert ask(None, path, method).status_code == 401
        for user in (stranger, teammate, reviewer):
            refused = ask(user, path, method)
            assert refused.status_code == 404
            assert refused.json() == ask(user, path, method, job.pk + 99).json()
    for user in (owner, manager):
        assert [ask(user, path, method).status_code for path, method in calls] == [200] * 4


def test_the_list_of_jobs(make_job, client_of, project, manager, teammate, stranger):
    ids = [make_job().pk for _ in range(3)]
    jobs.cancel(Job.objects.get(pk=ids[0]))
    url = f"/api/projects/{project.pk}/jobs"
    body = client_of(manager).get(url, {"limit": 2}).json()
    assert [job["id"] for job in body["results"]] == [ids[2], ids[1]]
    body = client_of(manager).get(url, {"limit": 2, "after": body["next"]}).json()
    assert [job["id"] for job in body["results"]] == [ids[0]]
    assert body["next"] is None
    body = client_of(manager).get(url, {"state": "queued"}).json()
    assert [job["id"] for job in body["results"]] == [ids[2], ids[1]]
    assert client_of(teammate).get(url).json()["results"] == []
    assert client_of(stranger).get(url).status_code == 404
    assert client_of(manager).get(url, {"owner": 1}).status_code == 400


def test_a_jobs_items_through_the_api(make_job, client_of, project, make_image, manager):
    images = [make_image(project) for _ in range(2)]
    job = make_job(image_ids=[image.pk for image in images])

    def handler(run: jobs.JobRun) -> None:
        for item in run.pending():
            run.end_item(item, error="too dark" if item.image_id == images[1].pk else "")
        run.finish()

    jobs.run(job.pk, handler)
    items = client_of(manager).get(f"/api/jobs/{job.pk}/items").json()["results"]
    assert [(item["name"], item["state"], item["error"]) for item in items] == [
        (images[0].name, "done", ""),
        (images[1].name, "failed", "too dark"),
    ]
    failed = client_of(manager).get(f"/api/jobs/{job.pk}/items", {"state": "failed"}).json()
    assert len(failed["results"]) == 1
    assert client_of(manager).get(f"/api/jobs/{job.pk}").json()["failed_items"] == 1
