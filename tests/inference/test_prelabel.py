"""Pre-labeling jobs, with a fake engine."""

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from annotations.errors import ServiceError
from annotations.masks import rle
from annotations.models import Job, JobItem, JobShare, Prediction, Proposal, Region
from annotations.services import jobs, sweeping
from inference.models import ModelVersion
from inference.selectors import get_model
from inference.services.prelabel import run_prelabel, start_prelabel
from tests.inference.conftest import FakeDetector, disc

pytestmark = pytest.mark.django_db


@pytest.fixture
def images(project, store_image):
    return [store_image(project) for _ in range(5)]


def run(job: Job) -> Job:
    done = jobs.run(job.pk, run_prelabel)
    assert done is not None
    return done


def wide(width: int) -> np.ndarray:
    return disc(width=width)[0]


def test_every_image_gets_a_prediction_with_mapped_categories(project, manager, fake, images):
    job = run(start_prelabel(manager, project, fake))
    assert (job.state, job.done, job.total) == ("done", 5, 5)
    assert job.result == {"images": 5, "failed": 0, "proposals": 10}
    assert FakeDetector.calls == [4, 1]
    proposals = Proposal.objects.filter(prediction__image=images[0])
    found = {p.category and p.category.name: (p.score, p.area, p.bbox) for p in proposals}
    assert found == {"road": (0.9, 200, [10, 0, 20, 10]), "car": (0.6, 200, [0, 0, 20, 10])}
    prediction = proposals[0].prediction
    assert (prediction.model, prediction.model_version) == ("fake", "f" * 64)


def test_min_score_map_and_cap_are_honoured(project, manager, fake, images):
    car = project.categories.get(name="car")
    job = start_prelabel(
        manager, project, fake, category_map={"tree": car.pk, "Road": car.pk}, max_proposals=2
    )
    run(job)
    # The engine gives car and Road; car is not mapped.
    assert set(Proposal.objects.values_list("category", "score")) == {(car.pk, 0.9)}


def test_a_class_may_have_a_least_score_of_its_own(project, manager, fake, images):
    run(start_prelabel(manager, project, fake, min_score=0.95, min_scores={"car": 0.6}))
    assert set(Proposal.objects.values_list("category__name", "score")) == {("car", 0.6)}
    with pytest.raises(ServiceError) as refused:
        start_prelabel(manager, project, fake, min_scores={"boat": 0.6})
    assert refused.value.field == "min_scores.boat"


def test_a_preview_tries_four_images_and_stores_nothing(project, manager, fake, store_image):
    images = [store_image(project, broken=number == 0) for number in range(7)]
    job = run(start_prelabel(manager, project, fake, preview=True))
    assert (job.state, job.total, Prediction.objects.count()) == ("done", 4, 0)
    rows = job.result["preview"]
    assert [row["image"] for row in rows] == [images[i].pk for i in (0, 2, 4, 6)]
    assert (rows[0]["error"], rows[0]["proposals"]) == ("The stored image cannot be read.", [])
    road, car = rows[1]["proposals"]
    assert (road["score"], road["area"], car["score"], car["area"]) == (0.9, 200, 0.6, 200)
    assert rle.area(road["counts"]) == 200
    assert rows[1]["size"] == [90, 120]
    assert job.message == "Tried on 4 images: 6 proposals, none of them stored"
    assert run(start_prelabel(manager, project, fake)).result["images"] == 6


def test_the_page_tries_a_model_and_shows_what_it_would_propose(
    project, manager, stranger, fake, images
):
    def browse(user):
        client = Client()
        client.force_login(user)
        return client

    categories = {c.name: c.pk for c in project.categories.all()}
    data = {
        "model": fake.pk, "scope": "all", "min_score": 0.5, "max_proposals": 9, "preview": 1,
        "class-0": categories["car"], "class-1": categories["road"], "score-1": "0.95",
    }  # fmt: skip
    address = f"/projects/{project.pk}/prelabel"
    bad = browse(manager).post(address, data | {"score-1": "much"}, headers={"HX-Request": "true"})
    assert "The least score of “Road” is not from 0 to 1." in bad.content.decode()
    reply = browse(manager).post(address, data, headers={"HX-Request": "true"})
    job = Job.objects.get()
    again = f"/jobs/{job.pk}/preview"
    assert f'hx-get="{again}"' in reply.content.decode()
    run(job)
    shown = browse(manager).get(again).content.decode()
    assert shown.count("data:image/jpeg;base64,") == 4
    assert shown.count("1 car") == 4
    assert "hx-get" not in shown
    assert browse(stranger).get(again).status_code == 404


