"""Our side of `bench.peer`."""

import json
import signal
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import requests

from bench import _peer_content as content
from bench._peer_content import CATEGORIES, HEIGHT, WIDTH, category_of
from bench._peer_sides import (
    Action,
    Http,
    Side,
    Wrong,
    expect,
    multipart,
    number_of,
    picture_name,
    same_rings,
)
from tests.live import LiveApp
from tests.servers import wait_until


class Ours(Side):
    name = "ours"

    def start(self, folder: Path) -> None:
        """`manage.py serve`, as script/server does it: SQLite, not DEBUG, a fresh data folder."""
        app = LiveApp(PORT=str(self.port), LABELER_DATA=str(folder))
        app.data = folder
        names = [f"person{number}" for number in range(self.people)]
        app.prepare(names)
        app.spawn("serve", "manage.py", "serve", "--port", str(self.port))
        wait_until(lambda: requests.get(f"{self.url}/login", timeout=5).ok, "our server", 120)
        self.serving = app.processes["serve"]
        self.root = self.serving.pid
        self.use(app, names)

    def use(self, app: LiveApp, names: Sequence[str]) -> None:
        """People and projects on a server that runs."""
        self.tokens = [app.people[name].token for name in names]
        self.session = app.people[names[0]].session
        self.categories: dict[int, dict[str, int]] = {}
        owner = self.http()
        for kind in ("polygons", "masks", "queue"):
            self.projects[kind] = project = self.make_project(owner, kind)
            for name in names[1:]:
                person = {"username": name, "role": "manager"}
                self._ask(owner, "POST", f"projects/{project}/members", person)

    def make_project(self, http: Http, name: str) -> int:
        """One with our categories, whose ids `categories` holds."""
        kind = {"name": name, "kind": "instance"}
        project = int(self._ask(http, "POST", "projects", kind)["id"])
        self.categories[project] = {}
        for index, category in enumerate(CATEGORIES):
            values: dict[str, Any] = {
                "name": category,
                "color": f"#33{40 + 20 * index}99",
                "is_thing": True,
            }
            made = self._ask(http, "POST", f"projects/{project}/categories", values)
            self.categories[project][category] = made["id"]
        return project

    def stop(self) -> None:
        self.serving.send_signal(signal.SIGTERM)
        self.serving.wait(30)

    def _ask(self, http: Http, method: str, path: str, values: Any = None) -> Any:
        body = b"" if values is None else json.dumps(values).encode()
        return json.loads(http.ask(method, f"/api/{path}", body) or b"null")

    def upload(self, kind: str, files: Mapping[int, bytes]) -> Action:
        parts = (("files", picture_name(number), data) for number, data in files.items())
        body, mime = multipart(parts)
        path = f"/api/projects/{self.projects[kind]}/images"

        def check(reply: bytes) -> None:
            made = {one["name"]: one["image"] for one in json.loads(reply)["results"]}
            for number in files:
                image = made.get(picture_name(number))
                if not image:
                    raise Wrong(f"{picture_name(number)} was not taken")
                self.images[kind, number] = image["id"]

        return Action(lambda http: http.ask("POST", path, body, mime), check)

    def list_images(self, kind: str) -> set[int]:
        """The numbers of all images of a project, page by page."""
        found: set[int] = set()
        after = ""
        while True:
            path = f"projects/{self.projects[kind]}/images?limit=100{after}"
            page = self._ask(self.http(), "GET", path)
            for one in page["results"]:
                found.add(number_of(one["name"]))
            if page["next"] is None:
                return found
            after = f"&after={page['next']}"

    def listed(self, kind: str, wanted: int) -> Action:
        path = f"/api/projects/{self.projects[kind]}/images?limit=100"

        def check(reply: bytes) -> None:
            found = {number_of(one["name"]) for one in json.loads(reply)["results"]}
            expect("images in the list", len(found), wanted)

        return Action(lambda http: http.ask("GET", path), check)

    def opened(self, number: int) -> Action:
        image = self.images["polygons", number]
        annotation = self.annotations["polygons", number]
        path = f"/api/images/{image}/workspace?annotation={annotation}"

        def check(reply: bytes) -> None:
            regions = json.loads(reply)["annotation"]["regions"]
            found = [np.reshape(one["polygons"][0][0], (-1, 2)) for one in regions]
            if not same_rings(found, content.rings(number)):
                raise Wrong(f"{picture_name(number)} opens with other polygons than were sent")

        return Action(lambda http: http.ask("GET", path), check)

    def submitted(self, kind: str, number: int) -> Action:
        """A new annotation with its regions, submitted: what one does from start to end."""
        path = f"/api/images/{self.images[kind, number]}/patches"
        patch = self._patch(kind, number, submit=str(uuid.uuid4()))

        def check(reply: bytes) -> None:
            made = json.loads(reply)
            expect("status", made["status"], "submitted")
            self.annotations[kind, number] = made["annotation"]

        return Action(lambda http: http.ask("POST", path, patch), check)

    def prepared(self, kind: str, number: int) -> Action:
        """An annotation with its regions that can be changed."""
        path = f"/api/images/{self.images[kind, number]}/patches"
        patch = self._patch(kind, number, moved=5)

        def check(reply: bytes) -> None:
            self.annotations[kind, number] = json.loads(reply)["annotation"]

        return Action(lambda http: http.ask("POST", path, patch), check)

    def updated(self, kind: str, number: int) -> Action:
        """All regions of `prepared` are replaced."""
        path = f"/api/annotations/{self.annotations[kind, number]}/patches"
        patch = self._patch(kind, number, based_on=1)

        def check(reply: bytes) -> None:
            versions = [one["version"] for one in json.loads(reply)["regions"]]
            expect("versions", versions, [2] * content.POLYGONS)

        return Action(lambda http: http.ask("POST", path, patch), check)

    def _patch(
        self, kind: str, number: int, based_on: int = 0, moved: int = 0, **more: str
    ) -> bytes:
        categories = self.categories[self.projects[kind]]
        shapes: list[dict[str, Any]]
        if kind == "masks":
            counts = [content.counts(which) for which in content.mask_numbers(number)]
            shapes = [{"mask": {"size": [HEIGHT, WIDTH], "counts": one}} for one in counts]
        else:
            rings = content.rings(number, moved=moved)
            shapes = [{"polygons": [[ring.ravel().tolist()]]} for ring in rings]
        writes = [
            {
                "op": "upsert",
                "region": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {number} {index}")),
                "based_on": based_on, "key": str(uuid.uuid4()),
                "category": categories[category_of(index)], "order": index, **shape,
            }
            for index, shape in enumerate(shapes)
        ]  # fmt: skip
        return json.dumps({"writes": writes, "seconds": 5, **more}).encode()

    def next(self, given: list[int]) -> Action:
        path = f"/api/projects/{self.projects['queue']}/next"
        mine: list[int] = []

        def check(reply: bytes) -> None:
            image = json.loads(reply)["image"]
            if image is None:
                raise Wrong("the queue is empty too early")
            given.append(image)
            mine.append(image)

        def after(http: Http) -> None:
            """It is submitted as "nothing there", so that another one comes."""
            made = self._ask(http, "POST", f"images/{mine[0]}/annotations")
            values = {"revision": made["revision"]}
            self._ask(http, "POST", f"annotations/{made['id']}/submit", values)

        return Action(lambda http: http.ask("POST", path, b"{}"), check, after)

    def export(self, kind: str) -> Callable[[Http], bytes]:
        """COCO: asked for, waited for and downloaded."""
        values = {"format": "coco", "status": "all"}

        def do(http: Http) -> bytes:
            job = self._ask(http, "POST", f"projects/{self.projects[kind]}/exports", values)
            while job["state"] in ("queued", "running"):
                time.sleep(0.05)
                job = self._ask(http, "GET", f"jobs/{job['id']}")
            expect("state of the export", job["state"], "done")
            return http.ask("GET", f"/api/jobs/{job['id']}/download")

        return do
