"""The same on S3-compatible storage, against a server of its own."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotations.models import Image, StoredFile
from annotations.services import exports, files, imports, ingest, jobs, sweeping
from labeler.settings import _storage
from tests.ingest import samples
from tests.rows import rows


@pytest.fixture
def bucket(settings, object_store) -> Callable[[], set[str]]:
    """The names in a bucket that is the default storage."""
    name = f"labels-{uuid.uuid4()}"
    object_store.client().create_bucket(Bucket=name)
    store = _storage(object_store.storage_url(name))
    settings.STORAGES = {**settings.STORAGES, "default": store}
    return lambda: object_store.names(name)


def test_images_imports_and_exports(bucket, project, manager, client_of, coco, monkeypatch):
    for number in range(3):
        ingest.add_image(manager, project, samples.opened(samples.png(number)), f"{number}.png")
    assert {name.split("/")[0] for name in bucket()} == {"originals", "thumbs"}
    image = Image.objects.select_related("file").first()
    assert image
    sent = client_of(manager).get(f"/api/images/{image.pk}/file")
    assert b"".join(sent.streaming_content) == samples.png(0)

    monkeypatch.setattr(imports, "SMALL_BYTES", 10)
    document = io.BytesIO(json.dumps(coco).encode())
    job = imports.start_import(
        manager, project, format="coco", kind="ground_truth", file=document, name="a.json"
    )
    assert job.params["upload"] in bucket()
    imported = jobs.run(job.pk, imports.run_import)
    assert imported
    assert imported.state == "done", imported.error
    assert job.params["upload"] not in bucket()

    job = exports.start_export(manager, project, format="coco", images=True)
    exported = jobs.run(job.pk, exports.run_export)
    assert exported
    sent = client_of(manager).get(f"/api/jobs/{job.pk}/download")
    with zipfile.ZipFile(io.BytesIO(b"".join(sent.streaming_content))) as archive:
        assert archive.read("images/1.png") == samples.png(1)

    client_of(manager).delete(f"/api/images/{image.pk}")
    assert image.file.original not in bucket()
    sweeping.tidy()
    assert exported.result["file"] in bucket()


def test_a_failed_transaction_leaves_no_object(bucket, project, manager, monkeypatch):
    before = bucket()

    def fail(*args: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(ingest, "_INSERT_IMAGES", fail)
    with pytest.raises(RuntimeError):
        ingest.add_image(manager, project, samples.opened(samples.png(77)), "a.png")
    assert bucket() == before
    assert not StoredFile.objects.exists()


class TestAStoreThatIsAway:
    """It was stopped: each answer says so in plain words, and nothing is changed."""

    @pytest.fixture
    def stop(self, bucket, settings, monkeypatch) -> Callable[[], Callable[[], None]]:
        """`start = stop()`"""

        def stop() -> Callable[[], None]:
            there = settings.STORAGES
            gone = _storage("s3://key:secret@127.0.0.1:1/labels?tls=0")
            settings.STORAGES = {**there, "default": gone}
            return lambda: setattr(settings, "STORAGES", there)

        return stop

    @pytest.fixture
    def image(self, bucket, project, manager) -> Image:
        return ingest.add_image(manager, project, samples.opened(samples.png(3)), "a.png")

    @pytest.mark.parametrize("what", ["file", "thumbnail", "original", "segment", "upload"])
    def test_it_is_said(self, what, stop, image, project, manager, client_of):
        client = client_of(manager)
        address = f"/api/images/{image.pk}/{what}"
        stop()
        before = rows()
        if what == "upload":
            file = SimpleUploadedFile("b.png", samples.png(9))
            reply = client.post(f"/api/projects/{project.pk}/images", {"files": file})
        elif what == "segment":
            reply = client.post(address, {"points": [{"x": 1, "y": 1, "positive": True}]}, "json")
        else:
            reply = client.get(address)
        assert (reply.status_code, reply.json()["code"]) == (503, "storage_unreachable")
        assert reply["Retry-After"]
        assert rows() == before

    def test_the_page_says_it_too(self, stop, project, manager, client_of):
        stop()
        client = client_of(manager)
        file = SimpleUploadedFile("b.png", samples.png(9))
        reply = client.post(f"/projects/{project.pk}/upload", {"files": file})
        assert "The file storage does not answer." in reply.content.decode()

    def test_the_files_of_a_deleted_image_go_later(
        self, stop, bucket, image, project, manager, client_of
    ):
        start = stop()
        assert client_of(manager).delete(f"/api/images/{image.pk}").status_code == 204
        assert not Image.objects.exists()
        start()
        assert image.file.original in bucket()
        files.tidy()
        assert bucket() == set()
        assert not StoredFile.objects.exists()

    def test_a_job_waits_for_it_and_then_says_why_it_failed(
        self, stop, image, project, manager, settings
    ):
        settings.JOB_MAX_ATTEMPTS = 2
        job = exports.start_export(manager, project, format="coco", images=True)
        start = stop()
        jobs.run(job.pk, exports.run_export)
        job.refresh_from_db()
        assert job.state == "queued"
        start()
        jobs.run(job.pk, exports.run_export)
        job.refresh_from_db()
        assert job.state == "done"
        job = exports.start_export(manager, project, format="coco", images=True)
        stop()
        for _ in range(2):
            jobs.run(job.pk, exports.run_export)
        job.refresh_from_db()
        assert job.state == "failed"
        assert job.error
        assert job.error["code"] == "storage_unreachable"