def test_a_semantic_project_gets_no_overlap(make_project, manager, fake, store_image):
    project = make_project("semantic")
    image = store_image(project)
    run(start_prelabel(manager, project, fake))
    found = Proposal.objects.filter(prediction__image=image)
    counts = [proposal.counts or "" for proposal in found]
    assert len(counts) == 2
    assert rle.overlap(counts) is None


def test_nobodys_regions_are_touched(project, manager, teammate, fake, images, make_annotation):
    make_annotation(images[0], teammate, regions=2)
    before = list(Region.objects.values())
    run(start_prelabel(manager, project, fake))
    assert list(Region.objects.values()) == before


def test_a_bad_image_is_reported_and_the_others_are_done(project, manager, fake, store_image):
    good, bad = store_image(project), store_image(project, broken=True)
    odd = store_image(project, wide(77))
    FakeDetector.fails_on_width = 77
    job = run(start_prelabel(manager, project, fake))
    assert job.state == "done"
    assert job.result["failed"] == 2
    errors = dict(JobItem.objects.exclude(error="").values_list("image", "error"))
    assert errors == {
        bad.pk: "The stored image cannot be read.",
        odd.pk: "The model failed on this image; the log says more.",
    }
    assert list(Prediction.objects.values_list("image", flat=True)) == [good.pk]


def test_a_retry_does_the_failed_images_only(project, manager, fake, store_image):
    store_image(project)
    odd = store_image(project, wide(77))
    FakeDetector.fails_on_width = 77
    job = run(start_prelabel(manager, project, fake))
    first = Prediction.objects.get()
    FakeDetector.fails_on_width, FakeDetector.calls = None, []
    job = run(jobs.retry(manager, job))
    assert FakeDetector.calls == [1]
    assert job.result == {"images": 2, "failed": 0, "proposals": 4}
    assert set(Prediction.objects.values_list("image", flat=True)) == {first.image_id, odd.pk}
    assert Prediction.objects.filter(pk=first.pk).exists()


def test_out_of_memory_halves_the_batch(project, manager, fake, images):
    FakeDetector.most = 1
    job = run(start_prelabel(manager, project, fake))
    assert job.result["failed"] == 0
    assert FakeDetector.calls == [4, 2, 1, 1, 2, 1, 1, 1]


def test_when_no_image_fits_the_job_fails_with_the_reason(project, manager, fake, images):
    FakeDetector.most = 0
    job = run(start_prelabel(manager, project, fake))
    assert job.state == "failed"
    assert job.error
    assert "ran out of memory" in job.error["detail"]


@pytest.mark.django_db(transaction=True)
def test_a_cancel_takes_effect_within_a_batch(project, manager, fake, images, monkeypatch):
    monkeypatch.setattr(FakeDetector, "batch_size", 1)
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    job = start_prelabel(manager, project, fake)
    FakeDetector.before = lambda: jobs.cancel(Job.objects.get(pk=job.pk))
    job = run(job)
    assert job.state == "cancelled"
    assert Prediction.objects.count() <= 1


def test_a_second_worker_does_what_the_first_has_not_taken(project, manager, fake, images):
    job = start_prelabel(manager, project, fake)

    def second_worker() -> None:
        FakeDetector.before = None
        jobs.run(job.pk, run_prelabel, shared=True)

    FakeDetector.before = second_worker
    ended = run(job)
    assert FakeDetector.calls == [4, 1]
    assert (ended.state, ended.result["proposals"], ended.attempts) == ("done", 10, 1)
    assert Prediction.objects.count() == 5
    assert set(job.items.values_list("attempts", "share")) == {(1, None)}
    assert not ended.shares.exists()


def test_results_are_written_once_when_a_slow_workers_images_were_taken_over(
    project, manager, fake, images
):
    job = start_prelabel(manager, project, fake)

    def second_worker() -> None:
        FakeDetector.before = None
        JobShare.objects.update(lease_expires_at=timezone.now())
        jobs.run(job.pk, run_prelabel, shared=True)

    FakeDetector.before = second_worker
    assert run(job).state == "running"  # who led it found that its images are somebody else's
    assert FakeDetector.calls == [4, 1, 1, 1, 1, 1]  # what a worker stopped at is done alone
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now())
    sweeping.sweep()
    assert run(job).result == {"images": 5, "failed": 0, "proposals": 10}
    assert (Prediction.objects.count(), Proposal.objects.count()) == (5, 10)


