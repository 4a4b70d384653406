"""The same on S3-compatible storage, against a server of its own."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable

import pytest

from annotations.models import Image, StoredFile
from annotations.services import exports, imports, ingest, jobs
from labeler.settings import _storage
from tests.ingest import samples


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
    jobs.tidy()
    assert exported.result["file"] in bucket()


def test_a_failed_transaction_leaves_no_object(bucket, project, manager, monkeypatch):
    before = bucket()

    def fail(*args: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Image.objects, "bulk_create", fail)
    with pytest.raises(RuntimeError):
        ingest.add_image(manager, project, samples.opened(samples.png(77)), "a.png")
    assert bucket() == before
    assert not StoredFile.objects.exists()
