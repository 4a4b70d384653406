"""Files of several pictures, of more than 8 bits, and of medicine."""

import gzip
import io
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from PIL import Image as Pillow

from annotations.models import Image, StoredFile
from annotations.services import ingest, jobs, uploads
from tests.ingest import samples


def pages(count: int = 3) -> bytes:
    rest = [samples.pixels(seed=number) for number in range(1, count)]
    return samples.encoded(samples.pixels(), "TIFF", save_all=True, append_images=rest)


def window_of(image: Image) -> dict[str, Any]:
    assert image.file.window
    return image.file.window


def values_of(image: Image) -> np.ndarray:
    """The real values that the stored ones stand for, (height, width)."""
    stored = gzip.decompress(default_storage.open(image.file.values).read())
    window = window_of(image)
    pixels = np.frombuffer(stored, "<u2").reshape(image.height, image.width)
    return pixels * window["scale"] + window["offset"]


def shown(image: Image) -> np.ndarray:
    return np.asarray(Pillow.open(default_storage.open(image.file.upright)))


def take(upload: Any, user: Any, name: str, data: bytes) -> list[Image]:
    response = upload(user, {name: data})
    assert response.status_code == 201, response.json()
    added = [one["image"] for one in response.json()["results"] if one["image"]]
    return [Image.objects.get(pk=one["id"]) for one in added]


# --- pages ----------------------------------------------------------------------------------------


def test_each_page_of_a_tiff_is_an_image(upload, manager):
    images = take(upload, manager, "scan.tif", pages())
    assert [image.name for image in images] == ["scan.tif", "scan.tif#2", "scan.tif#3"]
    for number, image in enumerate(images):
        assert np.array_equal(shown(image), np.asarray(samples.pixels(seed=number)))
        assert image.file.original == images[0].file.original
    assert default_storage.open(images[0].file.original).read() == pages()
    response = upload(manager, {"again.tif": pages()})
    assert (response.status_code, response.json()["code"]) == (409, "duplicate")


def test_the_original_stays_as_long_as_one_page_does(upload, manager, state):
    before = state()
    first, second, third = take(upload, manager, "scan.tif", pages())
    original = first.file.original
    for image in (first, third):
        ingest.delete_image(manager, image)
        assert default_storage.exists(original)
    # What is left is known, what was removed comes again.
    assert len(take(upload, manager, "scan.tif", pages())) == 2
    for image in Image.objects.all():
        ingest.delete_image(manager, image)
    assert not default_storage.exists(original)
    assert state() == before
    assert second.pk


def test_reduced_copies_inside_a_tiff_are_no_pages(upload, manager):
    small = samples.pixels().resize((20, 15))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    out = io.BytesIO()
    samples.pixels().save(out, "TIFF", save_all=True, append_images=[small])
    assert getattr(Pillow.open(io.BytesIO(out.getvalue())), "n_frames", 1) == 2
    assert len(take(upload, manager, "overview.tif", out.getvalue())) == 1


def test_a_bad_page_refuses_the_file(upload, manager, state):
    before = state()
    assert upload(manager, {"cut.tif": pages()[:-100]}).status_code == 422
    assert state() == before


@pytest.mark.django_db(transaction=True)
def test_many_pages_are_a_job(upload, manager, monkeypatch):
    monkeypatch.setattr(jobs, "wake", lambda job: None)
    response = upload(manager, {"long.tif": pages(25)})
    assert response.status_code == 202, response.json()
    [job] = response.json()["jobs"]
    assert not Image.objects.exists()
    done = jobs.run(job["id"], uploads.run_ingest)
    assert done
    assert (done.state, done.result["added"], done.total) == ("done", 25, 25)
    assert Image.objects.count() == 25


# --- more than 8 bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_values(upload, manager, kind):
    values = np.random.default_rng(1).integers(1000, 60000, (30, 40)).astype(np.uint16)
    data = samples.encoded(Pillow.fromarray(values), kind)
    [image] = take(upload, manager, "deep", data)
    assert np.array_equal(values_of(image), values)
    assert default_storage.open(image.file.original).read() == data
    window = window_of(image)
    assert (window["low"], window["high"]) == (values.min(), values.max())


def test_floats_keep_their_values_within_a_step(upload, manager):
    values = np.random.default_rng(1).normal(0, 5, (30, 40)).astype(np.float32)
    [image] = take(upload, manager, "deep.tif", samples.encoded(Pillow.fromarray(values), "TIFF"))
    assert np.abs(values_of(image) - values).max() <= window_of(image)["scale"] * 0.51


def test_values_are_turned_with_the_picture(upload, manager):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    values = np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50
    data = samples.encoded(Pillow.fromarray(values), "TIFF", exif=exif)
    [image] = take(upload, manager, "turned.tif", data)
    assert (image.width, image.height) == (30, 40)
    assert np.array_equal(values_of(image), values[::-1].T)
    assert np.array_equal(np.argsort(shown(image)[0]), np.argsort(values[::-1].T[0]))


