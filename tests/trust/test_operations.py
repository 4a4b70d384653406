"""What whoever runs it relies on: health, figures, logs, and sessions that end when told."""

import json
import logging.config
import os
import re
import shutil
import threading
import uuid
from datetime import timedelta

import pytest
import requests
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from knox.models import AuthToken
from prometheus_client.parser import text_string_to_metric_families

from annotations.models import Job, JobShare, Prediction
from annotations.pages import health
from annotations.selectors import operations
from annotations.services import jobs
from labeler.logging import configuration
from tests.conftest import box_counts
from tests.live import LiveApp
from tests.pages.conftest import browse
from tests.rows import rows
from tests.servers import wait_until

__all__ = ["browse"]


class TestHealth:
    @pytest.fixture(autouse=True)
    def _always_ask(self, monkeypatch):
        monkeypatch.setattr(health, "READY_SECONDS", 0)

    def test_alive_asks_nothing_of_the_database(self, client, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert client.get("/healthz").content == b"ok\n"

    def test_ready(self, client, db):
        reply = client.get("/readyz")
        assert reply.status_code == 200
        names = ("database", "migrations", "storage", "space", "broker")
        assert reply.json() == dict.fromkeys(names, "ok")

    @pytest.mark.parametrize("name", list(operations.CHECKS))
    def test_what_does_not_answer_is_named_and_nothing_else_told(
        self, name, client, db, monkeypatch
    ):
        def fail() -> None:
            raise OSError("secret.example:5432 refused the password hunter2")

        monkeypatch.setitem(operations.CHECKS, name, fail)
        reply = client.get("/readyz")
        assert reply.status_code == 503
        assert reply.json()[name] == "unreachable"
        assert "secret" not in reply.content.decode()
        assert client.get("/healthz").status_code == 200

    def test_tables_older_than_the_code_are_not_ready(self, client, db):
        """A new process waits for the migration; an old one beside newer tables works on."""
        operations._missing.cache_clear()
        newest = MigrationRecorder.Migration.objects.filter(app="annotations").latest("pk")
        newest.delete()
        reply = client.get("/readyz")
        assert (reply.status_code, reply.json()["migrations"]) == (503, "unreachable")
        MigrationRecorder.Migration.objects.create(app="annotations", name=newest.name)
        MigrationRecorder.Migration.objects.create(app="annotations", name="9999_newer")
        assert client.get("/readyz").status_code == 200

    def test_a_full_disk_is_not_ready(self, client, db, monkeypatch):
        usage = shutil.disk_usage("/")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**20))
        reply = client.get("/readyz")
        assert (reply.status_code, reply.json()["space"]) == (503, "unreachable")

    def test_a_database_that_is_away_is_not_ready(self, client, db, monkeypatch):
        def away(*args: object) -> None:
            raise OperationalError("connection refused")

        with monkeypatch.context() as patch:
            patch.setattr(connection, "cursor", away)
            reply = client.get("/readyz")
        assert (reply.status_code, reply.json()["database"]) == (503, "unreachable")

    def test_a_folder_that_cannot_be_written_is_not_ready(self, client, db, settings, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        assert client.get("/readyz").json()["storage"] == "unreachable"

    def test_a_broker_that_is_away_is_not_ready(self, client, db, monkeypatch):
        app = Celery(broker="redis://127.0.0.1:1/0", set_as_current=False)
        monkeypatch.setattr(operations, "current_app", app)
        assert client.get("/readyz").json()["broker"] == "unreachable"


def figures(client, **headers) -> dict[tuple[str, ...], float]:
    """`{(name, label, …): value}`"""
    text = client.get("/metrics", headers=headers).content.decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class TestMetrics:
    def test_queues_and_the_oldest_job(self, client, project, owner):
        for kind in ("export", "export", "prelabel"):
            jobs.enqueue(project=project, kind=kind, user=owner)
        oldest = Job.objects.filter(kind="export").earliest("pk")
        made = timezone.now() - timedelta(seconds=90)
        Job.objects.filter(pk=oldest.pk).update(created_at=made, state="running")
        found = figures(client)
        assert found["labeler_jobs", "export", "queued"] == 1
        assert found["labeler_jobs", "export", "running"] == 1
        assert 90 <= found["labeler_oldest_job_seconds", "export"] < 150
        assert found["labeler_oldest_job_seconds", "import"] == 0

    def test_models_of_the_last_minutes(self, client, project, make_image, owner):
        job = jobs.enqueue(project=project, kind="prelabel", user=owner)
        for number in range(3):
            image = make_image(project)
            made = Prediction.objects.create(
                image=image, job=job, model="sam", model_version="1", seconds=0.5
            )
            if number == 0:
                long_ago = timezone.now() - timedelta(hours=1)
                Prediction.objects.filter(pk=made.pk).update(created_at=long_ago)
        found = figures(client)
        assert found["labeler_model_images", "sam"] == 2
        assert found["labeler_model_seconds", "sam"] == 1.0

    def test_workers_and_the_memory_of_their_gpus(self, client, project, image, owner):
        job = jobs.enqueue(project=project, kind="prelabel", user=owner, image_ids=[image.pk])
        run = jobs.claim(job.pk)
        assert run
        run.works_on("a GPU", (3, 8))
        [item] = run.take(2)
        run.end_item(item)
        run._extend()
        name = JobShare.objects.get().worker
        found = figures(client)
        assert found["labeler_worker_images_per_second", "a GPU", "prelabel", name] > 0
        assert found["labeler_gpu_memory_used_bytes", "a GPU", "prelabel", name] == 3
        assert found["labeler_gpu_memory_bytes", "a GPU", "prelabel", name] == 8
        client.force_login(owner)
        assert "3 B of 8 B" in client.get(f"/jobs/{job.pk}").content.decode()
        [worker] = client.get(f"/api/jobs/{job.pk}").json()["workers"]
        assert (worker["done"], worker["device"], worker["memory_used"]) == (1, "a GPU", 3)

    def test_saves_and_requests_are_counted(self, client, image, teammate, make_annotation):
        annotation = make_annotation(image, teammate)
        before = figures(client)
        client.force_login(teammate)
        url = f"/api/annotations/{annotation.pk}/patches"
        assert client.post(url, {"writes": []}, "application/json").status_code == 200
        client.get("/api/annotations/9000000")
        after = figures(client)

        def more(*key: str) -> float:
            return after.get(key, 0) - before.get(key, 0)

        assert more("labeler_save_seconds_count") == 1
        assert more("labeler_requests_total", "POST", "200") == 1
        assert more("labeler_requests_total", "GET", "404") == 1

    @pytest.mark.parametrize(
        ("address", "headers", "status"),
        [
            ("127.0.0.1", {}, 200),
            ("::1", {}, 200),
            ("192.0.2.7", {}, 404),
            ("", {}, 404),
            ("192.0.2.7", {"Authorization": "Bearer a token of metrics"}, 200),
            ("192.0.2.7", {"Authorization": "Bearer a token"}, 404),
            ("192.0.2.7", {"Authorization": "Bearer "}, 404),
            ("192.0.2.7", {"X-Forwarded-For": "127.0.0.1"}, 404),
            # A proxy on this machine asks for somebody else.
            ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 404),
            ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, 404),
        ],
    )
    def test_who_may_read_them(self, address, headers, status, client, db, settings):
        settings.METRICS_TOKEN = "a token of metrics"
        reply = client.get("/metrics", REMOTE_ADDR=address, headers=headers)
        assert reply.status_code == status

    def test_a_proxy_on_this_machine_that_names_nobody_opens_nothing(self, client, db, settings):
        settings.BEHIND_TLS = True
        settings.METRICS_TOKEN = "a token of metrics"
        assert client.get("/metrics").status_code == 404
        headers = {"Authorization": "Bearer a token of metrics"}
        assert client.get("/metrics", headers=headers).status_code == 200

    def test_without_a_token_no_token_opens(self, client, db):
        headers = {"Authorization": "Bearer "}
        assert client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers=headers).status_code == 404


