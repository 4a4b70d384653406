"""The two sides of `bench.peer`: each starts its server and knows how to ask for the same things.

An `Action` is made ready before the clock starts; its answer is checked after the clock stopped.
"""

import http.client
import io
import json
import os
import re
import secrets
import signal
import subprocess
import tempfile
import time
import urllib.parse
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests
from pycocotools import mask as coco_mask

from annotations.formats.label_studio import pack
from bench import _peer_content as content
from bench._peer_content import CATEGORIES, HEIGHT, WIDTH, Ring, category_of
from tests.live import ROOT, LiveApp
from tests.servers import free_port, wait_until

NAME = re.compile(r"picture_(\d+)\.jpg$")
IDLE = 1.0
"""Seconds after which a connection is made anew: gunicorn closes after 2."""
EXPORT_SECONDS = 1800


class Wrong(AssertionError):
    """An answer that is not what it should be."""


class Http:
    """One person's connection; the least code that a client can have."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Token {token}"}
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> bytes:
        """The reply's body. Wrong: it is none of 200 to 299."""
        if self._connection is None or time.monotonic() - self._used > IDLE:
            if self._connection:
                self._connection.close()
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=EXPORT_SECONDS
            )
        headers = self._headers | ({"Content-Type": kind} if body else {})
        try:
            self._connection.request(method, path, body or None, headers)
            reply = self._connection.getresponse()
            found = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            raise Wrong(f"{method} {path}: {error!r}") from None
        self._used = time.monotonic()
        if not 200 <= reply.status < 300:
            raise Wrong(f"{method} {path} answered {reply.status}: {found[:300]!r}")
        return found


@dataclass(frozen=True)
class Action:
    """`do` is timed; `check` gets what it returned, raises Wrong, and may remember ids.

    `after` puts things in order for the same person's next action, and is not timed.
    """

    do: Callable[[Http], Any]
    check: Callable[[Any], None]
    after: Callable[[Http], None] = lambda http: None


def picture_name(number: int) -> str:
    return f"picture_{number:05d}.jpg"


def number_of(name: str) -> int:
    found = NAME.search(name)
    if not found:
        raise Wrong(f"no picture of ours: {name}")
    return int(found[1])


def multipart(parts: Iterable[tuple[str, str, bytes]]) -> tuple[bytes, str]:
    """A form of (field, file name, content), and its Content-Type."""
    boundary = secrets.token_hex(16)
    body = bytearray()
    for name, file, data in parts:
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        body += data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return bytes(body), f"multipart/form-data; boundary={boundary}"


def same_rings(found: Sequence[Ring], wanted: Sequence[Ring]) -> bool:
    """Vertex for vertex, up to a thousandth of a pixel, in any order of the rings."""

    def key(ring: Ring) -> tuple[float, ...]:
        return tuple(ring.round(1).ravel())

    pairs = zip(sorted(found, key=key), sorted(wanted, key=key), strict=False)
    return len(found) == len(wanted) and all(
        one.shape == other.shape and np.abs(one - other).max() < 0.002 for one, other in pairs
    )


@dataclass
class Export:
    """How right an export is: images, regions, and how many of these are exactly what was sent."""

    images: int
    wanted: int
    exact: int
    annotations: int
    """So many rows; more than `wanted` where one region became several."""


