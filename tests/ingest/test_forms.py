"""Multipart forms as clients send them, and as they should not."""

from typing import Any

import pytest

from annotations.models import Image
from tests.ingest import samples

HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n'


@pytest.fixture
def send(client_of, manager, project):
    def post(body: bytes, kind: str = "multipart/form-data; boundary=x") -> Any:
        return client_of(manager).generic("POST", f"/api/projects/{project.pk}/images", body, kind)

    return post


def form(*files: tuple[bytes, bytes]) -> bytes:
    return b"".join(HEAD % name + data + b"\r\n" for name, data in files) + b"--x--\r\n"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("Fuß/ä.png".encode(), "Fuß/ä.png"),
        (b"a %22b%22.png", 'a "b".png'),
        (b"caf\xe9.png", "caf\ufffd.png"),
        (b"../../a.png", "../../a.png"),
    ],
)
def test_the_names_of_files(send, sent, name):
    assert send(form((sent, samples.png()))).json()["results"][0]["name"] == name
    assert Image.objects.get().name == name


def test_a_file_of_any_length_in_pieces_arrives_whole(send, settings, monkeypatch):
    """Longer than what is kept in memory, and cut anywhere, also within what ends it."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 500
    wanted = {f"{seed}.png": samples.png(seed) for seed in range(3)}
    body = form(*((name.encode(), data) for name, data in wanted.items()))
    for size in (37, 64, len(body) - 1):
        monkeypatch.setattr("annotations.api.uploads.CHUNK", size)
        assert send(body).json()["results"][0]["image"] or size > 37
    images = Image.objects.select_related("file").order_by("id")
    assert {image.name: image.file.bytes for image in images} == {
        name: len(data) for name, data in wanted.items()
    }


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (form((b"a.png", samples.png()))[:-30], "multipart/form-data; boundary=x"),
        (form((b"a.png", samples.png())), "multipart/form-data; boundary=y"),
        (form((b"a.png", samples.png())), "multipart/form-data"),
        (
            HEAD.replace(b"files", b"f\0iles") % b"a.png" + b"1\r\n--x--",
            "multipart/form-data; boundary=x",
        ),
        (form((b"..", samples.png())), "multipart/form-data; boundary=x"),
        (form((b"", b"")), "multipart/form-data; boundary=x"),
        (b"--x\r\nno head\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data; boundary=x"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(send, body, kind):
    reply = send(body, kind)
    assert reply.status_code == 400
    assert reply.json()["code"] in ("invalid", "invalid_json", "parse_error")
    assert not Image.objects.exists()


def test_the_limits_of_a_form(send, settings):
    field = b'--x\r\nContent-Disposition: form-data; name="every"\r\n\r\n' + b"1" * 50 + b"\r\n"
    good = form((b"a.png", samples.png()))
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    assert send(3 * field + good).json()["code"] == "too_many_fields"
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 99
    assert send(2 * field + good).json()["code"] == "too_large"
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 1
    assert send(form((b"a.png", b"1"), (b"b.png", b"2"))).json()["code"] == "too_many_files"
    assert not Image.objects.exists()
    assert send(good).status_code == 201