def test_the_workspace_says_the_window_and_members_get_the_values(
    upload, manager, teammate, stranger, client_of
):
    deep = samples.encoded(Pillow.fromarray(np.full((6, 8), 700, np.uint16)))
    [image] = take(upload, manager, "deep.png", deep)
    [plain] = take(upload, manager, "plain.png", samples.png())
    client = client_of(teammate)
    told = client.get(f"/api/images/{image.pk}/workspace").json()["image"]
    assert told["window"]["least"] == 700
    assert told["levels"] == 0
    reply = client.get(f"/api/images/{image.pk}/values")
    assert len(gzip.decompress(b"".join(reply.streaming_content))) == 6 * 8 * 2
    assert client.get(f"/api/images/{plain.pk}/values").status_code == 404
    assert client_of(stranger).get(f"/api/images/{image.pk}/values").status_code == 404
    assert client_of(None).get(f"/api/images/{image.pk}/values").status_code == 401


# --- DICOM ----------------------------------------------------------------------------------------


def dicom(pixels: np.ndarray, **elements: Any) -> bytes:
    """A CT-like file of uint16 (frames, height, width)."""
    pydicom = pytest.importorskip("pydicom")
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.NumberOfFrames, data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    for name, value in elements.items():
        setattr(data, name, value)
    data.PixelData = pixels.astype("<u2").tobytes()
    out = io.BytesIO()
    pydicom.dcmwrite(out, data, enforce_file_format=True)
    return out.getvalue()


SCAN = np.random.default_rng(3).integers(0, 3000, (2, 12, 16)).astype(np.uint16)


def test_dicom_frames_are_shown_by_the_files_window(upload, manager):
    data = dicom(
        SCAN, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=[40, 1], WindowWidth=[400, 2]
    )
    images = take(upload, manager, "ct.dcm", data)
    assert [image.name for image in images] == ["ct.dcm", "ct.dcm#2"]
    for frame, image in zip(SCAN, images, strict=True):
        real = frame * 2.0 - 1024
        assert np.allclose(values_of(image), real)
        # DICOM PS3.3, C.11.2.1.2.1: black below 40 - 0.5 - 399 / 2, white above 40 - 0.5 + 399 / 2.
        expected = np.rint(((real + 160) * 255 / 399).clip(0, 255))
        assert np.abs(shown(image).astype(float) - expected).max() <= 1
        assert (shown(image)[real < -160] == 0).all()
        assert (shown(image)[real > 239] == 255).all()


def test_monochrome1_is_shown_inverted(upload, manager):
    [image] = take(
        upload, manager, "x.dcm", dicom(SCAN[:1], PhotometricInterpretation="MONOCHROME1")
    )
    assert shown(image)[SCAN[0] == SCAN[0].min()].min() == 255
    assert window_of(image)["inverted"]


@pytest.mark.parametrize(
    "data",
    [lambda: dicom(SCAN)[:-50], lambda: dicom(SCAN)[:200], lambda: dicom(SCAN, Rows=0)],
    ids=["cut", "header-only", "no-rows"],
)
def test_damaged_dicom_is_refused(upload, manager, state, data):
    made = data()
    before = state()
    response = upload(manager, {"bad.dcm": made})
    assert (response.status_code, response.json()["field"]) == (422, "bad.dcm")
    assert state() == before


# --- NIfTI ----------------------------------------------------------------------------------------


def nifti(values: np.ndarray, affine: Any = None, packed: bool = False, **header: float) -> bytes:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    data = image.to_bytes()
    return gzip.compress(data) if packed else data


VOLUME = np.random.default_rng(4).integers(-500, 500, (10, 12, 3)).astype(np.int16)


@pytest.mark.parametrize("packed", [False, True])
def test_nifti_slices_lie_as_radiologists_look(upload, manager, packed):
    images = take(upload, manager, "brain.nii", nifti(VOLUME, packed=packed, cal_max=300))
    assert [image.name for image in images] == ["brain.nii", "brain.nii#2", "brain.nii#3"]
    for number, image in enumerate(images):
        # Axes are right, front, head: the patient's right goes to the left, the front up.
        assert np.array_equal(values_of(image), VOLUME[::-1, ::-1, number].T)
        assert (window_of(image)["low"], window_of(image)["high"]) == (0, 300)


def test_nifti_is_turned_by_its_affine(upload, manager):
    already = np.diag([-1.0, -1.0, 1.0, 1.0])
    [first, *_] = take(upload, manager, "lps.nii", nifti(VOLUME, already))
    assert np.array_equal(values_of(first), VOLUME[:, :, 0].T)


def test_damaged_nifti_is_refused(upload, manager, state):
    bomb = bytearray(nifti(VOLUME))
    bomb[42:46] = b"\xff\x7f\xff\x7f"
    before = state()
    for data in (nifti(VOLUME)[:-10], nifti(VOLUME, packed=True)[:-40], bytes(bomb)):
        response = upload(manager, {"bad.nii": data})
        assert (response.status_code, response.json()["field"]) == (422, "bad.nii")
    assert state() == before


def test_a_reader_that_is_not_installed_is_named(upload, manager, state, monkeypatch, tmp_path):
    """The decoder's process finds a module that says no in place of the reader."""
    from annotations.imaging import pool

    (tmp_path / "pydicom.py").write_text("raise ImportError")
    program = pool.PROGRAM.replace(
        "import sys; ", f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; "
    )
    monkeypatch.setattr(pool, "PROGRAM", program.replace("sys.path.insert(0,", "sys.path.append("))
    pool._fill()
    data = dicom(SCAN)
    before = state()
    response = upload(manager, {"ct.dcm": data})
    pool._fill()
    assert (response.status_code, response.json()["code"]) == (415, "reader_missing")
    assert "requirements/medical.txt" in response.json()["detail"]
    assert state() == before
    assert not StoredFile.objects.exists()
