"""Uploads through the API: what is taken, what is refused, and that a refusal changes nothing."""

import hashlib
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from annotations.errors import ServiceError
from annotations.imaging import pool
from annotations.models import Image, Membership, Project, StoredFile
from annotations.services import files, ingest, uploads
from tests.ingest import samples

ERROR = {"code", "detail", "field", "hint"}


def refused(response, status: int, name: str) -> dict:
    body = response.json()
    assert response.status_code == status, body
    assert set(body) >= ERROR
    assert name in body["detail"]
    assert body["field"] == name
    assert "/" not in body["detail"].replace(name, "")
    assert "Traceback" not in str(body)
    return body


def test_an_image_is_stored_by_its_content(upload, manager, project):
    data = samples.jpeg()
    response = upload(manager, {"street.jpg": data})
    assert response.status_code == 201, response.json()
    [result] = response.json()["results"]
    assert result["error"] is None
    assert result["image"]["name"] == "street.jpg"
    assert (result["image"]["width"], result["image"]["height"]) == (40, 30)
    assert result["image"]["status"] == "new"
    file = Image.objects.get(pk=result["image"]["id"]).file
    sha = hashlib.sha256(data).hexdigest()
    assert file.sha256 == sha
    assert file.original == file.upright == f"originals/{sha[:2]}/{sha}.jpg"
    assert file.bytes == len(data)
    assert default_storage.open(file.original).read() == data


@pytest.mark.parametrize("name", samples.NOT_IMAGES)
def test_what_is_no_image_is_refused(upload, manager, state, name):
    before = state()
    refused(upload(manager, {f"{name}.png": samples.NOT_IMAGES[name]}), 415, f"{name}.png")
    assert state() == before


@pytest.mark.parametrize("name", samples.DAMAGED)
def test_damaged_images_are_refused(upload, manager, state, name):
    before = state()
    refused(upload(manager, {f"{name}.png": samples.DAMAGED[name]}), 422, f"{name}.png")
    assert state() == before


def test_too_many_bytes(upload, manager, state, settings):
    settings.MAX_IMAGE_BYTES = 500
    before = state()
    refused(upload(manager, {"big.png": samples.png() + b"\0" * 500}), 413, "big.png")
    assert state() == before


def test_too_long_a_request_is_refused_by_its_length(upload, manager, state, settings):
    settings.MAX_UPLOAD_BYTES = 100
    before = state()
    response = upload(manager, {"a.png": samples.png()})
    assert response.status_code == 413
    assert response.json()["code"] == "too_large"
    assert state() == before


def test_too_many_files(upload, manager, state, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
    before = state()
    response = upload(manager, {f"{i}.png": samples.png(i) for i in range(4)})
    assert response.status_code == 413
    assert response.json()["code"] == "too_many_files"
    assert state() == before


def test_the_same_content_twice_names_the_image(upload, manager, state):
    upload(manager, {"first.png": samples.png()})
    before = state()
    body = refused(upload(manager, {"second.png": samples.png()}), 409, "second.png")
    assert "first.png" in body["detail"]
    assert body["image"] == Image.objects.get().pk
    assert state() == before


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_taken(upload, manager, orientation):
    exif = samples.Image.Exif()
    exif[0x0112] = orientation
    response = upload(manager, {"o.jpg": samples.jpeg(exif=exif)})
    assert response.status_code == 201
    image = response.json()["results"][0]["image"]
    assert (image["width"], image["height"]) == ((40, 30) if orientation < 5 else (30, 40))


def test_cmyk_and_sixteen_bits_keep_their_original(upload, manager, client_of):
    cmyk = samples.encoded(samples.pixels().convert("CMYK"), "JPEG")
    deep = samples.encoded(samples.pixels().convert("I;16"))
    for name, data in {"c.jpg": cmyk, "d.png": deep}.items():
        image = upload(manager, {name: data}).json()["results"][0]["image"]
        file = StoredFile.objects.get(images=image["id"])
        assert file.upright.startswith("upright/")
        client = client_of(manager)
        original = client.get(f"/api/images/{image['id']}/original")
        assert b"".join(original.streaming_content) == data
        shown = client.get(image["url"])
        assert b"".join(shown.streaming_content) != data


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd.png", "../../etc/passwd.png"),
        ("photo\u202egnp.exe", "photo\u202egnp.exe"),
        ("a" * 300 + ".png", "a" * 300 + ".png"),
        ("folder/sub/a.png", "folder/sub/a.png"),
        ("<script>alert(1)</script>.png", "<script>alert(1)</script>.png"),
        ("straße 日本.png", "straße 日本.png"),
    ],
)
def test_a_name_is_data(upload, manager, settings, sent, kept):
    response = upload(manager, {sent: samples.png()})
    assert response.status_code == 201, response.json()
    assert Image.objects.get().name == kept
    stored = [p for p in Path(settings.MEDIA_ROOT).rglob("*") if p.is_file()]
    assert {p.parts[-3] for p in stored} == {"originals", "thumbs"}


