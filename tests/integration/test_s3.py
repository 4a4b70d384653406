"""Files in an S3-compatible store, over HTTP. moto's server stands in for MinIO here."""

import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import boto3
import pytest
import requests

from tests.live import ROOT, LiveApp, picture
from tests.servers import free_port, wait_until

KEY, SECRET, BUCKET = "labeler", "a secret/with+signs", "labels"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: requests.get(f"http://127.0.0.1:{port}", timeout=2), "moto")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait(timeout=10)


@pytest.fixture(scope="module")
def app(s3_url) -> Iterator[LiveApp]:
    host = s3_url.removeprefix("http://")
    app = LiveApp(STORAGE_URL=f"s3://{KEY}:{quote(SECRET, safe='')}@{host}/{BUCKET}?tls=0")
    try:
        for _ in range(2):  # it is there already the second time
            make_bucket = [sys.executable, "deploy/make_bucket.py"]
            subprocess.run(make_bucket, cwd=ROOT, env=app.environment, check=True)
        app.prepare()
        app.start_web()
        yield app
    finally:
        app.stop()


@pytest.fixture
def bucket(s3_url):
    store = boto3.resource(
        "s3",
        endpoint_url=s3_url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    return store.Bucket(BUCKET)


def test_images_go_to_the_store_and_come_back(app, bucket):
    owner = app.api("owner")
    data = picture()
    [image] = owner.upload(owner.project()["id"], {"one.png": data})
    assert owner.call("GET", f"images/{image['id']}/original").content == data
    thumbnail = owner.call("GET", f"images/{image['id']}/thumbnail")
    assert thumbnail.headers["Content-Type"] == "image/jpeg"
    stored = {entry.key: entry.get()["Body"].read() for entry in bucket.objects.all()}
    assert data in stored.values()
    assert thumbnail.content in stored.values()
    assert not list((app.data / "media").rglob("*.*"))


def test_an_outsider_gets_no_bytes(app):
    owner = app.api("owner")
    [image] = owner.upload(owner.project()["id"], {"two.png": picture(seed=2)})
    for name in ("file", "original", "thumbnail"):
        assert app.api("stranger").call("GET", f"images/{image['id']}/{name}").status_code == 404


def test_deleting_an_image_deletes_its_files(app, bucket):
    owner = app.api("owner")
    before = {entry.key for entry in bucket.objects.all()}
    [image] = owner.upload(owner.project()["id"], {"three.png": picture(seed=3)})
    assert {entry.key for entry in bucket.objects.all()} > before
    owner.delete(f"images/{image['id']}")
    assert {entry.key for entry in bucket.objects.all()} == before