class TestLogs:
    @pytest.mark.parametrize("given", ["12345678", "a.b-C_9" * 9])
    def test_a_well_formed_id_is_kept(self, client, given):
        assert client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"] == given

    @pytest.mark.parametrize("given", ["", "short", "a" * 65, "a b c d e", "{jndi:x}", "é" * 9])
    def test_any_other_is_replaced(self, client, given):
        reply = client.get("/healthz", headers={"X-Request-ID": given})
        assert re.fullmatch("[0-9a-f]{32}", reply["X-Request-ID"])

    def test_lines_are_json_with_the_id_and_without_parameters(self, client, db, capfd):
        logging.config.dictConfig(configuration("json", "INFO"))
        try:
            headers = {"X-Request-ID": "request-12345"}
            client.get("/api/projects?after=secret", headers=headers)
            logging.getLogger("any").error("a\nb %s", {"c": 1})
            threading.Thread(target=logging.getLogger("thread").error, args=["x"]).start()
        finally:
            logging.config.dictConfig(configuration("line", "INFO"))
        lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
        [request] = [line for line in lines if line["logger"] == "labeler.requests"]
        assert (request["method"], request["path"], request["status"]) == (
            "GET",
            "/api/projects",
            401,
        )
        assert request["request_id"] == "request-12345"
        assert request["milliseconds"] > 0
        assert "secret" not in json.dumps(request)
        [other] = [line for line in lines if line["logger"] == "any"]
        assert (other["message"], other["request_id"]) == ("a\nb {'c': 1}", "request-12345")
        assert lines[-1]["request_id"] == "-"