def test_control_characters_in_a_name_are_replaced():
    assert files.clean_name("x" * 2000 + ".png") == "x" * 1020 + ".png"
    assert files.clean_name("a\0b\r\nc\ud800.png") == "a\ufffdb\ufffd\ufffdc\ufffd.png"


def test_each_file_of_a_request_stands_alone(upload, manager):
    response = upload(manager, {"a.png": samples.png(), "b.png": b"no", "c.png": samples.png(1)})
    assert response.status_code == 201
    results = response.json()["results"]
    assert [bool(r["image"]) for r in results] == [True, False, True]
    assert results[1]["error"]["code"] == "not_an_image"
    assert [r["file"] for r in results] == [0, 1, 2]
    assert list(Image.objects.order_by("pk").values_list("name", flat=True)) == ["a.png", "c.png"]


def test_unknown_fields_and_no_file_are_refused(upload, manager, client_of, project, state):
    before = state()
    response = upload(manager, {"a.png": samples.png()}, owner="1")
    assert (response.status_code, response.json()["field"]) == (400, "owner")
    response = upload(manager, {"a.png": samples.png()}, allow_partial="perhaps")
    assert (response.status_code, response.json()["field"]) == (400, "allow_partial")
    client = client_of(manager)
    response = client.post(f"/api/projects/{project.pk}/images", {}, format="multipart")
    assert (response.status_code, response.json()["field"]) == (400, "files")
    assert state() == before


def test_only_managers_upload(upload, owner, reviewer, teammate, stranger, state):
    before = state()
    data = {"a.png": samples.png()}
    assert upload(None, data).status_code == 401
    assert upload(stranger, data).status_code == 404
    assert upload(teammate, data).status_code == 403
    assert upload(reviewer, data).status_code == 403
    assert state() == before
    assert upload(owner, data).status_code == 201


def test_nothing_changes_in_an_archived_project(upload, owner, image, client_of, project, state):
    Project.objects.filter(pk=project.pk).update(archived_at=timezone.now())
    before = state()
    for data in (samples.png(), samples.zipped({"a.png": samples.png()})):
        response = upload(owner, {"a": data})
        assert (response.status_code, response.json()["code"]) == (409, "archived")
    assert client_of(owner).delete(f"/api/images/{image.pk}").status_code == 409
    assert state() == before


