"""Images that stay where they are: files of a folder, objects of a bucket."""

import os
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from PIL import Image as Pillow

from annotations.errors import ServiceError
from annotations.models import Image
from annotations.services import ingest, references
from inference.services.rasters import raster
from tests.ingest import samples

# The command works in threads.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "pictures"
    (place / "street").mkdir(parents=True)
    (place / "street" / "a.png").write_bytes(samples.png(1))
    (place / "b.tif").write_bytes(samples.encoded(samples.pixels(seed=2), "TIFF"))
    return place


@pytest.fixture
def added(folder, project, manager) -> list[Image]:
    call_command(
        "import_images", str(folder), "--reference", "--project", project.name, "--user", "manager"
    )
    return list(Image.objects.select_related("file").order_by("name"))


def test_only_what_is_made_of_them_is_stored(added, folder, state):
    assert [image.name for image in added] == ["b.tif", "street/a.png"]
    kept = [path.parts[0] for path in state()[3]]
    assert sorted(kept) == ["thumbs", "thumbs", "upright"]  # a TIFF is not what browsers draw
    for image in added:
        assert raster(image).shape == (30, 40, 3)
    assert np.array_equal(raster(added[1]), np.asarray(samples.pixels(seed=1)))


def test_members_get_the_bytes(added, client_of, teammate, stranger):
    plain = added[1]
    client = client_of(teammate)
    for view in ("file", "original"):
        reply = client.get(f"/api/images/{plain.pk}/{view}")
        assert b"".join(reply.streaming_content) == samples.png(1)
    original = client.get(f"/api/images/{added[0].pk}/original")
    assert b"".join(original.streaming_content)[:4] == b"II*\0"
    assert client_of(stranger).get(f"/api/images/{plain.pk}/file").status_code == 404


def test_a_missing_file_is_named(added, folder, client_of, teammate):
    (folder / "street" / "a.png").unlink()
    reply = client_of(teammate).get(f"/api/images/{added[1].pk}/file")
    assert (reply.status_code, reply.json()["code"]) == (410, "reference_missing")
    assert reply.json()["field"] == "a.png"
    assert str(folder) not in reply.content.decode()
    with pytest.raises(ServiceError):
        raster(added[1])


def test_a_changed_file_is_noticed(added, folder, client_of, teammate):
    path = folder / "street" / "a.png"
    client = client_of(teammate)
    assert client.get(f"/api/images/{added[1].pk}/file").status_code == 200
    path.write_bytes(samples.png(3))
    reply = client.get(f"/api/images/{added[1].pk}/file")
    assert (reply.status_code, reply.json()["code"]) == (410, "reference_changed")
    path.write_bytes(samples.png(1))
    os.utime(path, (1, 1))
    assert client.get(f"/api/images/{added[1].pk}/file").status_code == 200


def test_deleting_the_image_leaves_the_file(added, folder, manager, state):
    for image in added:
        ingest.delete_image(manager, image)
    assert (folder / "street" / "a.png").exists()
    assert state()[3] == []


def test_a_bucket_is_read_where_it_is(project, manager, monkeypatch, object_store):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", object_store.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", object_store.secret)
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_store.url)
    references._bucket.cache_clear()
    client = object_store.client()
    client.create_bucket(Bucket="pictures")
    client.put_object(Bucket="pictures", Key="set/one/a.png", Body=samples.png(1))
    client.put_object(Bucket="pictures", Key="other/b.png", Body=samples.png(2))
    call_command("import_images", "s3://pictures/set", "--reference", "--project", project.name)
    image = Image.objects.get()
    assert image.name == "one/a.png"
    assert image.file.reference == "s3://pictures/set/one/a.png"
    assert not default_storage.exists(image.file.original)
    assert raster(image).shape == (30, 40, 3)
    client.put_object(Bucket="pictures", Key="set/one/a.png", Body=samples.png(3))
    with pytest.raises(ServiceError) as refused:
        raster(image)
    assert refused.value.code == "reference_changed"
    client.delete_object(Bucket="pictures", Key="set/one/a.png")
    with pytest.raises(ServiceError) as refused:
        raster(image)
    assert refused.value.code == "reference_missing"
    references._bucket.cache_clear()


def test_only_managers_import(folder, project, teammate):
    with pytest.raises(CommandError, match=r"manager|may"):
        call_command(
            "import_images", str(folder), "--reference", "--project", project.name,
            "--user", teammate.username,
        )  # fmt: skip
    assert not Image.objects.exists()


def test_a_video_is_imported_by_the_command(tmp_path, project, manager):
    pytest.importorskip("av")
    from tests.ingest.test_videos import video

    path = tmp_path / "clip.mp4"
    path.write_bytes(video())
    call_command("import_images", str(path), "--every", "25", "--project", project.name)
    assert [image.name for image in Image.objects.all()] == ["clip.mp4#1", "clip.mp4#26"]
    assert Pillow.open(default_storage.open(Image.objects.all()[0].file.upright)).size == (64, 48)


def test_models_do_not_take_giants(added):
    giant = Image(width=40_000, height=25_000, file=added[0].file)
    with pytest.raises(ServiceError) as refused:
        raster(giant)
    assert refused.value.code == "too_large"
