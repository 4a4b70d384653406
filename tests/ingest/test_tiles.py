"""Large images get a tile pyramid."""

import io

import numpy as np
import pytest
from django.core.files.storage import default_storage
from PIL import Image as Pillow

from annotations.imaging import pool
from annotations.models import Image
from annotations.services import files, ingest, jobs, uploads
from tests.ingest import samples

WIDE, HIGH = 8000, 5001


def large(kind: str = "TIFF", width: int = WIDE, height: int = HIGH, **options) -> bytes:
    """A picture with a slope in red to the right and in green downwards."""
    red, green = np.arange(width) * 255 // width, np.arange(height) * 255 // height
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = red, green[:, None]
    return samples.encoded(Pillow.fromarray(pixels), kind, **options)


@pytest.fixture
def image(upload, manager, monkeypatch) -> Image:
    monkeypatch.setattr(jobs, "wake", lambda job: None)
    response = upload(manager, {"map.tif": large(compression="tiff_deflate")})
    assert response.status_code == 202, response.json()
    done = jobs.run(response.json()["jobs"][0]["id"], uploads.run_ingest)
    assert done
    assert done.state == "done", done.error
    return Image.objects.get()


def tile(client, image: Image, level: int, x: int, y: int) -> np.ndarray:
    reply = client.get(f"/api/images/{image.pk}/tiles/{level}/{x}/{y}")
    assert reply.status_code == 200
    return np.asarray(Pillow.open(io.BytesIO(b"".join(reply.streaming_content)))).astype(int)


@pytest.mark.django_db(transaction=True)
def test_the_pyramid_holds_the_picture(image, client_of, teammate, stranger):
    assert (image.width, image.height, image.file.levels) == (WIDE, HIGH, 5)
    client = client_of(teammate)
    told = client.get(f"/api/images/{image.pk}/workspace").json()["image"]
    assert (told["levels"], told["window"]) == (5, None)
    whole = tile(client, image, 0, 0, 0)
    assert whole.shape == (313, 500, 3)
    assert np.abs(whole[150, 250] - (127, 122, 0)).max() <= 3
    full = tile(client, image, 4, 3, 9)
    x, y = 3 * 512 + 100, 9 * 512 + 200
    assert full.shape[:2] == (HIGH - 9 * 512, 512)
    assert np.abs(full[200, 100] - (x * 255 // WIDE, y * 255 // HIGH, 0)).max() <= 3
    for level, x, y in ((5, 0, 0), (4, 16, 0), (4, 0, 10), (0, 1, 0)):
        assert client.get(f"/api/images/{image.pk}/tiles/{level}/{x}/{y}").status_code == 404
    assert client_of(stranger).get(f"/api/images/{image.pk}/tiles/0/0/0").status_code == 404
    assert client_of(None).get(f"/api/images/{image.pk}/tiles/0/0/0").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_tiles_go_with_the_image(image, manager, state):
    names = list(files.tile_names(image.file))
    assert len(names) == 16 * 10 + 8 * 5 + 4 * 3 + 2 * 2 + 1
    assert all(default_storage.exists(name) for name in names)
    ingest.delete_image(manager, image)
    assert state()[3] == []


def test_a_giant_is_read_within_the_memory_of_a_small_one(tmp_path):
    """Beyond what Pillow may hold: 16-bit colour, turned, as PNG; and the JPEG as it is."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    source = tmp_path / "source"
    source.write_bytes(large("TIFF", 12_000, 9_000, compression="tiff_deflate", exif=exif))
    decoded = pool.decode(source, tmp_path, "TIFF", max_pixels=200_000_000)
    assert (decoded.width, decoded.height, decoded.levels) == (9_000, 12_000, 6)
    assert decoded.upright
    assert decoded.tiles
    Pillow.MAX_IMAGE_PIXELS = None
    with Pillow.open(decoded.upright) as upright:
        assert upright.size == (9_000, 12_000)
        # What was left is up: red grows downwards, green to the left.
        assert upright.getpixel((8_999, 11_999)) == (254, 0, 0)
    with Pillow.open(decoded.tiles / "0" / "0_0.jpg") as whole:
        assert whole.size == (282, 375)
    source.write_bytes(large("JPEG", 12_000, 9_000))
    again = pool.decode(source, tmp_path, "JPEG", max_pixels=200_000_000)
    assert (again.upright, again.levels) == (None, 6)
    source.write_bytes(large("JPEG", 12_000, 9_000)[:-100_000])
    with pytest.raises(pool.BadImage):
        pool.decode(source, tmp_path, "JPEG", max_pixels=200_000_000)
