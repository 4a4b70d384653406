"""Real Celery workers, killed with SIGKILL in the middle of a job.

Once as a team runs them (PostgreSQL, Redis), once as a laptop does (SQLite, no broker server).
"""

import io
import time
import uuid
import zipfile
from collections.abc import Iterator

import pytest
import redis

from tests.live import Api, LiveApp, killed_at, picture

WORKER = "worker-batch,io"
IMAGES = 24


TEAM = pytest.param("team", marks=[pytest.mark.redis, pytest.mark.postgres])


@pytest.fixture(scope="module", params=[TEAM, "laptop"])
def app(request: pytest.FixtureRequest) -> Iterator[LiveApp]:
    settings = {"JOB_LEASE_SECONDS": "4"}
    if request.param == "team":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres_url")
        settings["REDIS_URL"] = request.getfixturevalue("redis_url")
    app = LiveApp(data=None, **settings)
    try:
        app.prepare()
        app.start_web()
        app.start_sweeper()
        yield app
    finally:
        app.stop()


@pytest.fixture
def worker(app) -> Iterator[str]:
    app.start_worker("batch,io")
    yield WORKER
    if WORKER in app.processes:
        app.kill(WORKER)


@pytest.fixture(scope="module")
def project(app) -> int:
    owner = app.api("owner")
    project = owner.project()["id"]
    owner.upload(project, {f"{n:03}.png": picture(480, 360, seed=n) for n in range(IMAGES)})
    category = owner.categories(project)[0]["id"]
    for image in owner.get(f"projects/{project}/images", params={"limit": 200})["results"]:
        region = {
            "op": "upsert",
            "region": str(uuid.uuid4()),
            "key": str(uuid.uuid4()),
            "based_on": 0,
            "category": category,
            "polygons": [[[50, 50, 400, 60, 300, 300]]],
        }
        annotation = owner.annotation(image["id"])["id"]
        owner.post(f"annotations/{annotation}/patches", {"writes": [region]})
    return project


def wait_for_progress(api: Api, job: int, least: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        found = api.get(f"jobs/{job}")
        assert found["state"] in ("queued", "running"), f"it ended too soon to be killed: {found}"
        if found["state"] == "running" and found["done"] >= least:
            return
        time.sleep(0.02)
    raise TimeoutError(f"job {job} made no progress: {found}")


def kill_and_restart(app: LiveApp, api: Api, job: int, least: int) -> dict:
    """SIGKILL once the job is under way, a new worker, and the job as it ended."""
    wait_for_progress(api, job, least)
    app.kill(WORKER)
    assert api.get(f"jobs/{job}")["state"] == "running"  # a dead worker tells nobody
    app.start_worker("batch,io")
    return api.wait_for_job(job)


def items(api: Api, job: int) -> list[dict]:
    return api.get(f"jobs/{job}/items", params={"limit": 200})["results"]


def test_a_killed_prelabel_ends_after_the_restart_and_does_each_image_once(app, project, worker):
    owner = app.api("owner")
    [model] = [one["id"] for one in owner.get("models")["results"] if one["name"] == "classic"]
    job = owner.post(f"projects/{project}/prelabel", {"model": model})["id"]
    ended = kill_and_restart(app, owner, job, least=3)
    assert ended["state"] == "done", ended
    assert ended["attempts"] >= 2
    done = items(owner, job)
    assert len(done) == IMAGES
    assert {item["state"] for item in done} == {"done"}
    images = owner.get(f"projects/{project}/images", params={"limit": 200})["results"]
    for image in images[:5]:
        proposals = owner.get(f"images/{image['id']}/workspace")["proposals"]
        boxes = [tuple(proposal["bbox"]) for proposal in proposals]
        assert boxes
        assert len(set(boxes)) == len(boxes)


def test_a_killed_export_ends_after_the_restart_with_a_whole_file(app, project):
    """Killed where the file is whole and not yet in its place."""
    owner = app.api("owner")
    body = {"format": "coco", "status": "all", "images": True}
    job = owner.post(f"projects/{project}/exports", body)["id"]
    killed_at(app, job, "files.sync", "exports.run_export")
    assert owner.get(f"jobs/{job}")["state"] == "running"  # a dead worker tells nobody
    app.start_worker("batch,io")
    try:
        ended = owner.wait_for_job(job)
    finally:
        app.kill(WORKER)
    assert (ended["state"], ended["attempts"]) == ("done", 2), ended
    data = owner.call("GET", f"jobs/{job}/download").content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert sum(name.endswith(".png") for name in archive.namelist()) == IMAGES
    assert app.api("stranger").call("GET", f"jobs/{job}/download").status_code == 404


@pytest.mark.parametrize("app", [TEAM], indirect=True)
def test_a_broker_that_is_flushed_and_stopped_delays_jobs_and_loses_none(
    app, project, redis_server
):
    """One job's message is lost, the other's could not be sent: the sweeper sends both again."""
    owner = app.api("owner")
    body = {"format": "coco", "status": "all", "images": True}
    lost = owner.post(f"projects/{project}/exports", body)["id"]
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.dbsize() > 0
        client.flushall()
    redis_server.kill()
    try:
        unsent = owner.post(f"projects/{project}/exports", body)["id"]
        assert owner.get(f"jobs/{unsent}")["state"] == "queued"
    finally:
        redis_server.start()
    app.start_worker("batch,io")
    try:
        assert owner.wait_for_job(lost)["state"] == "done"
        assert owner.wait_for_job(unsent)["state"] == "done"
    finally:
        app.kill(WORKER)