def test_content_is_shared_between_projects_and_goes_with_the_last(
    manager, make_project, client_of, state, django_capture_on_commit_callbacks
):
    empty = state()
    first, second = make_project(), make_project()
    for project in (first, second):
        with samples.opened(samples.png()) as source:
            ingest.add_image(manager, project, source, "a.png")
    assert Image.objects.count() == 2
    assert StoredFile.objects.count() == 1
    client = client_of(manager)
    one, two = Image.objects.order_by("pk")
    assert client.delete(f"/api/images/{one.pk}").status_code == 204
    assert default_storage.exists(two.file.original)
    assert client.delete(f"/api/images/{two.pk}").status_code == 204
    assert state() == empty


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("projects", [1, 6])
def test_the_same_content_at_the_same_moment(manager, make_project, projects):
    """Six at once: one content, and one image in each project."""
    targets = [make_project() for _ in range(projects)] * (6 // projects)
    barrier = threading.Barrier(6)

    def add(project: Project) -> int:
        try:
            barrier.wait()
            ingest.add_image(manager, project, samples.opened(samples.png()), "a.png")
            return 201
        except ServiceError as error:
            return error.status
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        answers = sorted(threads.map(add, targets))
    assert answers == [201] * projects + [409] * (6 - projects)
    assert Image.objects.count() == projects
    [file] = StoredFile.objects.all()
    assert all(default_storage.exists(name) for name in (file.original, file.thumbnail))


def test_who_may_delete(image, client_of, owner, reviewer, teammate, stranger):
    for user, status in ((None, 401), (stranger, 404), (teammate, 403), (reviewer, 403)):
        assert client_of(user).delete(f"/api/images/{image.pk}").status_code == status
    assert client_of(owner).delete(f"/api/images/{image.pk}").status_code == 204


def test_a_transaction_that_fails_leaves_no_file(manager, project, state, monkeypatch):
    before = state()

    def fail(*args, **kwargs):
        raise RuntimeError("after the files were put")

    monkeypatch.setattr(ingest, "_INSERT_IMAGES", fail)
    with samples.opened(samples.png()) as source, pytest.raises(RuntimeError):
        ingest.add_image(manager, project, source, "a.png")
    assert state() == before


def test_files_are_removed_before_the_row_is_given_free(manager, project, monkeypatch):
    """Else they could be those of somebody who stores the same content next."""
    held = []

    def delete(name: str) -> None:
        held.append(StoredFile.objects.exists())

    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(files.default_storage, "delete", delete)
    monkeypatch.setattr(ingest, "_INSERT_IMAGES", fail)
    with samples.opened(samples.png()) as source, pytest.raises(RuntimeError):
        ingest.add_image(manager, project, source, "a.png")
    assert held == [True, True]


@pytest.mark.django_db(transaction=True)
def test_a_commit_that_fails_leaves_no_file(manager, project, state, monkeypatch):
    before = state()

    def fail(*args):
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patch, samples.opened(samples.png()) as source:
        patch.setattr(BaseDatabaseWrapper, "_commit", fail)
        with pytest.raises(ServiceError) as refused:
            ingest.add_image(manager, project, source, "a.png")
    assert refused.value.status == 507
    assert state() == before


def test_files_and_their_names_are_on_the_disk_before_the_row(
    upload, manager, settings, monkeypatch
):
    """Of each file that a row names: the bytes, and the folders in which a name is new.

    A thumbnail that is made later is none of them.
    """
    synced: set[Path] = set()
    seen: set[str] = set()
    early: list[Path] = []
    fsync, commit = os.fsync, BaseDatabaseWrapper.savepoint_commit

    def on_disk(descriptor: int) -> None:
        synced.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def committed(self: BaseDatabaseWrapper, savepoint: str) -> None:
        for file in StoredFile.objects.exclude(sha256__in=seen):
            seen.add(file.sha256)
            late = file.original_type == "image/jpeg"
            for name in (file.original,) if late else (file.original, file.thumbnail):
                path = Path(default_storage.path(name))
                early.extend({path, *path.parents[:3]} - synced)
        commit(self, savepoint)

    monkeypatch.setattr(os, "fsync", on_disk)
    monkeypatch.setattr(BaseDatabaseWrapper, "savepoint_commit", committed)
    make = {"jpg": samples.jpeg, "png": samples.png}
    for names in (["0.png"], ["1.png", "2.png"], ["3.jpg"], ["4.jpg", "5.png", "6.jpg"]):
        sent = {name: make[name[2:]](seed=int(name[0])) for name in names}
        assert upload(manager, sent).status_code == 201
    assert len(seen) == 7
    # Originals are synced under the names that they have in the spool, while they are decoded.
    assert {path.parent.parent.name for path in early} == {"originals"}
    assert len(early) == 7 == sum(path.parent == settings.SPOOL_DIR for path in synced)


def test_a_full_disk_answers_507_and_leaves_nothing(upload, manager, state, monkeypatch):
    before = state()
    full = OSError(28, "No space left on device")

    def fail(*args, **kwargs):
        raise full

    monkeypatch.setattr(files.os, "fsync", fail)
    response = upload(manager, {"a.png": samples.png()})
    assert (response.status_code, response.json()["code"]) == (507, "no_space")
    assert state() == before
    monkeypatch.undo()
    put = files.Placed.put

    def fail_at_the_original(self, name, source, **options):
        if name.startswith("originals/"):
            raise full
        put(self, name, source, **options)

    monkeypatch.setattr(files.Placed, "put", fail_at_the_original)
    response = upload(manager, {"a.png": samples.png()})
    assert response.status_code == 507
    assert state() == before


# --- the bytes ----------------------------------------------------------------------------------


@pytest.fixture
def stored(upload, manager) -> Image:
    upload(manager, {"a.png": samples.png()})
    Image.objects.update(name='we"ird\r\n../na;me ünï.png')
    return Image.objects.get()


@pytest.mark.parametrize("view", ["file", "thumbnail", "original"])
def test_members_get_the_bytes_and_nobody_else(stored, client_of, view, teammate, stranger, owner):
    url = f"/api/images/{stored.pk}/{view}"
    assert client_of(None).get(url).status_code == 401
    assert client_of(stranger).get(url).status_code == 404
    assert (
        client_of(stranger).get(url).json()
        == client_of(stranger).get(f"/api/images/{stored.pk + 999}/{view}").json()
    )
    for member in (owner, teammate):
        response = client_of(member).get(url, HTTP_ACCEPT="image/avif")
        assert response.status_code == 200
        body = b"".join(response.streaming_content)
        assert body == samples.png() if view != "thumbnail" else body[:3] == b"\xff\xd8\xff"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "private" in response["Cache-Control"]
        assert "immutable" in response["Cache-Control"]
        assert "\n" not in response.get("Content-Disposition", "")
        again = client_of(member).get(url, HTTP_IF_NONE_MATCH=response["ETag"])
        assert again.status_code == 304
        assert again["ETag"] == response["ETag"]
    Membership.objects.filter(user=teammate).delete()
    assert client_of(teammate).get(url).status_code == 404


def test_an_original_is_a_download_with_a_safe_name(stored, client_of, teammate):
    header = client_of(teammate).get(f"/api/images/{stored.pk}/original")["Content-Disposition"]
    assert header == "attachment; filename*=utf-8''we_ird.._na%3Bme%20%C3%BCn%C3%AF.png"


def test_the_proxy_sends_where_told(stored, client_of, teammate, stranger, settings):
    settings.USE_X_ACCEL = True
    url = f"/api/images/{stored.pk}/file"
    response = client_of(teammate).get(url)
    assert response["X-Accel-Redirect"] == f"/protected/{stored.file.upright}"
    assert response.content == b""
    assert client_of(stranger).get(url).status_code == 404


def test_a_lost_file_is_told(stored, client_of, teammate):
    default_storage.delete(stored.file.upright)
    response = client_of(teammate).get(f"/api/images/{stored.pk}/file")
    assert (response.status_code, response.json()["code"]) == (404, "file_missing")


def test_files_of_a_request_are_decoded_side_by_side_and_answered_in_order(
    project, manager, monkeypatch, settings
):
    """Two at a time, never more; a bad one and one that is there twice stand alone."""
    at_once, most = [], []
    real = ingest.decode_at_once
    both = threading.Barrier(2, timeout=20)

    def decode(*args):
        at_once.append(1)
        most.append(len(at_once))
        if len(most) <= 2:
            both.wait()  # breaks where the second waits for the first
        try:
            return real(*args)
        finally:
            at_once.pop()

    monkeypatch.setattr(pool, "SIZE", 2)
    monkeypatch.setattr(ingest, "decode_at_once", decode)
    data = [samples.png(1), samples.png(2), b"no image", samples.png(1), samples.png(3)[:60],
            samples.png(4)]  # fmt: skip
    sent = [(io.BytesIO(one), f"{number}.png") for number, one in enumerate(data)]
    outcomes = dict(uploads.upload_files(manager, project, sent))
    assert list(outcomes) == [f"{number}.png" for number in range(6)]
    said = [getattr(one, "code", "stored") for one in outcomes.values()]
    assert said[:2] == ["stored", "stored"]
    assert said[2:4] == ["not_an_image", "duplicate"]
    assert getattr(outcomes["4.png"], "status", None) == 422
    assert said[5] == "stored"
    assert max(most) == 2
    assert sorted(Image.objects.values_list("name", flat=True)) == ["0.png", "1.png", "5.png"]
    assert not list(settings.SPOOL_DIR.iterdir())