def test_who_helps_gives_way_to_a_job_that_waits(project, manager, fake, images, monkeypatch):
    monkeypatch.setattr(FakeDetector, "batch_size", 1)
    sent: list[int] = []
    monkeypatch.setattr(jobs, "wake", lambda job: sent.append(job.pk))
    job = start_prelabel(manager, project, fake)
    waits = start_prelabel(manager, project, fake, min_score=0.5)
    assert jobs.claim(job.pk)
    jobs.run(job.pk, run_prelabel, shared=True)
    assert (FakeDetector.calls, sent) == ([1], [job.pk, job.pk])
    jobs.cancel(waits)
    jobs.run(job.pk, run_prelabel, shared=True)
    assert FakeDetector.calls == [1] * 5
    assert Job.objects.get(pk=job.pk).state == "running"  # whoever leads it ends it


def test_the_same_run_asked_twice_is_one_job_until_it_ended(project, manager, fake, images):
    first = start_prelabel(manager, project, fake)
    assert start_prelabel(manager, project, fake).pk == first.pk
    assert start_prelabel(manager, project, fake, min_score=0.5).pk != first.pk
    run(first)
    assert start_prelabel(manager, project, fake).pk != first.pk


def test_what_makes_no_sense_is_refused_by_name(
    make_project, project, manager, fake, images, store_image
):
    other = make_project()
    elsewhere = store_image(other)

    def refused(**options) -> tuple[int, str]:
        with pytest.raises(ServiceError) as caught:
            start_prelabel(manager, project, fake, **options)
        return caught.value.status, caught.value.field

    theirs = other.categories.first().pk
    own = project.categories.first().pk
    assert refused(images=[images[0].pk, elsewhere.pk]) == (400, "images[1]")
    assert refused(images=[]) == (400, "images")
    assert refused(status="approved") == (400, "images")
    assert refused(category_map={"car": theirs}) == (400, "category_map.car")
    assert refused(category_map={"boat": own}) == (400, "category_map.boat")
    assert refused(category_map={}) == (400, "category_map")
    assert Job.objects.count() == 0


def test_no_class_has_a_categorys_name(make_project, manager, fake, store_image):
    project = make_project(categories=("boat",))
    store_image(project)
    with pytest.raises(ServiceError) as caught:
        start_prelabel(manager, project, fake)
    assert caught.value.field == "category_map"


def test_an_archived_project_is_refused(project, manager, fake, images):
    project.archived_at = timezone.now()
    with pytest.raises(ServiceError, match="archived"):
        start_prelabel(manager, project, fake)


def test_a_model_that_was_replaced_meanwhile_fails_the_job(project, manager, fake, images):
    job = start_prelabel(manager, project, fake)
    ModelVersion.objects.filter(pk=fake.pk).update(sha256="0" * 64)
    error = run(job).error
    assert error
    assert error["code"] == "model_changed"
    assert Prediction.objects.count() == 0


def test_a_rejected_model_is_refused_with_its_reason(project, manager, fake, images):
    ModelVersion.objects.filter(pk=fake.pk).update(state="rejected", reason="It was cut off.")
    with pytest.raises(ServiceError, match=r"It was cut off\."):
        start_prelabel(manager, project, fake)


def test_the_command_does_the_whole_job(project, fake, images, capsys):
    call_command("prelabel", project=project.name, model="fake", wait=True)
    assert "5 images, 10 proposals" in capsys.readouterr().out
    assert Prediction.objects.count() == 5
    FakeDetector.most = 0
    with pytest.raises(CommandError, match="ran out of memory"):
        call_command("prelabel", project=project.name, model="fake", wait=True)
    with pytest.raises(CommandError, match="no project"):
        call_command("prelabel", project="nowhere", model="fake")
    with pytest.raises(CommandError, match="no such model"):
        call_command("prelabel", project=project.name, model="nothing")


def test_the_classic_engine_proposes_regions_without_categories(project, manager, store_image):
    image = store_image(project)
    job = run(start_prelabel(manager, project, get_model("classic", "detector")))
    assert job.state == "done"
    truth = disc()[1]
    masks = [
        rle.decode(proposal.counts or "", truth.shape)
        for proposal in Proposal.objects.filter(prediction__image=image, category=None)
    ]
    best = max((mask & truth).sum() / (mask | truth).sum() for mask in masks)
    assert best > 0.9
