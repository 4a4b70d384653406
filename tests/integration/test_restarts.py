"""A new version is rolled out under load: no save fails, and no job loses an attempt."""

import signal
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
import requests

from tests.live import LiveApp, picture
from tests.servers import free_port, wait_until
from tests.trust.proxy import CuttingProxy

pytestmark = [pytest.mark.redis, pytest.mark.postgres]
IMAGES = 24


class Balancer(CuttingProxy):
    """Sends each connection to one of the servers that are in service. It cuts nothing."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__(ports[0], seed=0, before=0, after=0)
        self.ports = ports

    def target(self) -> tuple[str, int]:
        return "127.0.0.1", self.random.choice(self.ports)

    def __enter__(self) -> "Balancer":
        super().__enter__()
        return self


@pytest.fixture(scope="module")
def app(postgres_url, redis_url) -> Iterator[LiveApp]:
    app = LiveApp(DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    try:
        app.prepare()
        app.start_web()
        yield app
    finally:
        app.stop()


@pytest.fixture(scope="module")
def project(app) -> int:
    owner = app.api("owner")
    project = owner.project()["id"]
    owner.upload(project, {f"{n:03}.png": picture(480, 360, seed=n) for n in range(IMAGES)})
    return project


class Saves:
    """Saves into one annotation; each patch is sent once."""

    def __init__(self, app: LiveApp, project: int) -> None:
        self.owner = app.api("owner")
        image = self.owner.get(f"projects/{project}/images")["results"][0]["id"]
        self.annotation = self.owner.annotation(image)["id"]
        self.category = self.owner.categories(project)[0]["id"]
        token = f"Token {app.people['owner'].token}"
        self.headers = {"Authorization": token, "Connection": "close"}

    def send(self, url: str, regions: int = 1) -> int:
        """The answer's status, 0 without an answer."""
        writes = [
            {
                "op": "upsert", "region": str(uuid.uuid4()), "key": str(uuid.uuid4()),
                "based_on": 0, "category": self.category, "polygons": [[[1, 1, 9, 1, 9, 9]]],
            }
            for _ in range(regions)
        ]  # fmt: skip
        address = f"{url}/api/annotations/{self.annotation}/patches"
        body = {"writes": writes}
        try:
            return requests.post(address, json=body, headers=self.headers, timeout=60).status_code
        except requests.RequestException:
            return 0

    def revision(self) -> int:
        return self.owner.get(f"annotations/{self.annotation}")["revision"]


@pytest.fixture(scope="module")
def saves(app, project) -> Saves:
    return Saves(app, project)


def start_web(app: LiveApp, port: int) -> None:
    app.spawn(
        f"web-{port}",
        *["-m", "gunicorn", "labeler.wsgi", "--config", "deploy/gunicorn.py"],
        *["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4"],
    )
    address = f"http://127.0.0.1:{port}/readyz"
    wait_until(lambda: requests.get(address, timeout=5).ok, address, seconds=60)


def test_servers_restarted_in_turn_fail_no_save(app, saves):
    """As the manifests do it: out of service, SIGTERM, a new one, into service when it is ready."""
    ports = [free_port(), free_port()]
    for port in ports:
        start_web(app, port)
    stop, answers, before = threading.Event(), [], saves.revision()
    with Balancer(list(ports)) as balancer:

        def work() -> None:
            while not stop.is_set():
                answers.append(saves.send(balancer.url))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for port in ports:
                balancer.ports = [other for other in ports if other != port]
                old = app.processes.pop(f"web-{port}")
                old.send_signal(signal.SIGTERM)
                assert old.wait(timeout=30) == 0
                start_web(app, port)
                balancer.ports = list(ports)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            for port in ports:
                app.kill(f"web-{port}")
    assert set(answers) == {200}, answers
    assert saves.revision() - before == len(answers) > 10


@pytest.mark.parametrize(("end", "finishes"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_a_stopped_server_finishes_the_save_that_it_meets(app, saves, end, finishes):
    """The control: after SIGKILL nothing of it is there."""
    port, before, answer = free_port(), saves.revision(), []
    start_web(app, port)
    url = f"http://127.0.0.1:{port}"
    thread = threading.Thread(target=lambda: answer.append(saves.send(url, 1000)))
    thread.start()
    time.sleep(0.2 if finishes else 0.06)  # it is at it by then, and before its COMMIT
    if end == signal.SIGKILL:
        app.kill(f"web-{port}")
    else:
        server = app.processes.pop(f"web-{port}")
        server.send_signal(end)
        server.wait(timeout=30)
    thread.join()
    assert answer == [200 if finishes else 0]
    assert saves.revision() - before == (1000 if finishes else 0)


def test_a_stopped_worker_hands_its_job_back_at_once(app, project):
    """The next worker goes on; however often that happens, no attempt is used up."""
    owner = app.api("owner")
    [model] = [one["id"] for one in owner.get("models")["results"] if one["name"] == "classic"]
    job = owner.post(f"projects/{project}/prelabel", {"model": model})["id"]
    for round_ in range(2):
        app.start_worker("batch,io")
        worker = app.processes["worker-batch,io"]
        least = 2 * round_
        # Called at once, so that it sees the `least` of this round.
        wait_until(lambda: owner.get(f"jobs/{job}")["done"] > least, "progress")  # noqa: B023
        worker.send_signal(signal.SIGTERM)
        worker.wait(timeout=20)
        found = owner.get(f"jobs/{job}")
        assert (found["state"], found["attempts"]) == ("queued", 0), found
    app.start_worker("batch,io")
    try:
        ended = owner.wait_for_job(job)
    finally:
        app.kill("worker-batch,io")
    assert (ended["state"], ended["attempts"]) == ("done", 1), ended
    items = owner.get(f"jobs/{job}/items", params={"limit": 200})["results"]
    assert [item["state"] for item in items] == ["done"] * IMAGES
