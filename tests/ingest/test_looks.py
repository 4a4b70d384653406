"""JPEGs that are taken after a look, and their thumbnails, which are made later."""

import io
import os
import random
import signal
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from PIL import Image as Pillow

from annotations.imaging import jpeg, pool
from annotations.models import StoredFile
from annotations.services import thumbnails, uploads
from tests.ingest import samples
from tests.servers import wait_until

LIMIT = 10_000_000
BASELINE = [
    samples.jpeg(),
    samples.jpeg(subsampling=0),
    samples.jpeg(optimize=True, restart_marker_blocks=2),
    samples.encoded(samples.pixels().convert("L"), "JPEG"),
]
MARKERS = [0xC4, 0xD9, 0xDA, 0xD0, 0xC2, 1]
_later = thumbnails._later
"""As it is outside of tests."""


def is_whole(tmp_path: Path, data: bytes) -> bool:
    path = tmp_path / "source"
    path.write_bytes(data)
    return jpeg.is_whole(path)


def decodes(data: bytes) -> bool:
    try:
        Pillow.open(io.BytesIO(data), formats=["JPEG"]).load()
    except Exception:
        return False
    return True


def thumbnail_of(image: int) -> str:
    return StoredFile.objects.get(images=image).thumbnail


def uploaded(response) -> int:
    assert response.status_code == 201
    return int(response.json()["results"][0]["image"]["id"])


def test_what_cameras_write_is_told_by_a_look(tmp_path):
    assert all(is_whole(tmp_path, data) for data in BASELINE)
    assert is_whole(tmp_path, BASELINE[0] + b"more behind the end")
    assert not is_whole(tmp_path, samples.jpeg(progressive=True))
    scan = BASELINE[0].index(b"\xff\xda")
    for end in (0, 1, 3, 100, scan, scan + 5, scan + 40, -2, -1):
        assert not is_whole(tmp_path, BASELINE[0][:end])


def test_what_a_look_takes_can_be_decoded(tmp_path):
    """Of damaged files: bytes changed, cut out and put in, markers where none belong."""
    chance = random.Random(7)
    taken = refused = 0
    for _ in range(700):
        data = bytearray(chance.choice(BASELINE))
        for _ in range(chance.choice([1, 1, 3])):
            at = chance.randrange(2, len(data) - 2)
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.choice([1, 2, 60])]
                case 2:
                    data[at:at] = data[chance.randrange(len(data)) :][:40]
                case 3:
                    data[at : at + 2] = bytes(
                        [255, chance.choice([0xC4, 0xD9, 0xDA, 0xD0, 0xC2, 1])]
                    )
        if is_whole(tmp_path, bytes(data)):
            taken += 1
            assert decodes(bytes(data))
        elif not decodes(bytes(data)):
            refused += 1
    assert taken > 100
    assert refused > 100


