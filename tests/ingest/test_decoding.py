"""Bytes into an upright 8-bit sRGB raster, in a process with limits."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from annotations.imaging import pool
from annotations.imaging.sniff import sniff
from tests.ingest import samples
from tests.live import ROOT

LIMIT = 100_000_000


def decode(tmp_path, data: bytes, max_pixels: int = LIMIT):
    """The upright picture as browsers get it, and what the decoder said."""
    source = tmp_path / "source"
    source.write_bytes(data)
    kind = sniff(data)
    assert kind is not None
    decoded = pool.decode(source, tmp_path, kind.name, max_pixels=max_pixels)
    upright = Image.open(decoded.upright or source)
    upright.load()
    assert upright.size == (decoded.width, decoded.height)
    return upright, decoded


@pytest.mark.parametrize("name", samples.NOT_IMAGES)
def test_other_files_are_not_images(name):
    assert sniff(samples.NOT_IMAGES[name]) is None


@pytest.mark.parametrize("name", samples.DAMAGED)
def test_damaged_files_are_refused(tmp_path, name):
    with pytest.raises(pool.BadImage) as refused:
        decode(tmp_path, samples.DAMAGED[name])
    assert refused.value.detail.endswith(".")
    assert str(tmp_path) not in refused.value.detail
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("progressive", [False, True])
def test_of_a_picture_that_is_only_made_small_all_bytes_are_judged(tmp_path, progressive):
    data = samples.encoded(samples.pixels(700, 500), "JPEG", progressive=progressive)
    _, decoded = decode(tmp_path, data)
    assert (decoded.upright, decoded.width, decoded.height) == (None, 700, 500)
    assert Image.open(decoded.thumbnail).size == (320, 229)
    for share in (0.3, 0.7, 0.98):
        with pytest.raises(pool.BadImage) as refused:
            decode(tmp_path, data[: int(share * len(data))])
        assert refused.value.code == "damaged_image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_browsers_draw_as_it_is_keeps_its_bytes(tmp_path, kind):
    _, decoded = decode(tmp_path, samples.encoded(samples.pixels(), kind))
    assert decoded.upright is None
    assert Image.open(decoded.thumbnail).format == "JPEG"


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
def test_what_browsers_cannot_draw_becomes_png(tmp_path, kind):
    picture = samples.pixels()
    upright, decoded = decode(tmp_path, samples.encoded(picture, kind))
    assert decoded.upright.suffix == ".png"
    assert np.array_equal(np.asarray(upright), np.asarray(picture))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_baked_in(tmp_path, orientation, kind):
    picture = samples.pixels()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    upright, decoded = decode(tmp_path, samples.encoded(picture, kind, exif=exif, **options))
    # EXIF 2.32, table 6: which corner of the stored raster is the top left of the scene.
    a = np.asarray(picture)
    expected = {
        1: a,
        2: a[:, ::-1],
        3: a[::-1, ::-1],
        4: a[::-1],
        5: a.transpose(1, 0, 2),
        6: a[::-1].transpose(1, 0, 2),
        7: a[::-1, ::-1].transpose(1, 0, 2),
        8: a[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    got = np.asarray(upright.convert("RGB"))
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).mean() < (12 if kind == "JPEG" else 0.1)
    if orientation > 1:
        assert not upright.getexif()
    assert not Image.open(decoded.thumbnail).getexif()


def test_sixteen_bit_gray_is_stretched_to_its_own_range(tmp_path):
    values = np.linspace(1000, 5000, 1200).reshape(30, 40).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        upright, _ = decode(tmp_path, samples.encoded(Image.fromarray(values), kind))
        assert upright.mode == "L"
        assert np.array_equal(np.asarray(upright), np.rint((values - 1000.0) * 255 / 4000))


def test_a_flat_sixteen_bit_image_is_black(tmp_path):
    flat = Image.fromarray(np.full((30, 40), 700, np.uint16))
    assert decode(tmp_path, samples.encoded(flat))[0].getextrema() == (0, 0)


def test_cmyk_becomes_rgb(tmp_path):
    cmyk = Image.new("CMYK", (20, 20), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        upright, _ = decode(tmp_path, samples.encoded(cmyk, kind))
        assert upright.mode == "RGB"
        assert np.abs(np.asarray(upright).astype(int) - (0, 255, 255)).max() <= 2


def test_another_colour_profile_is_converted_and_srgb_is_left_alone(tmp_path):
    picture = Image.new("RGB", (20, 20), (200, 40, 40))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode(tmp_path, samples.encoded(picture, icc_profile=srgb))[1].upright is None
    # A profile of linear light: the same numbers mean brighter colours.
    upright, decoded = decode(tmp_path, samples.encoded(picture, icc_profile=linear_profile(srgb)))
    assert decoded.upright is not None
    assert "icc_profile" not in upright.info
    assert min(np.asarray(upright)[0, 0] - np.array([200, 40, 40])) > 10


def linear_profile(srgb: bytes) -> bytes:
    """The sRGB profile with straight tone curves and another name."""
    data = bytearray(srgb)
    count = int.from_bytes(data[128:132], "big")
    for i in range(count):
        tag = data[132 + 12 * i : 144 + 12 * i]
        start, size = int.from_bytes(tag[4:8], "big"), int.from_bytes(tag[8:12], "big")
        if tag[:4] in (b"rTRC", b"gTRC", b"bTRC"):
            data[start : start + size] = b"curv".ljust(size, b"\0")
    return bytes(data).replace("sRGB".encode("utf-16-be"), "xxxx".encode("utf-16-be"))


def test_a_broken_profile_does_not_refuse_the_picture(tmp_path):
    assert decode(tmp_path, samples.jpeg(icc_profile=b"nonsense"))[1].upright is None


def test_alpha_is_flattened_on_white_and_opaque_alpha_left_alone(tmp_path):
    picture = Image.new("RGBA", (20, 20), (255, 0, 0, 255))
    assert decode(tmp_path, samples.encoded(picture))[1].upright is None
    picture.paste((255, 0, 0, 0), (0, 0, 10, 20))
    upright, _ = decode(tmp_path, samples.encoded(picture))
    assert upright.getpixel((0, 0)) == (255, 255, 255)
    assert upright.getpixel((15, 0)) == (255, 0, 0)


def test_a_palette_with_a_transparent_colour_is_flattened(tmp_path):
    picture = Image.new("P", (20, 20), 1)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.paste(0, (0, 0, 10, 20))
    upright, _ = decode(tmp_path, samples.encoded(picture, transparency=0))
    assert upright.getpixel((0, 0)) == (255, 255, 255)
    assert upright.getpixel((15, 0)) == (0, 255, 0)


def test_the_first_picture_of_an_mpo_is_taken(tmp_path):
    """What many cameras write as .jpg: a JPEG with previews behind it."""
    data = samples.encoded(
        samples.pixels(), "MPO", save_all=True, append_images=[samples.pixels(seed=1)]
    )
    assert decode(tmp_path, data)[1].upright is None


def test_the_thumbnail_is_small(tmp_path):
    picture = samples.pixels().resize((1000, 500))
    assert Image.open(decode(tmp_path, samples.encoded(picture))[1].thumbnail).size == (320, 160)


def test_a_large_image_within_the_limit_fits_in_memory(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("CMYK", (12_500, 8_000))
    upright, _ = decode(tmp_path, samples.encoded(picture, "JPEG", quality=20, exif=exif))
    assert upright.size == (8_000, 12_500)


@pytest.fixture(params=["alone", "forked"])
def decoder(request, monkeypatch) -> Iterator[pool.Decoder]:
    """A process that is started for itself, or a fork of a server of decoders."""
    server = None
    if request.param == "forked":
        if sys.platform != "linux":
            pytest.skip("Linux only")
        address = f"labeler-test-{uuid.uuid4()}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0{address}")
        listener.listen()
        code = "import socket, sys; from annotations.imaging import pool; "
        code += "pool.run_server(socket.socket(fileno=int(sys.argv[1])))"
        command = [sys.executable, "-c", code, str(listener.fileno())]
        server = subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()])
        monkeypatch.setenv(pool.SHARED, address)
    decoder = pool.Decoder()
    yield decoder
    parent = Path(f"/proc/{decoder.pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) == (server.pid if server else os.getpid())
    decoder.stop()
    if server:
        server.kill()
        server.wait()


def test_a_decoder_that_dies_is_replaced(tmp_path, decoder):
    source = tmp_path / "source"
    source.write_bytes(samples.png())
    request: dict[str, Any] = {"source": str(source), "folder": str(tmp_path), "type": "PNG"}
    request |= {"max_pixels": LIMIT, "seconds": 5}

    def width(timeout: float = 20) -> Any:
        return next((reply["width"] for reply in [*decoder.ask(request, timeout)]), None)

    def send(number: int) -> None:
        os.kill(decoder.pid, number)
        time.sleep(0.2)

    assert width() == 40
    send(signal.SIGSEGV)
    assert width() == 40
    send(signal.SIGSTOP)  # one that hangs is ended at the time limit
    assert width(timeout=0.3) is None
    assert width() == 40


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="Linux only")
def test_a_decoder_is_limited_from_its_first_file_on(tmp_path, decoder):
    """In memory, processor time, the size of files, open files; it knows nothing of our secrets."""
    source = tmp_path / "source"
    source.write_bytes(samples.png())
    request = {"source": str(source), "folder": str(tmp_path), "type": "PNG"}
    assert [*decoder.ask(request | {"max_pixels": LIMIT, "seconds": 5}, 20)]
    process = Path(f"/proc/{decoder.pid}")
    lines = process.joinpath("limits").read_text().splitlines()[1:]
    soft = {line[:26].strip(): line[26:].split()[0] for line in lines}
    assert int(soft["Max address space"]) < 768 * 2**20 + 16 * LIMIT + 1
    assert int(soft["Max cpu time"]) < 30
    assert int(soft["Max file size"]) < 3 * 2**30
    assert (soft["Max open files"], soft["Max core file size"]) == ("64", "0")
    environment = process.joinpath("environ").read_bytes()
    assert b"LANG=" in environment
    assert b"SECRET_KEY" not in environment


def test_a_forked_process_has_decoders_of_its_own(tmp_path):
    """As Celery's prefork children are: daemonic, forked from a process that has decoded."""
    decode(tmp_path, samples.png())
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            decode(tmp_path, samples.png(seed=1))
            os.write(write, b"ok")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    assert io.FileIO(read).read() == b"ok"
    decode(tmp_path, samples.png(seed=2))
