"""Label Studio's side of `bench.peer`."""

import json
import os
import re
import secrets
import signal
import subprocess
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import requests

from annotations.formats.label_studio import pack
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
from tests.servers import wait_until


class LabelStudio(Side):
    name = "Label Studio"

    def __init__(self, people: int, program: Path) -> None:
        super().__init__(people)
        self.program = program

    def start(self, folder: Path) -> None:
        """Its embedded default: SQLite, its own web server. Telemetry is off."""
        self.user, self.password = "person0@example.com", secrets.token_urlsafe(12)
        token = secrets.token_hex(20)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder),
            "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
            "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_USERNAME": self.user, "LABEL_STUDIO_PASSWORD": self.password,
            "LABEL_STUDIO_USER_TOKEN": token,
        }  # fmt: skip
        command = [
            str(self.program), "start", "--no-browser", "--internal-host", "127.0.0.1",
            "--port", str(self.port), "--enable-legacy-api-token",
        ]  # fmt: skip
        with (folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, cwd=folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.root = self.process.pid
        wait_until(lambda: requests.get(f"{self.url}/health", timeout=5).ok, "Label Studio", 600)
        self.tokens = [token, *(self._sign_up(number) for number in range(1, self.people))]
        for kind in ("polygons", "masks", "queue"):
            self.projects[kind] = self.make_project(self.http(), kind)

    def make_project(self, http: Http, kind: str) -> int:
        """For masks, or for polygons."""
        tag = "BrushLabels" if kind == "masks" else "PolygonLabels"
        labels = "".join(f'<Label value="{name}"/>' for name in CATEGORIES)
        config = (
            f'<View><Image name="image" value="$image"/><{tag} name="label" toName="image">'
            f"{labels}</{tag}></View>"
        )
        values = {"title": kind, "label_config": config, "maximum_annotations": 1}
        return int(self._ask(http, "POST", "projects/", values)["id"])

    def _sign_up(self, number: int) -> str:
        """A further person, by the page that is open to all; returns the token."""
        session = requests.Session()
        page = f"{self.url}/user/signup/"
        found = re.search(
            r'csrfmiddlewaretoken" value="([^"]+)"', session.get(page, timeout=60).text
        )
        assert found
        values = {
            "csrfmiddlewaretoken": found[1], "email": f"person{number}@example.com",
            "password": self.password, "how_find_us": "other",
        }  # fmt: skip
        session.post(page, data=values, headers={"Referer": page}, timeout=60)
        reply = session.get(f"{self.url}/api/current-user/token", timeout=60)
        return str(reply.json()["token"])

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(15)

    def _ask(self, http: Http, method: str, path: str, values: Any = None) -> Any:
        body = b"" if values is None else json.dumps(values).encode()
        return json.loads(http.ask(method, f"/api/{path}", body) or b"null")

    def upload(self, kind: str, files: Mapping[int, bytes]) -> Action:
        parts = ((f"file{n}", picture_name(n), data) for n, data in files.items())
        body, mime = multipart(parts)
        path = f"/api/projects/{self.projects[kind]}/import"

        def check(reply: bytes) -> None:
            expect("tasks made", json.loads(reply)["task_count"], len(files))

        return Action(lambda http: http.ask("POST", path, body, mime), check)

    def list_images(self, kind: str) -> set[int]:
        """The numbers of all tasks, and their ids into `images`."""
        page = 1
        while True:
            path = f"tasks/?project={self.projects[kind]}&page={page}&page_size=100"
            reply = self._ask(self.http(), "GET", path)
            for task in reply["tasks"]:
                self.images[kind, number_of(task["data"]["image"])] = task["id"]
            if 100 * page >= reply["total"]:
                return {number for one, number in self.images if one == kind}
            page += 1

    def listed(self, kind: str, wanted: int) -> Action:
        path = f"/api/tasks/?project={self.projects[kind]}&page=1&page_size=100"

        def check(reply: bytes) -> None:
            tasks = json.loads(reply)["tasks"]
            found = {number_of(one["data"]["image"]) for one in tasks}
            expect("tasks in the list", len(found), wanted)

        return Action(lambda http: http.ask("GET", path), check)

    def opened(self, number: int) -> Action:
        path = f"/api/tasks/{self.images['polygons', number]}/?project={self.projects['polygons']}"

        def check(reply: bytes) -> None:
            results = json.loads(reply)["annotations"][0]["result"]
            scale = np.array([WIDTH, HEIGHT]) / 100
            found = [np.array(one["value"]["points"]) * scale for one in results]
            if not same_rings(found, content.rings(number)):
                raise Wrong(f"{picture_name(number)} opens with other polygons than were sent")

        return Action(lambda http: http.ask("GET", path), check)

    def submitted(self, kind: str, number: int) -> Action:
        return self._annotated(kind, number, 0)

    def prepared(self, kind: str, number: int) -> Action:
        return self._annotated(kind, number, 5)

    def _annotated(self, kind: str, number: int, moved: int) -> Action:
        path = f"/api/tasks/{self.images[kind, number]}/annotations/"
        body = self._result(kind, number, moved)

        def check(reply: bytes) -> None:
            self.annotations[kind, number] = json.loads(reply)["id"]

        return Action(lambda http: http.ask("POST", path, body), check)

    def updated(self, kind: str, number: int) -> Action:
        path = f"/api/annotations/{self.annotations[kind, number]}/"
        body = self._result(kind, number)

        def check(reply: bytes) -> None:
            expect("regions", len(json.loads(reply)["result"]), content.POLYGONS)

        return Action(lambda http: http.ask("PATCH", path, body), check)

    def _result(self, kind: str, number: int, moved: int = 0) -> bytes:
        values: list[dict[str, Any]]
        if kind == "masks":
            values = [
                {"format": "rle", "rle": packed, "brushlabels": [category_of(index)]}
                for index, packed in enumerate(map(packed_mask, content.mask_numbers(number)))
            ]
        else:
            scale = 100 / np.array([WIDTH, HEIGHT])
            values = [
                {
                    "points": (ring * scale).tolist(), "closed": True,
                    "polygonlabels": [category_of(index)],
                }
                for index, ring in enumerate(content.rings(number, moved=moved))
            ]  # fmt: skip
        results = [
            {
                "id": f"r{index}", "type": "brushlabels" if kind == "masks" else "polygonlabels",
                "from_name": "label", "to_name": "image", "image_rotation": 0,
                "original_width": WIDTH, "original_height": HEIGHT, "value": value,
            }
            for index, value in enumerate(values)
        ]  # fmt: skip
        return json.dumps({"result": results, "lead_time": 5}).encode()

    def next(self, given: list[int]) -> Action:
        path = f"/api/projects/{self.projects['queue']}/next/"
        mine: list[int] = []

        def check(reply: bytes) -> None:
            mine.append(json.loads(reply)["id"])
            given.append(mine[0])

        def after(http: Http) -> None:
            values = {"result": [], "lead_time": 1}
            self._ask(http, "POST", f"tasks/{mine[0]}/annotations/", values)

        return Action(lambda http: http.ask("GET", path), check, after)

    def export(self, kind: str) -> Callable[[Http], bytes]:
        form = {"polygons": "COCO", "masks": "BRUSH_TO_COCO"}[kind]
        query = urllib.parse.urlencode({"exportType": form})
        path = f"/api/projects/{self.projects[kind]}/export?{query}"
        return lambda http: http.ask("GET", path)


_packed: dict[int, list[int]] = {}


def packed_mask(which: int) -> list[int]:
    if which not in _packed:
        _packed[which] = pack(content.mask(which))
    return _packed[which]