def test_a_file_that_is_no_plain_picture_is_left_to_the_decoder(tmp_path):
    """Turned, of another colour space, no JPEG, damaged, too large, or gone."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    others = [
        samples.jpeg(exif=exif.tobytes()),
        samples.encoded(samples.pixels().convert("CMYK"), "JPEG"),
        samples.png(),
        samples.jpeg()[:-200],
        samples.encoded(samples.pixels(4000, 3000), "JPEG"),
    ]
    paths = [tmp_path / str(number) for number in range(len(others) + 2)]
    for path, data in zip(paths, [*others, BASELINE[0]], strict=False):
        path.write_bytes(data)
    good = paths[len(others)]
    with pool.looking(LIMIT) as looks:
        for path in reversed(paths):
            looks.show(path)
        answers = looks.answers()
    assert set(answers) == {good}
    assert (answers[good].width, answers[good].height, answers[good].thumbnail) == (40, 30, None)


def test_a_decoder_that_dies_at_a_look_delays_nobody(upload, manager, monkeypatch):
    show = pool.Looks.show

    def die(self, source: Path) -> None:
        os.kill(self._decoder.pid, signal.SIGKILL)
        show(self, source)

    monkeypatch.setattr(pool.Looks, "show", die)
    response = upload(manager, {f"{seed}.jpg": samples.jpeg(seed=seed) for seed in range(3)})
    assert all(one["image"] for one in response.json()["results"])
    assert all(map(default_storage.exists, StoredFile.objects.values_list("thumbnail", flat=True)))


def test_who_asks_for_a_thumbnail_first_gets_it(
    upload, client_of, manager, teammate, stranger, settings
):
    image = uploaded(upload(manager, {"a.jpg": samples.jpeg()}))
    name = thumbnail_of(image)
    assert not default_storage.exists(name)
    assert client_of(stranger).get(f"/api/images/{image}/thumbnail").status_code == 404
    assert not default_storage.exists(name)
    reply = client_of(teammate).get(f"/api/images/{image}/thumbnail")
    assert Pillow.open(io.BytesIO(b"".join(reply.streaming_content))).size == (40, 30)
    assert default_storage.exists(name)
    default_storage.delete(name)
    settings.USE_X_ACCEL = True
    assert client_of(teammate).get(f"/api/images/{image}/thumbnail").status_code == 200
    assert default_storage.exists(name)
    default_storage.delete(name)
    default_storage.delete(StoredFile.objects.get(images=image).original)
    settings.USE_X_ACCEL = False
    assert client_of(teammate).get(f"/api/images/{image}/thumbnail").status_code == 404


def test_who_asks_for_labels_first_gets_them_on_the_picture(upload, manager, client_of):
    image = uploaded(upload(manager, {"a.jpg": samples.jpeg()}))
    reply = client_of(manager).get(f"/api/images/{image}/proposals/picture")
    assert default_storage.exists(thumbnail_of(image))
    assert Pillow.open(io.BytesIO(reply.content)).size == (40, 30)


def test_the_thumbnail_of_what_was_deleted_meanwhile_does_not_stay(upload, manager, state):
    image = uploaded(upload(manager, {"a.jpg": samples.jpeg()}))
    row = StoredFile.objects.get(images=image)
    original = default_storage.open(row.original).read()
    before = state()
    StoredFile.objects.filter(pk=row.pk).update(sha256="another")
    thumbnails.make([row])
    assert default_storage.open(row.original).read() == original
    assert state() == before


@pytest.mark.django_db(transaction=True)
def test_thumbnails_are_made_behind_the_answer(upload, manager, monkeypatch):
    """By a decoder that leaves the processor to others and ends when it has nothing to do."""
    niceness: list[int] = []
    make = thumbnails.make

    def made(rows, *, behind: bool = False) -> None:
        make(rows, behind=behind)
        [decoder] = pool._behind.queue
        niceness.append(os.getpriority(os.PRIO_PROCESS, decoder.pid))

    monkeypatch.setattr(thumbnails, "_later", _later)
    monkeypatch.setattr(thumbnails, "make", made)
    monkeypatch.setattr(thumbnails, "IDLE_SECONDS", 0.1)
    upload(manager, {f"{seed}.jpg": samples.jpeg(seed=seed) for seed in range(3)})
    names = StoredFile.objects.values_list("thumbnail", flat=True)
    wait_until(lambda: all(map(default_storage.exists, names)), "the thumbnails", 10)
    wait_until(lambda: pool._behind.queue and not pool._behind.queue[0]._pipe, "the end", 10)
    assert min(niceness) >= 10


def test_a_request_of_many_waits_for_no_thumbnail(upload, manager, monkeypatch):
    """And the good ones of a request do not suffer from a bad one, which is named."""
    monkeypatch.setattr(uploads, "GROUP", 3)
    sent = {f"{seed}.jpg": samples.jpeg(seed=seed) for seed in range(5)}
    sent["2.jpg"] = sent["2.jpg"][:-200]
    results = upload(manager, sent).json()["results"]
    assert [bool(one["image"]) for one in results] == [True, True, False, True, True]
    assert "2.jpg" in results[2]["error"]["detail"]
    assert not any(
        map(default_storage.exists, StoredFile.objects.values_list("thumbnail", flat=True))
    )
