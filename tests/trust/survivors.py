"""What is left of an installation whose machine lost power, held against what people were told.

`python -m tests.trust.survivors FOLDER CUTS STARTS`, with what `tests.trust.power` left there,
builds the disk anew for many moments and ways to lose what was not synced, opens it with the
product's own settings and models, and prints what is lost as JSON.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.live import Api, ApiError, LiveApp, picture, region_write
from tests.servers import find_program, wait_until
from tests.trust import history
from tests.trust.disk import Deaf, Disk, Journal, Survival

SURVIVALS = (Survival.NOTHING, Survival.SOME, Survival.EVERYTHING, Survival.SOME)
ENDED = ("submitted", "approved")
NOT_WRITTEN_BY_CALLS = ("-shm", ".log")
"""Mapped memory, and what was open before the journal was."""

SPOOL, MEDIA = "data/spool/*", "data/media"
FAULTS = {
    "the database": (Deaf(files=("data/labeler.sqlite3*", "pg/data/pg_wal/*")), "save"),
    "originals": (Deaf(files=(SPOOL, f"{MEDIA}/originals/*")), "original"),
    "thumbnails": (Deaf(files=(SPOOL, f"{MEDIA}/thumbs/*")), "thumbnail"),
    "upright rasters": (Deaf(files=(SPOOL, f"{MEDIA}/upright/*")), "upright"),
    "tiles": (Deaf(files=(SPOOL, f"{MEDIA}/tiles/*")), "tile"),
    "releases": (Deaf(files=(SPOOL, f"{MEDIA}/releases/*")), "release"),
    "exports": (Deaf(files=(SPOOL, f"{MEDIA}/exports/*")), "export"),
    "folders of files": (Deaf(folders=(f"{MEDIA}/*",)), "original"),
}
"""Faults to plant: whose syncs are not obeyed, and what the check must miss then."""


@dataclass(slots=True)
class Found:
    """What became of one series of losses of power."""

    losses: int = 0
    starts: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Judge:
    """One rebuilt installation after the other, in the folder `disk`."""

    def __init__(self, folder: Path) -> None:
        self.plan = json.loads((folder / "plan.json").read_text())
        self.before, self.disk = folder / "before", Path(self.plan["rebuilt"])
        self.journal = Journal(folder, Path(self.plan["root"]))
        self.saves = [history.Save(**one) for one in self.plan["saves"]]
        self.events: list[dict[str, Any]] = self.plan["events"]
        self.starts = 0

    def complete(self) -> list[str]:
        """The journal led to the files that are there: else it missed calls."""
        disk = self.new_disk(Deaf())
        for record in self.journal.records():
            disk.apply(record)
        root = Path(self.plan["root"])
        there = {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and not path.is_symlink()
        }
        known = disk.files()
        return [
            f"{path}: {len(known.get(path, b''))} bytes in the journal, {len(there.get(path, b''))}"
            for path in sorted(there.keys() | known.keys())
            if not path.endswith(NOT_WRITTEN_BY_CALLS) and there.get(path) != known.get(path)
        ]

    def new_disk(self, deaf: Deaf) -> Disk:
        return Disk(self.journal.root, self.before, self.plan["inodes"], deaf)

    def series(self, cuts: int, deaf: Deaf, seed: int, until: str = "") -> Found:
        """Loses power `cuts` times. Ends early when something of the kind `until` was lost."""
        found, chance = Found(), random.Random(seed)
        moments = self.moments(cuts, chance)
        disk, number = self.new_disk(deaf), 0
        for record in self.journal.records():
            while number < len(moments) and record.end > moments[number]:
                self.lose(disk, moments[number], SURVIVALS[number % 4], chance, found)
                number += 1
                if until and any(one.startswith(until) for one in found.lost):
                    return found
            disk.apply(record)
        for moment in moments[number:]:
            self.lose(disk, moment, SURVIVALS[number % 4], chance, found)
        return found

    def moments(self, cuts: int, chance: random.Random) -> list[int]:
        """Half of them when somebody was just told something, half at any step."""
        told = [one["at"] for one in self.events] + [one.at for one in self.saves if one.at]
        ends = [record.end for record in self.journal.records()]
        first = min(told)
        ends = [end for end in ends if end > first] or ends
        half = cuts // 2
        return sorted(chance.choices(told, k=half) + chance.choices(ends, k=cuts - half))

    def lose(
        self, disk: Disk, moment: int, survival: Survival, chance: random.Random, found: Found
    ) -> None:
        disk.write(self.disk, survival, chance)
        found.losses += 1
        with self.installation():
            lost, wrong = self.check(disk, moment, found.checked)
            # At last the product itself goes on with what is left, where that is the most ragged.
            if self.starts and survival is Survival.SOME and not lost:
                self.starts -= 1
                found.starts += 1
                wrong += [f"start: {one}" for one in self.go_on()]
        where = f"(at {moment}, {survival.value} of what was not synced)"
        found.lost += [f"{one} {where}" for one in lost]
        found.wrong += [f"{one} {where}" for one in wrong]

    @contextlib.contextmanager
    def installation(self) -> Iterator[None]:
        from django.db import connection

        with contextlib.ExitStack() as stack:
            if self.plan["port"]:
                stack.enter_context(self.postgres())
            connection.close()
            yield
            connection.close()

    @contextlib.contextmanager
    def postgres(self) -> Iterator[None]:
        from django.db import connection

        cluster = self.disk / "pg"
        if os.geteuid() == 0:
            for path in (self.disk, *self.disk.rglob("*")):
                shutil.chown(path, "postgres")
        (cluster / "data").chmod(0o700)
        (cluster / "data" / "postmaster.pid").unlink(missing_ok=True)
        command = [find_program("postgres") or "postgres", "-D", str(cluster / "data")]
        command += ["-p", str(self.plan["port"]), "-k", str(cluster), "-h", "127.0.0.1"]
        command += ["-c", "fsync=off"]  # what is written here need not last
        user = "postgres" if os.geteuid() == 0 else None
        with (cluster / "restart.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd=cluster)
        try:
            wait_until(lambda: bool(connection.cursor()), f"PostgreSQL in {cluster}")
            yield
        finally:
            connection.close()
            process.terminate()
            process.wait(30)

    def go_on(self) -> list[str]:
        """The server starts on what is left; jobs end, people save, upload and export."""
        from django.db import connection

        connection.close()
        app = LiveApp(data=self.disk / "data")
        app.environment = dict(os.environ)
        api = Api(app.url, self.plan["token"])
        app.spawn("serve", "manage.py", "serve", "--port", str(app.port))
        try:
            wait_until(lambda: requests.get(f"{app.url}/healthz", timeout=5).ok, "the server")
            return list(self.work(api))
        except (ApiError, TimeoutError, requests.RequestException) as error:
            logs = {log.name: log.read_text() for log in self.disk.glob("data/logs/*.log")}
            ends = [f"{name}: {text[-400:]}" for name, text in logs.items() if "Traceback" in text]
            return [repr(error), *ends]
        finally:
            app.processes["serve"].terminate()
            app.processes["serve"].wait()

    def work(self, api: Api) -> Iterator[str]:
        project = self.plan["other"]
        jobs = api.get(f"projects/{project}/jobs", params={"limit": 200})["results"]
        for job in [api.wait_for_job(job["id"], 60) for job in jobs]:
            # A release of what did not change is refused, as before the loss.
            if job["state"] == "failed" and job["error"]["code"] != "same_content":
                yield f"job {job['id']} failed: {job['error']}"
        for annotation in self.plan["annotations"]:
            for region in api.get(f"annotations/{annotation}")["regions"][:1]:
                write = region_write(region["category"], region["uuid"], region["version"])
                done = api.post(f"annotations/{annotation}/patches", {"writes": [write]})
                if done["regions"][0]["version"] != region["version"] + 1:
                    yield f"a save led to {done}"
        images = api.upload(project, {"afterwards.png": picture(seed=1)})
        if api.call("GET", f"images/{images[-1]['id']}/thumbnail").status_code != 200:
            yield "an image that was uploaded afterwards has no thumbnail"
        wish = {"format": "coco", "status": "all", "images": True}
        job = api.wait_for_job(api.post(f"projects/{project}/exports", wish)["id"], 60)
        if job["state"] != "done":
            yield f"an export ended as {job}"

    # --- the check --------------------------------------------------------------------------------
    def check(self, disk: Disk, moment: int, checked: Counter[str]) -> tuple[list[str], list[str]]:
        from django.db import DatabaseError

        try:
            wrong = [f"database: {one}" for one in _integrity()]
            lost, odd = self.check_saves(moment, checked)
            lost += self.check_events(moment, checked)
            lost += [
                f"{kind} {path} is named by a row and is {how}"
                for kind, path in _named()
                if (how := self.problem(disk, f"data/media/{path}", checked))
            ]
        except DatabaseError as error:
            return [f"save: the database cannot be read: {error}"], []
        return lost, wrong + odd

    def problem(self, disk: Disk, path: str, checked: Counter[str]) -> str:
        """What is wrong with a file that a row names: it is what was written, byte for byte."""
        checked["file"] += 1
        there = self.disk / path
        if not there.is_file():
            return "not there"
        return "" if there.read_bytes() == disk.content(path) else "damaged"

    def check_saves(self, moment: int, checked: Counter[str]) -> tuple[list[str], list[str]]:
        from annotations.models import RegionRevision

        rows = RegionRevision.objects.filter(
            region__annotation__project=self.plan["project"]
        ).values_list("region__uuid", "version", "write", "attributes", "region__version")
        revisions = [(str(a), b, str(c), d, e) for a, b, c, d, e in rows.iterator()]
        told = []
        for save in self.saves:
            known = save.outcome if save.at <= moment else history.UNKNOWN
            told.append(
                history.Save(save.key, save.region, save.based_on, save.number, known, save.version)
            )
            checked["save"] += known == history.OK
        lost, wrong = history.check(told, revisions)
        return [f"save: {one}" for one in lost], wrong

    def check_events(self, moment: int, checked: Counter[str]) -> list[str]:
        lost = []
        for event in self.events:
            if event["at"] <= moment:
                kind = event["kind"]
                checked[kind] += 1
                if not getattr(self, f"has_{kind}")(event):
                    lost.append(f"{kind}: {event} is not so")
        return lost

    def has_upload(self, event: dict[str, Any]) -> bool:
        """The image is there, and its original is what was sent; unless somebody removed it."""
        from annotations.models import Image

        image = Image.objects.filter(pk=event["image"]).select_related("file").first()
        if image is None:
            return event["image"] in self.plan["removed"]
        sent = self.disk / "data/media" / image.file.original
        return sent.is_file() and _sha256(sent.read_bytes()) == event["sha256"]

    def has_removal(self, event: dict[str, Any]) -> bool:
        from annotations.models import Image

        return not Image.objects.filter(pk=event["image"]).exists()

    def has_submission(self, event: dict[str, Any]) -> bool:
        from annotations.models import Annotation

        found = Annotation.objects.filter(pk=event["annotation"]).first()
        if found is None or found.status not in ENDED:
            return False
        regions = {str(one) for one in found.regions.values_list("uuid", flat=True)}
        return str(found.submission) == event["key"] and regions == set(event["regions"])

    def has_approval(self, event: dict[str, Any]) -> bool:
        from annotations.models import Annotation

        return Annotation.objects.filter(pk=event["annotation"], status="approved").exists()

    def has_release(self, event: dict[str, Any]) -> bool:
        """Its content has the hash that it is known by."""
        from annotations.models import Release

        release = Release.objects.filter(pk=event["release"], sha256=event["sha256"]).first()
        file = self.disk / "data/media" / (release.file if release else "")
        try:
            return _sha256(gzip.decompress(file.read_bytes())) == event["sha256"]
        except (OSError, EOFError, zlib.error):
            return False

    def has_export(self, event: dict[str, Any]) -> bool:
        from annotations.models import Job

        job = Job.objects.filter(pk=event["job"], state="done").first()
        if job is None:
            return False
        file = self.disk / "data/media" / job.result["file"]
        if not file.is_file() or _sha256(file.read_bytes()) != event["sha256"]:
            return False
        with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
            return archive.testzip() is None


def _integrity() -> list[str]:
    from django.db import connection

    if connection.vendor != "sqlite":
        connection.check_constraints()
        return []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        found = [row[0] for row in cursor.fetchall() if row[0] != "ok"]
        cursor.execute("PRAGMA foreign_key_check")
        return found + [f"a reference to nothing: {row}" for row in cursor.fetchall()]


def _named() -> Iterator[tuple[str, str]]:
    """What all rows name: kind and storage name."""
    from annotations.models import Job, Release, StoredFile
    from annotations.services.files import tile_names

    for file in StoredFile.objects.iterator():
        for kind in ("original", "upright", "thumbnail", "values"):
            if name := getattr(file, kind):
                yield kind, name
        for name in tile_names(file):
            yield "tile", name
    for name in Release.objects.values_list("file", flat=True):
        yield "release", name
    for job in Job.objects.all():
        if job.state == "done" and job.kind == "export":
            yield "export", job.result["file"]
        elif job.state in ("queued", "running") and "upload" in job.params:
            yield "upload", job.params["upload"]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    folder, cuts, starts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    import django

    django.setup()
    judge = Judge(folder)
    seed = judge.plan["seed"]
    judge.starts = starts
    found = judge.series(cuts, Deaf(), seed)
    judge.starts = 0
    controls = {
        name: [one for one in judge.series(cuts, deaf, seed, kind).lost if one.startswith(kind)]
        for name, (deaf, kind) in FAULTS.items()
        if name in judge.plan["faults"]
    }
    print(
        json.dumps(
            {
                "missed": judge.complete(),
                "losses": found.losses,
                "starts": found.starts,
                "records": sum(1 for _ in judge.journal.records()),
                "checked": found.checked,
                "lost": found.lost,
                "wrong": found.wrong,
                "controls": controls,
            }
        )
    )
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
    sys.exit(main())