def test_another_form_of_logs_is_refused():
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT"):
        configuration("xml", "INFO")


def test_web_processes_count_together_and_log_json():
    """As in a team's installation: whichever process is asked, it answers for all of them."""
    app = LiveApp(WEB_PROCESSES="2", WEB_THREADS="1", LOG_FORMAT="json")
    try:
        app.prepare()
        config = ["labeler.wsgi", "--config", "deploy/gunicorn.py"]
        app.spawn("web", "-m", "gunicorn", *config, "--bind", f"127.0.0.1:{app.port}")
        wait_until(lambda: requests.get(f"{app.url}/healthz", timeout=5).ok, "gunicorn", 60)
        before = count(app)
        for _ in range(20):
            requests.get(f"{app.url}/api/me", timeout=5)
        assert [count(app) - before for _ in range(6)] == [20.0] * 6
        lines = [line for line in app.log("web").splitlines() if "/api/me" in line]
        assert len(lines) == 20
        assert {json.loads(line)["status"] for line in lines} == {401}
    finally:
        web = app.processes.pop("web")
        web.terminate()
        web.wait(timeout=30)
        app.stop()


def count(app: LiveApp) -> float:
    """How many requests were answered with 401."""
    text = requests.get(f"{app.url}/metrics", timeout=5).text
    found = re.search(r'labeler_requests_total{method="GET",status="401"} (\S+)', text)
    return float(found[1]) if found else 0.0


def test_a_new_password_ends_the_other_sessions(owner, browse):
    owner.set_password("an old password")
    owner.save()
    here, elsewhere = browse(owner), browse(owner)
    assert elsewhere.get("/api/me").status_code == 200
    new = {"new_password1": "correct horse battery", "new_password2": "correct horse battery"}
    assert here.post("/account", {"old_password": "an old password", **new}).status_code == 302
    assert here.get("/api/me").status_code == 200
    assert elsewhere.get("/api/me").status_code == 401


def test_a_stolen_cookie_is_dead_after_logging_out(owner, browse, client):
    browser = browse(owner)
    client.cookies["sessionid"] = browser.cookies["sessionid"].value
    assert client.get("/api/me").status_code == 200
    browser.post("/logout")
    assert client.get("/api/me").status_code == 401


def test_tokens_are_stored_as_hashes(owner):
    token, secret = AuthToken.objects.create(owner)
    stored = " ".join(str(value) for value in AuthToken.objects.values().get(pk=token.pk).values())
    assert secret not in stored
    assert secret[len(token.token_key) :] not in stored


@pytest.mark.sqlite
def test_a_save_that_meets_a_full_disk_says_so(image, teammate, make_annotation, client_of):
    """The editor tries again, as it does with every status from 500 on."""
    annotation = make_annotation(image, teammate)
    mask = {"size": [image.height, image.width], "counts": box_counts(image, 0, 0, 2, 2)}
    write = {
        "op": "upsert",
        "based_on": 0,
        "mask": mask,
        "category": image.project.categories.first().pk,
    }
    new = {**write, "region": str(uuid.uuid4()), "key": str(uuid.uuid4())}
    # Larger than what is free in the pages that there are.
    new["attributes"] = {str(n): "x" * 400 for n in range(40)}
    address = f"/api/annotations/{annotation.pk}/patches"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1")  # as large as it is, and no larger
    before = rows()
    try:
        reply = client_of(teammate).post(address, {"writes": [new]}, "json")
        assert (reply.status_code, reply.json()["code"]) == (507, "no_space"), reply.json()
        assert rows() == before
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 4294967294")
    assert client_of(teammate).post(address, {"writes": [new]}, "json").status_code == 200
