"""Zips: refused as a whole, naming the entry, before anything is stored."""

import io
import stat
import struct
import zipfile

import pytest

from annotations.models import Image, Job
from annotations.services import ingest, ingest_zips, jobs, uploads, zips
from tests.ingest import samples

GOOD = {"a.png": samples.png(1), "sub/b.jpg": samples.jpeg(2)}


def with_entry(name: str, data: bytes = b"", attributes: int = 0) -> bytes:
    """The good zip and one entry more, exactly so named."""
    out = io.BytesIO(samples.zipped(GOOD))
    with zipfile.ZipFile(out, "a") as archive:
        info = zipfile.ZipInfo("placeholder")
        info.filename = info.orig_filename = name
        info.external_attr = attributes << 16
        archive.writestr(info, data or samples.png(3))
    return out.getvalue()


def patched(entry: str, at: int, value: bytes) -> bytes:
    """The good zip with bytes of the entry's directory record changed (APPNOTE 4.3.12)."""
    data = bytearray(samples.zipped(GOOD))
    record = data.rindex(b"PK\x01\x02", 0, data.rindex(entry.encode()))
    data[record + at : record + at + len(value)] = value
    return bytes(data)


def overlapping() -> bytes:
    """Two names for the same bytes: the second record points to the first entry's."""
    data = samples.zipped({"a.png": samples.png(1), "b.png": samples.png(1)})
    second = data.rindex(b"PK\x01\x02")
    return data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]


def nul_in_name() -> bytes:
    return with_entry("a_b.png.html").replace(b"a_b.png", b"a\0b.png")


def without_name() -> bytes:
    """Its directory says that the last entry's name has no letters."""
    data = with_entry("a_b.png")
    at = data.rindex(b"PK\1\2")
    data = data[: at + 28] + b"\0\0" + data[at + 30 :].replace(b"a_b.png", b"", 1)
    size = struct.unpack_from("<I", data, len(data) - 10)[0]
    return data[:-10] + struct.pack("<I", size - len("a_b.png")) + data[-6:]


