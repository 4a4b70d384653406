"""Files in an S3-compatible store, over HTTP, with an object store that checks signatures."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.live import ROOT, LiveApp, picture
from tests.servers import ObjectStore, wait_until

BUCKET = "labels"


@pytest.fixture(scope="module")
def app(object_store: ObjectStore) -> Iterator[LiveApp]:
    app = LiveApp(STORAGE_URL=object_store.storage_url(BUCKET), LOG_FORMAT="json")
    try:
        for _ in range(2):  # it is there already the second time
            make_bucket = [sys.executable, "deploy/make_bucket.py"]
            subprocess.run(make_bucket, cwd=ROOT, env=app.environment, check=True)
        app.prepare()
        app.start_web()
        yield app
    finally:
        app.stop()


def test_the_store_asks_who_wants_something(app, object_store):
    object_store.client().put_object(Bucket=BUCKET, Key="mine", Body=b"x")
    stranger = object_store.client(aws_secret_access_key="a guess")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.get_object(Bucket=BUCKET, Key="mine")
    object_store.client().delete_object(Bucket=BUCKET, Key="mine")


def test_images_go_to_the_store_and_come_back(app, object_store):
    owner = app.api("owner")
    data = picture()
    [image] = owner.upload(owner.project()["id"], {"one.png": data})
    assert owner.call("GET", f"images/{image['id']}/original").content == data
    thumbnail = owner.call("GET", f"images/{image['id']}/thumbnail")
    assert thumbnail.headers["Content-Type"] == "image/jpeg"
    stored = [path.read_bytes() for path in object_store.files.rglob("*") if path.is_file()]
    assert data in stored
    assert thumbnail.content in stored
    assert not list((app.data / "media").rglob("*.*"))


def test_an_outsider_gets_no_bytes(app):
    owner = app.api("owner")
    [image] = owner.upload(owner.project()["id"], {"two.png": picture(seed=2)})
    for name in ("file", "original", "thumbnail"):
        assert app.api("stranger").call("GET", f"images/{image['id']}/{name}").status_code == 404


def test_deleting_an_image_deletes_its_files(app, object_store):
    owner = app.api("owner")
    before = object_store.names(BUCKET)
    [image] = owner.upload(owner.project()["id"], {"three.png": picture(seed=3)})
    assert object_store.names(BUCKET) > before
    owner.delete(f"images/{image['id']}")
    assert object_store.names(BUCKET) == before


def done_for(app: LiveApp, request_id: str) -> str:
    """What the worker's log, an object a line, says was done for a request."""
    lines = app.log("worker-io").splitlines()
    said = [json.loads(line) for line in lines if line.startswith("{")]
    return "\n".join(one["message"] for one in said if one["request_id"] == request_id)


def test_an_export_of_a_worker_is_downloaded_from_the_store(app, object_store):
    app.start_worker("io")
    owner = app.api("owner")
    project = owner.project()["id"]
    noise = io.BytesIO()
    Image.effect_noise((3200, 3200), 80).save(noise, "PNG", compress_level=1)
    data = noise.getvalue()
    assert len(data) > 2**23  # it takes more than one part to store
    [image] = owner.upload(project, {"four.png": data})
    work = owner.annotation(image["id"])
    owner.post(f"annotations/{work['id']}/submit", {"revision": work["revision"]})
    body = {"format": "coco", "status": "all", "images": True}
    name = {"X-Request-ID": "who-asked-for-it"}
    job = owner.wait_for_job(owner.post(f"projects/{project}/exports", body, headers=name)["id"])
    assert job["state"] == "done", job
    wait_until(lambda: "run_export" in done_for(app, name["X-Request-ID"]), "the worker's log", 20)
    reply = owner.call("GET", f"jobs/{job['id']}/download").content
    with zipfile.ZipFile(io.BytesIO(reply)) as archive:
        assert archive.read("images/four.png") == data
    stored = [path.read_bytes() for path in (object_store.files / BUCKET).rglob("*.zip")]
    assert stored == [reply]
