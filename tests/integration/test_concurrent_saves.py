"""Twenty clients save into one annotation at the same time, over HTTP, against gunicorn."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.live import Api, LiveApp, picture

CLIENTS = 20
SAVES = 6


def upsert(region: str, based_on: int, category: int, count: int, x: float) -> dict:
    box = [x, 1, x + 10, 1, x + 10, 11, x, 11]
    return {
        "op": "upsert",
        "region": region,
        "based_on": based_on,
        "key": str(uuid.uuid4()),
        "category": category,
        "polygons": [[box]],
        "attributes": {"count": count},
        "source": "polygon",
    }


def at_once(work: Callable[[int], int]) -> list[int]:
    """Runs `work(number)` in CLIENTS threads that start together."""
    barrier = threading.Barrier(CLIENTS)

    def one(number: int) -> int:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, range(CLIENTS)))


def start(app: LiveApp) -> tuple[Api, int, int]:
    """An owner's API, a new annotation and a category."""
    owner = app.api("owner")
    project = owner.project()["id"]
    image = owner.upload(project, {"one.png": picture(seed=project)})[0]["id"]
    return owner, owner.annotation(image)["id"], owner.categories(project)[0]["id"]


def save(api: Api, annotation: int, write: dict):
    return api.call("POST", f"annotations/{annotation}/patches", json={"writes": [write]})


def test_counting_up_in_one_region_loses_no_count(web_app):
    """Each client reads, adds one and writes; refused with 412, it starts from what is there."""
    owner, annotation, category = start(web_app)
    region = str(uuid.uuid4())
    assert save(owner, annotation, upsert(region, 0, category, 0, 1)).status_code == 200

    def count_up(number: int) -> int:
        api = web_app.api("owner")
        version, count, saved = 1, 0, 0
        while saved < SAVES:
            reply = save(api, annotation, upsert(region, version, category, count + 1, 1))
            if reply.status_code == 200:
                version, count, saved = version + 1, count + 1, saved + 1
                assert reply.json()["regions"][0]["version"] == version
            else:
                assert reply.status_code == 412, reply.text
                theirs = reply.json()["conflicts"][0]["theirs"]
                version, count = theirs["version"], theirs["attributes"]["count"]
        return saved

    assert at_once(count_up) == [SAVES] * CLIENTS
    [stored] = owner.get(f"annotations/{annotation}")["regions"]
    assert stored["attributes"] == {"count": CLIENTS * SAVES}
    assert stored["version"] == 1 + CLIENTS * SAVES


def test_regions_of_different_clients_all_arrive_once(web_app):
    """Every save is sent twice, as after a lost reply: it counts once, and none gets lost."""
    owner, annotation, category = start(web_app)

    def make(number: int) -> int:
        api = web_app.api("owner")
        for index in range(SAVES):
            write = upsert(str(uuid.uuid4()), 0, category, index, 1 + number * 12)
            first, again = save(api, annotation, write), save(api, annotation, write)
            assert first.status_code == again.status_code == 200, again.text
            assert first.json()["regions"] == again.json()["regions"]
        return SAVES

    at_once(make)
    found = owner.get(f"annotations/{annotation}")
    assert len(found["regions"]) == CLIENTS * SAVES
    assert {region["version"] for region in found["regions"]} == {1}
    assert found["revision"] == CLIENTS * SAVES
