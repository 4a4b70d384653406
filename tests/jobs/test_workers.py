"""Real Celery workers on the embedded broker, killed in the middle of their work."""

import contextlib
import functools
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.live import ROOT, Api, LiveApp, killed_at, picture
from tests.servers import free_port, wait_until


def photographs(number: int) -> bytes:
    """A zip of pictures that take a worker some 20 ms each."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for index in range(number):
            picture = io.BytesIO()
            Image.new("RGB", (1600, 1200)).save(picture, "JPEG", comment=str(index))
            archive.writestr(f"{index}.jpg", picture.getvalue())
    return out.getvalue()


@pytest.fixture(scope="module")
def app() -> Iterator[LiveApp]:
    app = LiveApp(JOB_LEASE_SECONDS="3")
    try:
        app.start()
        yield app
    finally:
        app.stop()


def test_a_killed_workers_job_is_finished_by_another_and_its_effect_is_once(app):
    worker = "worker-batch,io"
    api = app.api()
    project = api.project()["id"]
    files = [("files", ("many.zip", photographs(230)))]
    [job] = api.post(f"projects/{project}/images", files=files)["jobs"]
    for attempt in (1, 2):
        wait_until(lambda: api.get(f"jobs/{job['id']}")["done"] > 10, "progress", seconds=60)
        assert api.get(f"jobs/{job['id']}")["state"] == "running"
        app.kill(worker)
        assert api.get(f"projects/{project}/images")["results"] == []
        app.start_worker("batch,io")
        begun = functools.partial(began, api, job["id"], attempt + 1)
        wait_until(begun, "the lease's end and another attempt", seconds=60)
    wait_until(lambda: api.get(f"jobs/{job['id']}")["state"] == "done", "the job", seconds=90)
    ended = api.get(f"jobs/{job['id']}")
    assert (ended["attempts"], ended["result"]["added"]) == (3, 230)
    found = api.get(f"projects/{project}/images", params={"limit": 500})["results"]
    assert len({image["name"] for image in found}) == len(found) == 230
    spool = Path(app.environment["LABELER_DATA"]) / "media" / "uploads"
    wait_until(lambda: not list(spool.glob("*")), "the end of the upload", seconds=10)


def began(api: Api, job: int, attempt: int) -> bool:
    return api.get(f"jobs/{job}")["attempts"] == attempt


def test_two_workers_share_a_job_and_one_finishes_it_when_the_other_is_killed(app):
    api = app.api()
    project = api.project()["id"]
    app.kill("worker-batch,io")
    for number in range(2):
        app.start_worker("batch", f"shares-{number}")
    api.upload(project, {f"{seed}.png": picture(160, 120, seed) for seed in range(40)})
    [classic] = [one for one in api.get("models")["results"] if one["name"] == "classic"]
    job = api.post(f"projects/{project}/prelabel", {"model": classic["id"]})["id"]

    def both() -> Any:
        found = api.get(f"jobs/{job}")
        assert found["state"] in ("queued", "running"), found
        return len(found["workers"]) == 2 and all(one["done"] for one in found["workers"])

    wait_until(both, "two workers", seconds=60)
    leader = api.get(f"jobs/{job}")["workers"][0]["worker"]
    numbers = {str(process.pid): name for name, process in app.processes.items()}
    app.kill(numbers[leader.split(":")[1]])
    ended = api.wait_for_job(job)
    assert (ended["state"], ended["attempts"], ended["workers"]) == ("done", 2, [])
    assert (ended["done"], ended["result"]["images"]) == (40, 40)
    code = f"""
from django.db.models import Count
from annotations.models import JobItem, Prediction
found = Prediction.objects.filter(job={job})
print(found.count(), found.values("image").distinct().count())
print(sorted(JobItem.objects.filter(job={job}, attempts__gt=1).values_list("attempts", flat=True)))
"""
    counted, again = app.manage("shell", "-v", "0", "-c", code).splitlines()
    assert counted == "40 40"
    assert again in ("[]", "[2]")  # the image at which the leader was killed
    for name in [one for one in app.processes if "shares" in one]:
        app.kill(name)
    app.start_worker("batch,io")


START_IMPORT = """
from annotations.models import Project, User
from annotations.services import imports
imports.SMALL_BYTES = {small}
project = Project.objects.get(pk={project})
user = User.objects.get(username="owner")
with open("{path}", "rb") as file:
    job = imports.start_import(
        user, project, format="coco", kind="ground_truth", file=file, name="a.json")