def judge(data: bytes, kind: str, numbers: Iterable[int]) -> Export:
    """Reads a zip with COCO, and compares `polygons` or `masks` with what was sent."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".json"))
        coco = json.loads(archive.read(name))
    names = {one["id"]: one["name"] for one in coco["categories"]}
    rows: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in coco["images"]}
    for row in coco["annotations"]:
        rows[row["image_id"]].append(row)
    images = {number_of(one["file_name"]): rows[one["id"]] for one in coco["images"]}
    wanted = exact = 0
    for number in numbers:
        mine = images.get(number, [])
        for index, right in enumerate(_right(kind, number)):
            wanted += 1
            exact += right(mine, names, index)
    return Export(len(images), wanted, exact, len(coco["annotations"]))


def _right(kind: str, number: int) -> list[Callable[[list[dict[str, Any]], Any, int], bool]]:
    if kind == "polygons":
        return [_ring_is_there(ring) for ring in content.rings(number)]
    return [_mask_is_there(which) for which in content.mask_numbers(number)]


def _ring_is_there(ring: Ring) -> Callable[[list[dict[str, Any]], Any, int], bool]:
    def there(rows: list[dict[str, Any]], names: Any, index: int) -> bool:
        for row in rows:
            parts = row["segmentation"]
            if names[row["category_id"]] == category_of(index) and len(parts) == 1:
                found = np.reshape(parts[0], (-1, 2))
                if found.shape == ring.shape and np.abs(found - ring).max() < 0.01:
                    return True
        return False

    return there


def _mask_is_there(which: int) -> Callable[[list[dict[str, Any]], Any, int], bool]:
    def there(rows: list[dict[str, Any]], names: Any, index: int) -> bool:
        union = np.zeros((HEIGHT, WIDTH), bool)
        for row in rows:
            if names[row["category_id"]] == CATEGORIES[index]:
                union |= _decoded(row["segmentation"])
        return bool((union == content.mask(which)).all())

    return there


def _decoded(segmentation: Any) -> content.Mask:
    if isinstance(segmentation, list):
        packed = coco_mask.merge(coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH))
    elif isinstance(segmentation["counts"], list):
        packed = coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH)
    else:
        packed = segmentation
    return coco_mask.decode(packed).astype(bool)


def memory(root: int) -> float:
    """MB of a process and all that it started; what they share counts once."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def computed(root: int) -> float:
    """Seconds of processor time of a process, of all that it started and of those that ended."""
    ticks = 0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and its descendants."""
    found = [root]
    for pid in found:
        for path in Path("/proc").glob(f"{pid}/task/*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


@dataclass
class Side:
    """What both have in common. `images[kind][number]` and the like are filled by the checks."""

    people: int
    port: int = field(default_factory=free_port)
    tokens: list[str] = field(default_factory=list)
    projects: dict[str, int] = field(default_factory=dict)
    images: dict[tuple[str, int], int] = field(default_factory=dict)
    annotations: dict[tuple[str, int], int] = field(default_factory=dict)
    root: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def http(self, person: int = 0) -> Http:
        return Http(self.port, self.tokens[person])


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
            _expect("images in the list", len(found), wanted)

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
        begin = self._begun(kind, number)
        patch = self._patch(kind, number)

        def do(http: Http) -> bytes:
            annotation = int(json.loads(begin(http))["id"])
            saved = http.ask("POST", f"/api/annotations/{annotation}/patches", patch)
            revision = json.dumps({"revision": json.loads(saved)["revision"]}).encode()
            return http.ask("POST", f"/api/annotations/{annotation}/submit", revision)

        def check(reply: bytes) -> None:
            made = json.loads(reply)
            _expect("status", made["status"], "submitted")
            self.annotations[kind, number] = made["id"]

        return Action(do, check)

    def prepared(self, kind: str, number: int) -> Action:
        """An annotation with its regions that can be changed."""
        begin = self._begun(kind, number)
        patch = self._patch(kind, number, moved=5)

        def do(http: Http) -> bytes:
            self.annotations[kind, number] = int(json.loads(begin(http))["id"])
            return http.ask(
                "POST", f"/api/annotations/{self.annotations[kind, number]}/patches", patch
            )

        return Action(do, lambda reply: None)

    def updated(self, kind: str, number: int) -> Action:
        """All regions of `prepared` are replaced."""
        path = f"/api/annotations/{self.annotations[kind, number]}/patches"
        patch = self._patch(kind, number, based_on=1)

        def check(reply: bytes) -> None:
            versions = [one["version"] for one in json.loads(reply)["regions"]]
            _expect("versions", versions, [2] * content.POLYGONS)

        return Action(lambda http: http.ask("POST", path, patch), check)

    def _begun(self, kind: str, number: int) -> Callable[[Http], bytes]:
        path = f"/api/images/{self.images[kind, number]}/annotations"
        return lambda http: http.ask("POST", path)

    def _patch(self, kind: str, number: int, based_on: int = 0, moved: int = 0) -> bytes:
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
        return json.dumps({"writes": writes, "seconds": 5}).encode()

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
                time.sleep(0.02)
                job = self._ask(http, "GET", f"jobs/{job['id']}")
            _expect("state of the export", job["state"], "done")
            return http.ask("GET", f"/api/jobs/{job['id']}/download")

        return do


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
            _expect("tasks made", json.loads(reply)["task_count"], len(files))

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
            _expect("tasks in the list", len(found), wanted)

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
            _expect("regions", len(json.loads(reply)["result"]), content.POLYGONS)

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


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, not {wanted!r}")


def temporary(prefix: str) -> Path:
    """A folder on the disk of the repository, where databases keep what they would keep."""
    (ROOT / ".cache" / "peer").mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=ROOT / ".cache" / "peer"))
