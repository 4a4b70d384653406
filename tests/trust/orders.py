"""Somebody who orders exports and pre-labeling while workers are killed; the check of each job.

Every job ends. One that is done did each of its images once, or says at which of them workers were
killed twice; its file is whole.
"""

import contextlib
import io
import json
import threading
import time
import uuid
import zipfile
from collections import Counter
from typing import Any

import requests

from tests.live import Api, ApiError, picture

IMAGES = 8
ENDED = ("done", "failed", "cancelled")
SETTLE_SECONDS = 120
PAUSE = 1.0


class Orders:
    """One job after the other in a project of its own. `running` is set while one runs."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.running = threading.Event()
        self.states: Counter[str] = Counter()
        self.attempts = 0
        self.wrong: list[str] = []
        self.project = api.project()["id"]
        images = api.upload(self.project, {f"{n}.png": picture(seed=n) for n in range(IMAGES)})
        self.images = [image["id"] for image in images]
        category = api.categories(self.project)[0]["id"]
        for image in self.images:
            write = {
                "op": "upsert", "region": str(uuid.uuid4()), "key": str(uuid.uuid4()),
                "based_on": 0, "category": category, "polygons": [[[5, 5, 90, 6, 60, 80]]],
            }  # fmt: skip
            annotation = api.annotation(image)["id"]
            api.post(f"annotations/{annotation}/patches", {"writes": [write]})
        models = api.get("models")["results"]
        self.model = next(one["id"] for one in models if one["name"] == "classic")

    def work(self, stop: threading.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(ApiError, requests.RequestException):
                self._wait(self._order(number)["id"], stop)
            stop.wait(PAUSE)

    def _order(self, number: int) -> Any:
        if number % 2:
            body = {"format": "coco", "status": "all", "images": True}
            return self.api.post(f"projects/{self.project}/exports", body)
        return self.api.post(f"projects/{self.project}/prelabel", {"model": self.model})

    def _wait(self, job: int, stop: threading.Event) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while not stop.wait(0.2) and time.monotonic() < deadline:
            try:
                state = self.api.get(f"jobs/{job}")["state"]
            except (ApiError, requests.RequestException):
                continue
            if state in ENDED:
                break
            if state == "running":
                self.running.set()
        self.running.clear()

    def check(self) -> None:
        """Waits for what is still under way, then looks at every job."""
        deadline = time.monotonic() + SETTLE_SECONDS
        for job in self._jobs():
            number = job["id"]
            while job["state"] not in ENDED and time.monotonic() < deadline:
                time.sleep(0.2)
                job = self.api.get(f"jobs/{number}")
            self.states[job["state"]] += 1
            self.attempts += job["attempts"]
            if job["state"] == "done":
                problem = self._problem(job)
                self.wrong += [f"job {number} ({job['kind']}): {problem}"] if problem else []
            elif job["attempts"] < 3:  # each attempt was killed: then it may be given up
                self.wrong.append(f"job {number} is {job['state']} after {job['attempts']}: {job}")

    def _jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": 200}
        while query:
            page = self.api.get(f"projects/{self.project}/jobs", params=query)
            found += page["results"]
            query = {"limit": 200, "after": page["next"]} if page["next"] else {}
        return found

    def _problem(self, job: dict[str, Any]) -> str:
        """What is wrong with a job that is done, or nothing."""
        if job["kind"] == "prelabel":
            path = f"jobs/{job['id']}/items"
            items = self.api.get(path, params={"limit": 200})["results"]
            # An image at which workers were killed twice is passed over, and says so.
            ended = [
                item["image"]
                for item in items
                if item["state"] == "done" or item["error"].startswith("The worker stopped")
            ]
            return "" if sorted(ended) == self.images else f"it ended the images {ended}"
        data = self.api.call("GET", f"jobs/{job['id']}/download").content
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.testzip():
                return "its file is damaged"
            names = archive.namelist()
            regions = sum(
                len(json.loads(archive.read(name)).get("annotations", []))
                for name in names
                if name.endswith(".json")
            )
        pictures = sum(name.endswith(".png") for name in names)
        whole = regions == pictures == IMAGES
        return "" if whole else f"its file has {regions} regions and {pictures} images"
