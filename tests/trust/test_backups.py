"""A back-up brings everything back, and one that cannot be trusted is refused untouched."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from annotations.services import backups
from labeler.settings import _storage
from tests.datasets.test_object_store import bucket
from tests.live import Api, LiveApp, picture
from tests.rows import rows
from tests.servers import postgres, postgres_url
from tests.trust.conftest import stored_files

__all__ = ["bucket", "postgres", "postgres_url"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def app(request, monkeypatch) -> Iterator[LiveApp]:
    settings = {}
    if request.param == "postgres":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres_url")
    app = LiveApp(**settings)
    try:
        app.prepare()
        app.start_web()
        yield app
    finally:
        app.stop()


def contents(api: Api, project: int) -> dict[str, Any]:
    """What a person finds in a project: images byte for byte, annotations region by region."""
    images = api.get(f"projects/{project}/images")["results"]
    for image in images:
        for view in ("file", "thumbnail", "original"):
            reply = api.call("GET", f"images/{image['id']}/{view}")
            assert reply.status_code == 200
            image[view] = hashlib.sha256(reply.content).hexdigest()
    annotations = api.get(f"projects/{project}/annotations")["results"]
    work = [api.get(f"annotations/{one['id']}") for one in annotations]
    return {"images": images, "work": work, "categories": api.categories(project)}


def draw(api: Api, project: int, image: int, count: int) -> None:
    """`count` squares, the last one deleted again."""
    annotation, category = api.annotation(image)["id"], api.categories(project)[0]["id"]
    for number in range(count):
        square = [number, 0, number + 9, 0, number + 9, 9, number, 9]
        region = f"{image:08d}-0000-4000-8000-{number:012d}"
        key = region.replace("-4000-", "-4001-")
        write = {"op": "upsert", "region": region, "based_on": 0, "key": key}
        write |= {"category": category, "polygons": [[square]]}
        api.post(f"annotations/{annotation}/patches", {"writes": [write]})
    key = region.replace("-4000-", "-4002-")
    gone = {"op": "delete", "region": region, "based_on": 1, "key": key}
    api.post(f"annotations/{annotation}/patches", {"writes": [gone]})


def test_what_was_lost_comes_back(app, tmp_path):
    """A back-up of a running installation, into the same one after other work and a loss."""
    owner = app.api("owner")
    project = owner.project()["id"]
    images = owner.upload(project, {f"{n}.png": picture(seed=n) for n in range(3)})
    for image in images:
        draw(owner, project, image["id"], 4)
    before = contents(owner, project)
    folder = tmp_path / "kept"
    printed = app.manage("backup", str(folder))
    assert "6 files" in printed  # three PNGs, upright already, and their thumbnails
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True
    )
    assert checked.returncode == 0, checked.stdout

    owner.delete(f"images/{images[0]['id']}")
    other = owner.project()["id"]
    owner.upload(other, {"later.png": picture(seed=9)})
    app.kill("web")
    with pytest.raises(AssertionError, match="--force"):
        app.manage("restore", str(folder))
    app.manage("restore", str(folder), "--force")
    app.start_web()
    assert contents(owner, project) == before
    assert owner.call("GET", f"projects/{other}").status_code == 404
    sha256 = hashlib.sha256(picture(seed=9)).hexdigest()
    assert not [path for path in (app.data / "media").rglob(f"*{sha256}*") if path.is_file()]
    draw(owner, project, owner.upload(project, {"new.png": picture(seed=7)})[-1]["id"], 2)


@pytest.mark.parametrize("app", ["sqlite"], indirect=True)
def test_it_goes_into_an_empty_installation(app, tmp_path):
    owner = app.api("owner")
    project = owner.project()["id"]
    draw(owner, project, owner.upload(project, {"a.png": picture()})[0]["id"], 3)
    before = contents(owner, project)
    app.manage("backup", str(tmp_path / "kept"))
    other = LiveApp()
    try:
        other.people = app.people
        other.manage("restore", str(tmp_path / "kept"))
        other.start_web()
        assert contents(other.api("owner"), project) == before
    finally:
        other.stop()


# --- what is refused ------------------------------------------------------------------------------

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept(project, image, teammate, make_annotation, tmp_path) -> Path:
    """A back-up of one project with one stored file."""
    make_annotation(image, teammate, regions=2)
    default_storage.save("originals/ab/one.png", ContentFile(b"the bytes"))
    backups.backup(tmp_path / "kept")
    return tmp_path / "kept"


def change_manifest(kept: Path, **values: Any) -> None:
    about = json.loads((kept / "backup.json").read_text())
    (kept / "backup.json").write_text(json.dumps(about | values))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_files_go_from_a_folder_to_an_object_store_and_back(kept, bucket, tmp_path, settings):
    """`bucket` makes a store the storage after the back-up was taken of a folder."""
    before = rows()
    assert bucket() == set()
    call_command("flush", interactive=False)
    backups.restore(kept, force=True)
    assert (rows(), bucket()) == (before, {"originals/ab/one.png"})
    backups.backup(tmp_path / "of the store")
    media = "media/originals/ab/one.png"
    assert (tmp_path / "of the store" / media).read_bytes() == b"the bytes"
    default_storage.save("originals/later.png", ContentFile(b"later"))
    call_command("flush", interactive=False)
    backups.restore(tmp_path / "of the store", force=True)
    assert (rows(), bucket()) == (before, {"originals/ab/one.png"})


def test_a_store_that_is_away_is_said(kept, settings, tmp_path):
    gone = _storage("s3://key:secret@127.0.0.1:1/labels?tls=0")
    settings.STORAGES = {**settings.STORAGES, "default": gone}
    before = rows()
    for words in (("backup", tmp_path / "second"), ("restore", kept, "--force")):
        with pytest.raises(CommandError, match="The file storage does not answer"):
            call_command(*words)
    assert rows() == before
    assert not [path for path in tmp_path.iterdir() if "second" in path.name]


SPOIL = {
    "a bit of a file": lambda kept: flip(kept / "media/originals/ab/one.png"),
    "a bit of the database": lambda kept: flip(kept / "database"),
    "a cut database": lambda kept: (kept / "database").write_bytes(b"SQLite format 3\0"),
    "a missing file": lambda kept: (kept / "media/originals/ab/one.png").unlink(),
    "no list": lambda kept: (kept / "SHA256SUMS").unlink(),
    "a cut list": lambda kept: (kept / "SHA256SUMS").write_text("ab  database\n"),
    "a way out": lambda kept: (kept / "SHA256SUMS").write_text(f"{'0' * 64}  media/../../x\n" * 3),
    "no manifest": lambda kept: (kept / "backup.json").unlink(),
    "a list for a manifest": lambda kept: (kept / "backup.json").write_text("[]"),
    "another form": lambda kept: change_manifest(kept, format=2),
    "another database": lambda kept: change_manifest(kept, database="oracle"),
    "another number of files": lambda kept: change_manifest(kept, files=0),
}


@pytest.mark.parametrize("name", SPOIL)
def test_a_damaged_backup_changes_nothing(kept, name):
    SPOIL[name](kept)
    before = rows(), stored_files()
    with pytest.raises(backups.BackupError) as refused:
        backups.restore(kept, force=True)
    assert str(refused.value).endswith(".")
    assert (rows(), stored_files()) == before


def test_what_is_here_is_not_replaced_unasked(kept):
    before = rows(), stored_files()
    with pytest.raises(backups.BackupError, match="people or projects"):
        backups.restore(kept)
    call_command("flush", interactive=False)
    with pytest.raises(backups.BackupError, match="stored files"):
        backups.restore(kept)
    backups.restore(kept, force=True)
    assert (rows(), stored_files()) == before


def test_a_backup_never_overwrites(kept):
    with pytest.raises(backups.BackupError, match="already"):
        backups.backup(kept)


def test_a_backup_that_fails_leaves_nothing(project, tmp_path, monkeypatch):
    default_storage.save("originals/ab/one.png", ContentFile(b"the bytes"))

    def fail(*args: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(backups.files, "receive", fail)
    with pytest.raises(OSError, match="full"):
        backups.backup(tmp_path / "kept")
    assert not [path for path in tmp_path.iterdir() if "kept" in path.name]


def test_it_is_for_the_owner_only(kept):
    assert kept.stat().st_mode & 0o077 == 0


def test_a_file_that_is_deleted_meanwhile_is_left_out(kept, tmp_path, monkeypatch):
    stored = list(backups._stored())
    monkeypatch.setattr(backups, "_stored", lambda: iter([*stored, "originals/ab/gone.png"]))
    backups.backup(tmp_path / "second")
    monkeypatch.undo()
    assert backups.restore(tmp_path / "second", force=True).files == 1