BAD = {
    "parent": (with_entry("../up.png"), "../up.png"),
    "parent-inside": (with_entry("x/../../up.png"), "x/../../up.png"),
    "absolute": (with_entry("/etc/up.png"), "/etc/up.png"),
    "backslash": (with_entry("x\\up.png"), "x\\up.png"),
    "drive": (with_entry("C:up.png"), "C:up.png"),
    "symlink": (with_entry("link.png", b"/etc/passwd", stat.S_IFLNK | 0o777), "link.png"),
    "device": (with_entry("dev.png", b"x", stat.S_IFCHR | 0o666), "dev.png"),
    "encrypted": (patched("sub/b.jpg", 8, b"\x01\0"), "sub/b.jpg"),
    "bomb": (samples.zipped({"a.png": samples.png(), "zeros.bmp": b"\0" * 100_000_000}), ""),
    "lying-large": (patched("sub/b.jpg", 24, struct.pack("<I", 9_000_000)), "sub/b.jpg"),
    "lying-small": (patched("sub/b.jpg", 24, struct.pack("<I", 100)), "sub/b.jpg"),
    "overlap": (overlapping(), "b.png"),
    "nested": (with_entry("more.png", samples.zipped(GOOD)), "more.png"),
    "duplicate": (with_entry("a.png"), "a.png"),
    "case": (with_entry("A.PNG"), "A.PNG"),
    "normal-form": (
        samples.zipped({"\u00e9.png": samples.png(1), "e\u0301.png": samples.png(2)}),
        "e\u0301.png",
    ),
    "no-name": (without_name(), ""),
    "nul": (nul_in_name(), "a\ufffdb.png.html"),
    "control": (with_entry("a\tb.png"), "a\ufffdb.png"),
    "truncated": (samples.zipped(GOOD)[:-30], ""),
    "cut-directory": (samples.zipped(GOOD)[:-90] + samples.zipped(GOOD)[-22:], ""),
    "no-images": (samples.zipped({"readme.txt": b"hello"}), ""),
    "nothing": (samples.zipped({}), ""),
    "packed-otherwise": (samples.zipped(GOOD, zipfile.ZIP_LZMA), "a.png"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_zip_is_refused_as_a_whole(upload, manager, state, name):
    data, entry = BAD[name]
    before = state()
    for partial in ("false", "true"):
        if partial == "true" and name.startswith("lying"):
            continue  # one bad entry of several, which a person may allow
        response = upload(manager, {"set.zip": data}, allow_partial=partial)
        body = response.json()
        assert response.status_code == 422, body
        assert body["field"] == entry
        assert entry in body["detail"]
    assert state() == before


def test_too_many_entries_are_refused_quickly(upload, manager, state, monkeypatch):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(100_000):
            archive.writestr(zipfile.ZipInfo(f"{number}.png"), b"")
    before = state()
    assert upload(manager, {"set.zip": out.getvalue()}).status_code == 422
    monkeypatch.setattr(zips, "MAX_DIRECTORY_BYTES", 1_000_000)
    assert "more entries" in upload(manager, {"set.zip": out.getvalue()}).json()["detail"]
    assert state() == before


def test_a_good_zip_keeps_folders_and_skips_what_is_no_image(upload, manager):
    extra = {"readme.txt": b"hello", "__MACOSX/._a.png": b"junk", ".DS_Store": b"junk"}
    response = upload(manager, {"set.zip": samples.zipped(GOOD | extra)})
    assert response.status_code == 201, response.json()
    assert [r["name"] for r in response.json()["results"]] == ["a.png", "sub/b.jpg"]
    assert sorted(Image.objects.values_list("name", flat=True)) == ["a.png", "sub/b.jpg"]
    assert not Job.objects.exists()


def test_one_bad_image_of_ten(upload, manager, state):
    pictures = {f"{n}.png": samples.png(n) for n in range(9)}
    data = samples.zipped(pictures | {"bad.png": samples.DAMAGED["bad-crc"]})
    before = state()
    response = upload(manager, {"set.zip": data})
    assert response.status_code == 422
    assert [one["name"] for one in response.json()["bad"]] == ["bad.png"]
    assert state() == before
    response = upload(manager, {"set.zip": data}, allow_partial="true")
    assert response.status_code == 201
    errors = {r["name"]: r["error"]["code"] for r in response.json()["results"] if r["error"]}
    assert errors == {"bad.png": "damaged_image"}
    assert Image.objects.count() == 9


def test_a_zip_again_adds_nothing(upload, manager, state):
    upload(manager, {"set.zip": samples.zipped(GOOD)})
    before = state()
    response = upload(manager, {"set.zip": samples.zipped(GOOD)})
    assert (response.status_code, response.json()["code"]) == (409, "duplicate")
    assert state() == before
    more = GOOD | {"c.png": samples.png(9), "d.png": samples.png(9)}
    response = upload(manager, {"set.zip": samples.zipped(more)})
    assert response.status_code == 201
    assert Image.objects.count() == 3


def test_a_full_disk_half_way_leaves_nothing(upload, manager, state, monkeypatch):
    before = state()
    put, puts = ingest.files.Placed.put, []

    def fail_at_the_fourth(self, name, source, **options):
        puts.append(name)
        if len(puts) == 4:
            raise OSError(28, "No space left on device")
        put(self, name, source, **options)

    monkeypatch.setattr(ingest.files.Placed, "put", fail_at_the_fourth)
    response = upload(manager, {"set.zip": samples.zipped(GOOD)})
    assert response.status_code == 507
    assert len(puts) == 4
    assert state() == before


@pytest.mark.django_db(transaction=True)
def test_a_large_zip_is_a_job(upload, manager, state, monkeypatch):
    monkeypatch.setattr(ingest_zips, "SMALL_ZIP_ENTRIES", 1)
    monkeypatch.setattr(jobs, "wake", lambda job: None)
    response = upload(manager, {"set.zip": samples.zipped(GOOD)})
    assert response.status_code == 202, response.json()
    [job] = response.json()["jobs"]
    assert (job["kind"], job["state"]) == ("ingest", "queued")
    assert not Image.objects.exists()
    done = jobs.run(job["id"], uploads.run_ingest)
    assert done
    assert (done.state, done.done, done.total) == ("done", 2, 2)
    assert done.result["added"] == 2
    assert jobs.run(job["id"], uploads.run_ingest) is None
    assert Image.objects.count() == 2
    assert not [path for path in state()[3] if "uploads" in path.parts]


@pytest.mark.django_db(transaction=True)
def test_a_large_zip_with_a_bad_image_fails_as_a_whole(upload, manager, monkeypatch):
    monkeypatch.setattr(ingest_zips, "SMALL_ZIP_ENTRIES", 1)
    monkeypatch.setattr(jobs, "wake", lambda job: None)
    data = samples.zipped(GOOD | {"bad.png": samples.DAMAGED["no-idat"]})
    [job] = upload(manager, {"set.zip": data}).json()["jobs"]
    failed = jobs.run(job["id"], uploads.run_ingest)
    assert failed
    assert failed.error
    assert failed.state == "failed"
    assert failed.error["field"] == "bad.png"
    assert not Image.objects.exists()