print(job.pk)
"""


@pytest.fixture
def labeled(app, tmp_path) -> tuple[int, Path]:
    """A project with two pictures, and a COCO file of them."""
    api = app.api()
    project = api.project()["id"]
    api.upload(project, {name: picture(seed=seed) for seed, name in enumerate(("a.png", "b.png"))})
    ring = [10.5, 10, 90, 12, 60, 80]
    path = tmp_path / "a.json"
    document = {
        "images": [
            {"id": id, "file_name": f"{name}.png", "width": 320, "height": 240}
            for id, name in ((1, "a"), (2, "b"))
        ],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": id, "image_id": id % 2 + 1, "category_id": 1, "segmentation": [ring]}
            for id in range(1, 21)
        ],
    }
    path.write_text(json.dumps(document))
    return project, path


def finished_by_another(app: LiveApp, job: int) -> dict[str, Any]:
    app.start_worker("batch,io")
    ended = app.api().wait_for_job(job)
    assert (ended["state"], ended["attempts"]) == ("done", 2), ended
    return ended


def test_an_import_that_is_killed_between_two_tables_is_done_once_by_another(app, labeled):
    api = app.api()
    project, path = labeled
    app.kill("worker-batch,io")
    code = START_IMPORT.format(project=project, path=path, small=-1)
    job = int(app.manage("shell", "-v", "0", "-c", code).split()[-1])
    killed_at(app, job, "bulk.copy", "imports.run_import")
    assert api.get(f"projects/{project}/annotations")["results"] == []
    ended = finished_by_another(app, job)
    assert (ended["result"]["images"], ended["result"]["regions"]) == (2, 20)
    made = api.get(f"projects/{project}/annotations")["results"]
    assert [len(api.get(f"annotations/{one['id']}")["regions"]) for one in made] == [10, 10]


@pytest.mark.parametrize("patched", ["files.sync", "jobs.JobRun.finish"])
def test_an_export_that_is_killed_is_never_half_a_file(app, labeled, patched):
    """Before the file is in its place, and when it is there but not yet said to be."""
    api = app.api()
    project, path = labeled
    app.manage("shell", "-c", START_IMPORT.format(project=project, path=path, small=2**20))
    body = {"format": "coco", "images": True}
    whole = api.wait_for_job(api.post(f"projects/{project}/exports", body)["id"])
    app.kill("worker-batch,io")
    job = api.post(f"projects/{project}/exports", body)["id"]
    killed_at(app, job, patched, "exports.run_export")
    assert api.call("GET", f"jobs/{job}/download").status_code == 409
    finished_by_another(app, job)
    data = [api.call("GET", f"jobs/{one}/download").content for one in (whole["id"], job)]
    assert data[0] == data[1]
    with zipfile.ZipFile(io.BytesIO(data[1])) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 3


def test_a_lost_message_delays_a_job_and_loses_nothing(app):
    api = app.api()
    project = api.project()["id"]
    app.kill("worker-batch,io")
    job = api.post(f"projects/{project}/exports", {"format": "coco", "images": True})
    messages = Path(app.environment["LABELER_DATA"]) / "broker" / "messages"
    lost = list(messages.glob("*.io.msg"))
    assert lost
    for message in lost:
        message.unlink()
    app.start_worker("batch,io")
    time.sleep(3)
    assert api.get(f"jobs/{job['id']}")["state"] == "queued"
    app.manage(
        "shell", "-c",
        "from annotations.models import Job; from django.utils import timezone as t;"
        "Job.objects.filter(state='queued').update(lease_expires_at=t.now())",
    )  # fmt: skip
    app.manage("sweep")
    assert api.wait_for_job(job["id"])["state"] == "done"


# --- manage.py serve ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[subprocess.Popen[str], int, dict[str, str]]]:
    """(process, port, environment) of `manage.py serve`, where every import crashes its worker."""
    port = free_port()
    data = tmp_path_factory.mktemp("served")
    unset = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "STORAGE_URL", "DEBUG")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {
        "LABELER_DATA": str(data),
        "SECRET_KEY": secrets.token_hex(32),
        "READ_DOTENV": "0",
        "PORT": str(port),
        "JOB_LEASE_SECONDS": "2",
        "WEB_PROCESSES": "2",
        "DJANGO_SETTINGS_MODULE": "tests.jobs.poison",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve"], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: _answers(port), "serve", seconds=60)
        yield process, port, environment
    finally:
        process.kill()


def _answers(port: int) -> bool:
    return requests.get(f"http://127.0.0.1:{port}/login", timeout=5).status_code == 200


def manage(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def python(environment: dict[str, str], code: str) -> Any:
    done = manage(environment, "shell", "-v", "0", "-c", f"import json\n{code}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _descendants(pid: int) -> dict[int, str]:
    """The processes that a process started, and what they are called."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):  # it ended meanwhile
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            found |= _descendants(child)
            found[child] = Path(f"/proc/{child}/comm").read_text().strip()
    return found


