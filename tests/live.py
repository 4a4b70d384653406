"""The whole product as processes of its own: gunicorn and Celery workers on a fresh data folder.

`LiveApp` starts them on a free port of 127.0.0.1, with any database and broker; `Api` talks to them
as a script would. People are made once, with a password, an API token and a session each.
"""

import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from PIL import Image, ImageDraw

from tests import templates
from tests.servers import free_port, wait_until

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "STORAGE_URL", "DEBUG")
PEOPLE = ("owner", "manager", "reviewer", "annotator", "teammate", "stranger")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can log in. `session` is the value of the session cookie."""

    id: int
    username: str
    password: str
    token: str
    session: str


class ApiError(AssertionError):
    """A reply of 400 or more; `body` is `{code, detail, field, hint}` where it was JSON."""

    def __init__(self, call: str, status: int, body: Any) -> None:
        super().__init__(f"{call} answered {status}: {str(body)[:2000]}")
        self.status = status
        self.body = body


class Api:
    """The REST API as one person sees it, by token. Paths are relative to /api/."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.headers["Authorization"] = f"Token {token}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """The bare reply, whatever its status."""
        return self.http.request(method, f"{self.url}/api/{path}", timeout=60, **options)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The reply's JSON, None where it has no body; raises ApiError from 400 on."""
        reply = self.call(method, path, **options)
        is_json = "json" in reply.headers.get("Content-Type", "")
        body = reply.json() if is_json and reply.content else reply.text or None
        if reply.status_code >= 400:
            raise ApiError(f"{method} /api/{path}", reply.status_code, body)
        return body

    def get(self, path: str, **options: Any) -> Any:
        return self.ask("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        return self.ask("POST", path, json=json, **options)

    def patch(self, path: str, json: Any) -> Any:
        return self.ask("PATCH", path, json=json)

    def delete(self, path: str) -> Any:
        return self.ask("DELETE", path)

    def project(
        self,
        kind: str = "instance",
        name: str = "",
        categories: Iterable[Mapping[str, Any]] = (),
        members: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """A new project; `categories` default to a thing "cell" and a stuff "ground"."""
        made = self.post(
            "projects", {"name": name or f"Project {secrets.token_hex(4)}", "kind": kind}
        )
        for category in categories or (
            {"name": "cell", "color": "#e6194b", "hotkey": "1", "is_thing": True},
            {"name": "ground", "color": "#3cb44b", "hotkey": "2", "is_thing": False},
        ):
            self.post(f"projects/{made['id']}/categories", dict(category))
        for username, role in (members or {}).items():
            self.post(f"projects/{made['id']}/members", {"username": username, "role": role})
        return made

    def categories(self, project: int) -> list[dict[str, Any]]:
        return self.get(f"projects/{project}/categories")["results"]

    def upload(self, project: int, files: Mapping[str, bytes]) -> list[dict[str, Any]]:
        """Uploads `{name: bytes}` and returns all images of the project, oldest first."""
        self.post(
            f"projects/{project}/images",
            files=[("files", (name, data)) for name, data in files.items()],
        )
        found = self.get(f"projects/{project}/images", params={"limit": 200})["results"]
        return sorted(found, key=lambda image: image["id"])

    def annotation(self, image: int) -> dict[str, Any]:
        """One's own annotation of an image, made if there is none."""
        return self.post(f"images/{image}/annotations")

    def wait_for_job(self, job: int, seconds: float = 120) -> dict[str, Any]:
        """The job once it has ended, however it ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.get(f"jobs/{job}")
            if found["state"] in ("done", "failed", "cancelled"):
                return found
            time.sleep(0.2)
        raise TimeoutError(f"Job {job} is {found['state']} after {seconds:.0f} s: {found}")


DISCS = [
    (0.25, 0.3, 0.15, (220, 90, 80)),
    (0.7, 0.35, 0.2, (240, 200, 90)),
    (0.5, 0.75, 0.12, (120, 200, 230)),
]
"""x, y and radius as parts of the width, the height and the shorter side; colour."""


def picture(width: int = 320, height: int = 240, seed: int = 0) -> bytes:
    """A PNG: bright discs of different sizes on a dark ground; another `seed`, other content."""
    image = Image.new("RGB", (width, height), (24, 32 + seed % 32, 40 + seed // 32 % 32))
    draw = ImageDraw.Draw(image)
    for index, (x, y, radius) in enumerate(
        [(0.25, 0.3, 0.15), (0.7, 0.35, 0.2), (0.5, 0.75, 0.12)]
    ):
        x, y, radius = x * width, y * height, radius * min(width, height)
        color = [(220, 90, 80), (240, 200, 90), (120, 200, 230)][index]
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def region_write(category: int, region: str = "", based_on: int = 0) -> dict[str, Any]:
    """A write of the save protocol: a new region, or another version of one."""
    return {
        "op": "upsert", "region": region or str(uuid.uuid4()), "key": str(uuid.uuid4()),
        "based_on": based_on, "category": category, "polygons": [[[1, 1, 20, 1, 20, 30]]],
    }  # fmt: skip


class LiveApp:
    """Web process and workers. `environment` adds to, or overrides, the default settings."""

    def __init__(self, *, data: Path | None = None, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = data or Path(tempfile.mkdtemp(prefix="labeler-live-"))
        inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        self.environment = inherited | {
            "LABELER_DATA": str(self.data),
            "SECRET_KEY": secrets.token_urlsafe(48),
            "READ_DOTENV": "0",
            "CELERY_SKIP_CHECKS": "1",  # they would import all pages
            "PORT": str(self.port),
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.people: dict[str, Person] = {}

    def start(self) -> None:
        self.prepare()
        self.start_web()
        self.start_worker("interactive")
        self.start_worker("batch,io")
        self.start_sweeper()

    def prepare(self, people: Iterable[str] = PEOPLE) -> None:
        """Tables and people."""
        if "DATABASE_URL" not in self.environment:
            shutil.copy(templates.sqlite(), self.data / "labeler.sqlite3")
        made = subprocess.run(
            [sys.executable, "-m", "tests.people", *people],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        self.people = {one["username"]: Person(**one) for one in json.loads(made.stdout)}

    def start_web(self, processes: int = 1) -> None:
        self.spawn(
            "web",
            *["-m", "gunicorn", "labeler.wsgi", "--bind", f"127.0.0.1:{self.port}"],
            *["--worker-class", "gthread", "--workers", str(processes), "--threads", "8"],
            *["--timeout", "120", "--no-control-socket"],
        )
        wait_until(
            lambda: requests.get(f"{self.url}/login", timeout=5).status_code == 200,
            f"the web process (log: {self.data / 'web.log'})",
            seconds=60,
        )

    def start_worker(self, queues: str, name: str = "") -> None:
        """`worker-<name>`; without a name those of its queues."""
        name = name or queues
        self.spawn(
            f"worker-{name}",
            *["-m", "celery", "--app", "labeler", "worker", "--queues", queues, "--pool", "solo"],
            *["--without-gossip", "--without-mingle", "--without-heartbeat"],
            *["--hostname", f"{name.replace(',', '-')}@%h"],
        )

    def start_sweeper(self) -> None:
        self.spawn("sweeper", "manage.py", "sweep", "--forever", "--every", "1")

    def spawn(self, name: str, *arguments: str) -> None:
        """Starts `python arguments` in the background; its output goes to <name>.log."""
        before = self.processes.get(name)
        assert before is None or before.poll() is not None, f"{name} runs already"
        with (self.data / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL to the process and to all that it started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        shutil.rmtree(self.data, ignore_errors=True)

    def manage(self, *arguments: str) -> str:
        """Runs a management command and returns what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise AssertionError(f"manage.py {arguments[0]} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def api(self, username: str = "owner") -> Api:
        return Api(self.url, self.people[username].token)

    def log(self, name: str) -> str:
        path = self.data / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""


DOOMED = """
import os, signal
from annotations.services import bulk, exports, files, imports, jobs
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
{patched} = die
jobs.run({job}, {handler})
"""
"""A worker that gets SIGKILL where it would have called something."""


def killed_at(app: LiveApp, job: int, patched: str, handler: str) -> None:
    """The job's first attempt ends where it would call `patched`."""
    code = DOOMED.format(patched=patched, job=job, handler=handler)
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", code], cwd=ROOT, env=app.environment
    )
    assert done.returncode == -signal.SIGKILL
