"""Videos become frames, in a job."""

import io

import numpy as np
import pytest
from django.core.files.storage import default_storage
from PIL import Image as Pillow

from annotations.models import Image
from annotations.services import jobs, uploads

av = pytest.importorskip("av")


def video(frames: int = 50, rate: int = 10) -> bytes:
    """An MP4 whose frame number n has brightness 4 n."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            pixels = np.full((48, 64, 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


@pytest.fixture
def run(upload, manager, monkeypatch):
    """`run(data, **fields)` uploads a video and does its job."""
    monkeypatch.setattr(jobs, "wake", lambda job: None)

    def do(data: bytes, **fields: str):
        response = upload(manager, {"clip.mp4": data}, **fields)
        assert response.status_code == 202, response.json()
        return jobs.run(response.json()["jobs"][0]["id"], uploads.run_ingest)

    return do


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({"every": "20"}, [0, 20, 40]),
        ({"seconds": "2"}, [0, 20, 40]),
        ({}, [0, 10, 20, 30, 40]),
    ],
    ids=str,
)
def test_frames_are_taken_by_number_or_time(run, fields, taken):
    done = run(video(), **fields)
    assert (done.state, done.result["added"]) == ("done", len(taken)), done.error
    images = Image.objects.all()
    assert [image.name for image in images] == [f"clip.mp4#{number + 1}" for number in taken]
    for number, image in zip(taken, images, strict=True):
        picture = np.asarray(Pillow.open(default_storage.open(image.file.upright)))
        assert picture.shape == (48, 64, 3)
        assert abs(float(picture.mean()) - 4 * number) < 6


@pytest.mark.django_db(transaction=True)
def test_the_same_video_again_adds_nothing(run):
    run(video())
    again = run(video())
    assert (again.state, again.error["code"]) == ("failed", "duplicate")


@pytest.mark.django_db(transaction=True)
def test_a_damaged_video_is_refused_and_leaves_nothing(upload, manager, state):
    before = state()
    response = upload(manager, {"clip.mp4": video()[:300]})
    assert (response.status_code, response.json()["field"]) == (422, "clip.mp4")
    assert state() == before


@pytest.mark.django_db(transaction=True)
def test_cancelling_stops_between_frames(upload, manager, monkeypatch):
    monkeypatch.setattr(jobs, "wake", lambda job: None)
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    [job] = upload(manager, {"clip.mp4": video()}, every="1").json()["jobs"]
    seen = []
    progress = jobs.JobRun.progress

    def cancel_at_the_third(self, done, *rest):
        seen.append(done)
        if done == 3:
            jobs.cancel(self.job)
        progress(self, done, *rest)

    monkeypatch.setattr(jobs.JobRun, "progress", cancel_at_the_third)
    stopped = jobs.run(job["id"], uploads.run_ingest)
    assert stopped
    assert (stopped.state, seen) == ("cancelled", [1, 2, 3])
    assert not Image.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"every": "0"}, {"every": "x"}, {"seconds": "nan"}, {"every": "1", "seconds": "1"}]
)
def test_bad_choices_are_refused(upload, manager, state, fields):
    before = state()
    response = upload(manager, {"clip.mp4": b"any"}, **fields)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert state() == before