def test_a_taken_port_is_told_in_plain_words(served):
    _, port, environment = served
    done = manage(environment, "serve")
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_poison_job_is_given_up_and_others_go_on(served):
    _, _, environment = served
    made = python(
        environment,
        "from annotations.models import *\n"
        "from annotations.services import jobs, projects\n"
        "u = User.objects.create_user('o')\n"
        "p = projects.create_project(u, name='p', kind='instance')\n"
        "poison = jobs.enqueue(project=p, kind='import', user=u)\n"
        "params = {'format': 'coco', 'status': 'all', 'images': False, 'options': {}}\n"
        "other = jobs.enqueue(project=p, kind='export', user=u, params=params)\n"
        "print(json.dumps([poison.pk, other.pk]))",
    )
    states = "from annotations.models import Job\nprint(json.dumps({j.pk: [j.state, j.attempts, \
        j.error] for j in Job.objects.all()}))"
    began = time.monotonic()
    wait_until(
        lambda: python(environment, states)[str(made[1])][0] == "done", "the other job", seconds=30
    )
    assert time.monotonic() - began < 15
    wait_until(
        lambda: python(environment, states)[str(made[0])][0] == "failed", "three tries", seconds=60
    )
    _, attempts, error = python(environment, states)[str(made[0])]
    assert (attempts, error["code"]) == (3, "worker_stopped")


def _web(process: subprocess.Popen[str]) -> list[int]:
    return sorted(pid for pid, name in _descendants(process.pid).items() if name == "web")


def test_web_processes_that_die_are_started_again(served):
    process, port, _ = served
    before = _web(process)
    assert len(before) == 3  # gunicorn's arbiter and, by WEB_PROCESSES, two
    for victims in (before[1:], before[:1]):
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not set(_web(process)) & set(victims), "their end", seconds=30)  # noqa: B023 (called here only)
        wait_until(lambda: len(_web(process)) == 3, "new ones", seconds=30)
        wait_until(lambda: _answers(port), "the web process", seconds=30)


def test_workers_for_models_come_when_they_are_needed(served):
    process, _, environment = served
    workers = {"worker-io", "worker-batch", "worker-interac"}
    assert workers & set(_descendants(process.pid).values()) == {"worker-io"}
    python(
        environment,
        "from labeler import celery_app\n"
        "celery_app.send_task('inference.tasks.embed', args=[0, 0], queue='batch')\n"
        "print('null')",
    )
    wait_until(lambda: "worker-batch" in _descendants(process.pid).values(), "the worker")


def test_sigterm_stops_everything(served):
    process, port, environment = served
    wait_until(lambda: "sweeper" in _descendants(process.pid).values(), "all processes")
    ours = _descendants(process.pid)
    assert len(ours) >= 5
    process.terminate()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"Serving on http://127.0.0.1:{port}" in out
    wait_until(lambda: not [pid for pid in ours if Path(f"/proc/{pid}").exists()], "their end")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port))
    logs = Path(environment["LABELER_DATA"]) / "logs"
    assert {log.name for log in logs.iterdir()} - {"worker-batch.log"} == {
        "tables.log", "web.log", "worker-io.log", "sweeper.log", "decoders.log",
    }  # fmt: skip


def test_nothing_outlives_a_supervisor_that_is_killed(served):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port)], cwd=ROOT, env=served[2],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _answers(port), "serve", seconds=60)
        wait_until(lambda: "sweeper" in _descendants(process.pid).values(), "all processes")
    finally:
        ours = _descendants(process.pid)
        process.kill()
        process.wait(timeout=30)
    assert len(ours) >= 5
    wait_until(lambda: not [pid for pid in ours if Path(f"/proc/{pid}").exists()], "their end")
