"""Training: what is learned from what, kept if better, resumed, and what comes after it."""

import dataclasses
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from safetensors.numpy import save_file

from annotations.errors import ServiceError
from annotations.masks import rle
from annotations.models import Annotation, Image, Job, Prediction, Region
from annotations.services import jobs
from inference import registry
from inference.engines.base import CropMask, Detection, WeightsInfo
from inference.engines.training import CHECKPOINT, WEIGHTS, Step, Task
from inference.models import ModelVersion, TrainingRun
from inference.registry import EngineSpec, Option
from inference.selectors import current_model, follows_image, get_model, next_to_learn
from inference.services import training as service
from inference.services.ordering import reason
from inference.services.prelabel import run_prelabel, start_prelabel
from inference.services.training import run_train, split, start_training, stop_early, use_model
from tests.inference.conftest import disc

pytestmark = pytest.mark.django_db


class FakeLearner:
    """Marks where images are bright, as well as `skill` says; each training makes it a bit better.

    It is its own trainer. `hook` is called after every step with its number.
    """

    device, batch_size = "a fake", 4
    score_name, validates = "skill", True
    skill, least_score = 0.9, 0.0
    hook: Callable[[int], None] = staticmethod(lambda step: None)
    begun_at: list[int] = []
    seen: list[Task] = []

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    @classmethod
    def inspect(cls, weights: Any) -> WeightsInfo:
        return WeightsInfo({}, ("car",))

    @classmethod
    def load(cls, weights: Any, config: dict[str, Any]) -> Self:
        return cls(json.loads(weights.with_suffix(".skill").read_text()))

    def detect(
        self, images: Any, *, min_score: float, max_detections: int
    ) -> list[list[Detection]]:
        found = []
        for image in images:
            mask = CropMask.of(image[..., 0] > 150)
            kept = max(1, round(mask.pixels.shape[1] * self.width))
            part = CropMask.of(mask.pixels[:, :kept], mask.x, mask.y)
            found.append([Detection(part, 0.5 + 0.4 * float(image.mean() > 75), 0)])
        return found

    def train(self, task: Task, stop: Callable[[], bool]) -> Iterator[Step]:
        type(self).seen.append(task)
        kept = task.folder / CHECKPOINT
        first = int(kept.read_text()) if kept.exists() else 0
        type(self).begun_at.append(first)
        for step in range(first, 4):
            len(task.train[0].targets)
            save_file({"a": np.zeros(1)}, task.folder / WEIGHTS)
            kept.write_text(str(step + 1))
            yield Step((step + 1) / 4, loss=1 / (step + 1), score=step / 4, checkpoint=True)
            type(self).hook(step)
            if stop():
                return


@pytest.fixture
def learner(monkeypatch) -> type[FakeLearner]:
    """FakeLearner as an engine of instance projects, with its skill in the place of weights."""
    path = f"{__name__}.FakeLearner"
    options = {"side": Option(64, 16, 512, "Side")}
    spec = EngineSpec(
        path, "Fake", frozenset({"detector"}), needs_torch=False, trainer=path,
        trains=frozenset({"instance"}), options=options,
    )  # fmt: skip
    monkeypatch.setattr(registry, "ENGINES", registry.ENGINES)
    monkeypatch.setitem(registry.ENGINES, "fake", spec)
    monkeypatch.setattr(FakeLearner, "skill", 0.9)
    monkeypatch.setattr(FakeLearner, "hook", staticmethod(lambda step: None))
    monkeypatch.setattr(FakeLearner, "begun_at", [])
    monkeypatch.setattr(FakeLearner, "seen", [])

    def examine(path: Any, engine: str) -> dict[str, Any]:
        sha256 = hashlib.sha256(str(FakeLearner.skill).encode()).hexdigest()
        return {"engine": engine, "sha256": sha256, "config": {}, "categories": ["car"]}

    monkeypatch.setattr(service.weights, "examine", examine)
    monkeypatch.setattr(
        FakeLearner, "load", classmethod(lambda cls, weights, config: cls(FakeLearner.skill))
    )
    return FakeLearner


@pytest.fixture
def approve(store_image, teammate) -> Callable[..., Image]:
    """`approve(project, x)`: an image with a disc at x, and the disc approved as a car."""

    def make(project: Any, x: int, status: str = "approved") -> Image:
        pixels, mask = disc(x=x)
        image = store_image(project, pixels)
        if status == "new":
            return image
        Image.objects.filter(pk=image.pk).update(status=status)
        annotation = Annotation.objects.create(
            project=project, image=image, annotator=teammate, status=status, revision=1
        )
        counts = rle.encode(mask)
        Region.objects.create(
            uuid=uuid.uuid4(), annotation=annotation, image=image,
            category=project.categories.first(), counts=counts, area=rle.area(counts),
            bbox=list(rle.bbox(counts, mask.shape)), source="brush", version=1, author=teammate,
        )  # fmt: skip
        return image

    return make


@pytest.fixture
def ready(project, approve) -> list[Image]:
    return [approve(project, 30 + 10 * n) for n in range(6)]


def run(training: TrainingRun) -> Any:
    """The training as it is after its job was done once."""
    jobs.run(training.job_id, run_train)
    return TrainingRun.objects.select_related("job", "model").get(pk=training.pk)


def start(user: Any, project: Any, **more: Any) -> TrainingRun:
    return start_training(user, project, engine="fake", **more)


def test_images_that_come_later_move_no_other_into_the_held_out_part():
    names = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(60)]
    before: set[str] = set()
    for count in range(5, 61):
        parts = split(names[:count])
        assert min(map(len, (parts.train, parts.validation, parts.held_out))) >= 1
        assert sorted(parts.train + parts.validation + parts.held_out) == sorted(names[:count])
        old = set(names[: count - 1])
        assert (set(parts.held_out) & old) <= before or count == 5
        before = set(parts.held_out)
    assert 6 <= len(before) <= 20
    assert split(names[:20], validates=False).validation == []


def test_a_training_leaves_a_measured_model_that_tells_where_it_came_from(
    project, manager, ready, learner
):
    done = run(start(manager, project, seed=7))
    assert done.job.state == "done", done.job.error
    model = done.model
    assert model is not None
    assert (model.current, model.project, model.parent) == (True, project, None)
    assert model.origin["release"] == done.release_sha256 == done.release.sha256
    assert (model.origin["seed"], model.origin["options"]) == (7, {"side": 64})
    assert len(model.origin["code"]) == 16
    held_out = done.images["held_out"]
    assert sum(done.images.values()) == 6
    assert model.metrics["images"] == held_out
    row = model.metrics["categories"][0]
    assert row["name"] == "car"
    assert 0.8 < row["iou"] < 0.95
    assert 0 < row["boundary_iou"] < row["iou"]
    assert row["ap"] == pytest.approx(0.8, abs=0.11)
    assert [point["score"] for point in done.curve] == [0, 0.25, 0.5, 0.75]
    assert done.examples[0]["regions"][0][0] == 1
    assert model.weights.startswith("trained/")
    assert not default_storage.listdir("uploads")[1]


def test_the_page_shows_curves_tables_and_pictures(
    project, manager, ready, learner, approve, client_of
):
    client = client_of(manager)
    address = f"/projects/{project.pk}/learning"
    asked = client.post(address, {"engine": "fake", "side": 64})
    assert asked.status_code == 302
    waiting = client.get(address).content.decode()
    assert "Stop early, keep the best" in waiting
    assert 'id="poll"' in waiting
    done = run(TrainingRun.objects.get())
    shown = client.get(address).content.decode()
    assert shown.count("<polyline") == 2
    assert done.verdict.startswith("AP 0.900 on 1 held-out image")
    assert "AP 0.900 on 1 held-out image" in shown
    assert "in use" in shown
    picture = f"/api/trainings/{done.pk}/images/{done.examples[0]['image']}/picture"
    both = [client.get(f"{picture}?of={which}") for which in ("truth", "found")]
    assert all(one.content.startswith(b"\xff\xd8") for one in both)
    assert both[0].content != both[1].content
    listed = client.get(f"/api/projects/{project.pk}/trainings").json()["results"]
    assert [one["model"] for one in listed] == [done.model.pk]


def test_a_project_without_approved_images_is_told_how_many_are_needed(
    project, manager, learner, client_of
):
    words = client_of(manager).get(f"/projects/{project.pk}/learning").content.decode()
    assert "5 are needed and 0 are there" in words


def test_what_is_held_out_is_never_learned_from(project, manager, ready, learner):
    done = run(start(manager, project))
    task = learner.seen[0]
    assert (len(task.train), len(task.validation)) == (
        done.images["train"], done.images["validation"],
    )  # fmt: skip
    shown = {e.image.tobytes() for part in (task.train, task.validation) for e in part}
    assert len(shown) + done.images["held_out"] == 6


def test_a_worse_model_is_kept_but_not_used_unless_a_person_says_so(
    project, manager, teammate, ready, learner
):
    first = run(start(manager, project, prelabel=False)).model
    learner.skill = 0.5
    worse = run(start(manager, project, prelabel=False, seed=1))
    assert current_model(project) == first
    assert worse.before["model"] == first.name
    assert "It stays." in worse.verdict
    with pytest.raises(ServiceError) as refused:
        use_model(teammate, worse.model)
    assert refused.value.status == 403
    use_model(manager, worse.model)
    assert current_model(project) == worse.model
    assert ModelVersion.objects.filter(project=project, current=True).count() == 1


def test_a_better_model_replaces_the_current_one(project, manager, ready, learner, monkeypatch):
    learner.skill = 0.5
    weak = run(start(manager, project, prelabel=False)).model
    monkeypatch.setattr(service, "detector_of", lambda model: FakeLearner(0.5))
    learner.skill = 0.9
    strong = run(start(manager, project, prelabel=False, seed=1))
    assert strong.before["metrics"]["score"] < strong.model.metrics["score"]
    assert current_model(project) == strong.model
    assert (strong.parent, strong.model.parent) == (weak, weak)
    assert strong.verdict.endswith("The new one replaces it.")


def test_borders_follow_the_image_where_that_is_better_on_images_apart(
    project, manager, ready, learner, monkeypatch, client_of
):
    spec = dataclasses.replace(registry.ENGINES["fake"], borders=True)
    monkeypatch.setitem(registry.ENGINES, "fake", spec)
    before = run(start(manager, project, prelabel=False))
    model, measured = before.model, before.model.origin["borders"]
    assert measured["images"] == before.images["validation"]
    assert measured["image"] > measured["model"] + 0.05
    assert model.metrics["boundary_iou"] > 0.85
    assert get_model(model.pk, "detector", project) == model
    assert follows_image(model)
    for asked, chosen in ((None, True), (False, False)):
        job = start_prelabel(manager, project, model, borders=asked)
        assert job.params["borders"] is chosen
    client = client_of(manager)
    page = client.get(f"/projects/{project.pk}/prelabel?model={model.pk}").content.decode()
    assert re.search(r'name="borders" value="on"[^>]* checked', page)
    learned = client.get(f"/projects/{project.pk}/learning").content.decode()
    assert "follow the image: AP" in learned
    form = {"model": model.pk, "scope": "all", "max_proposals": 5, "class-0": ""}
    client.post(
        f"/projects/{project.pk}/prelabel", form | {"class-0": job.params["category_map"]["car"]}
    )
    assert Job.objects.latest("pk").params["borders"] is False

    learner.skill = 1.0  # as good as it gets: moving borders can only spoil them
    own = run(start(manager, project, prelabel=False, seed=1)).model
    assert not follows_image(own)
    assert own.metrics["boundary_iou"] == pytest.approx(1)
    monkeypatch.setitem(registry.ENGINES, "fake", dataclasses.replace(spec, borders=False))
    with pytest.raises(ServiceError) as refused:
        start_prelabel(manager, project, own, borders=True)
    assert refused.value.field == "borders"


def test_a_killed_worker_goes_on_from_the_checkpoint_with_the_same_data(
    project, manager, ready, learner, approve
):
    def die(step: int) -> None:
        if step == 1:
            raise SystemExit  # like a kill: nothing is written any more

    learner.hook = staticmethod(die)
    training = start(manager, project)
    with pytest.raises(SystemExit):
        run(training)
    learner.hook = staticmethod(lambda step: None)
    approve(project, 95)
    release = TrainingRun.objects.get(pk=training.pk).release_sha256
    Job.objects.filter(pk=training.job_id).update(state="queued", lease=None)
    done = run(training)
    assert learner.begun_at == [0, 2]
    assert [point["done"] for point in done.curve] == [0.25, 0.5, 0.75, 1.0]
    assert (done.job.state, done.job.attempts) == ("done", 2)
    assert done.release_sha256 == release
    assert ModelVersion.objects.filter(project=project).count() == 1


def test_doing_it_twice_leaves_one_model(project, manager, ready, learner):
    training = start(manager, project)
    assert start(manager, project) == training
    run(training)
    assert jobs.run(training.job_id, run_train) is None
    assert ModelVersion.objects.filter(project=project).count() == 1
    assert Job.objects.filter(kind="train").count() == 1


@pytest.mark.django_db(transaction=True)
def test_stopping_early_keeps_the_best_and_cancelling_keeps_nothing(
    project, manager, ready, learner, monkeypatch
):
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    training = start(manager, project, prelabel=False)
    learner.hook = staticmethod(lambda step: stop_early(manager, training))
    done = run(training)
    assert len(done.curve) == 1
    assert done.job.state == "done"
    assert done.model
    other = start(manager, project, prelabel=False)
    learner.hook = staticmethod(lambda step: jobs.cancel(other.job))
    cancelled = run(other)
    assert (cancelled.job.state, cancelled.model) == ("cancelled", None)
    assert current_model(project) == done.model


def test_then_the_rest_is_prelabeled_and_put_in_order(
    project, manager, ready, learner, approve, monkeypatch
):
    monkeypatch.setattr("inference.services.prelabel.detector_of", lambda *asked: FakeLearner(0.9))
    rest = [approve(project, 40 + n, "new") for n in range(3)]
    Image.objects.filter(pk=ready[0].pk).update(priority=9, reason="of an earlier time")
    done = run(start(manager, project))
    job = Job.objects.get(pk=done.job.result["prelabel"])
    ended = jobs.run(job.pk, run_prelabel)
    assert ended
    assert ended.state == "done"
    doubts = dict(Prediction.objects.filter(job=job).values_list("image", "uncertainty"))
    assert set(doubts) == {image.pk for image in rest}
    ordered = list(next_to_learn(project, 9))
    assert [image.priority for image in ordered] == [3, 2, 1]
    assert all("The model is" in image.reason for image in ordered)
    assert Image.objects.get(pk=ready[0].pk).priority == 0
    client = Client()
    client.force_login(manager)
    page = client.get(f"/projects/{project.pk}").content.decode()
    assert page.count("The model is") == 2 * len(rest)  # shown, and as a tip
    told = client.get(f"/api/images/{ordered[0].pk}/workspace").json()["image"]
    assert told["reason"] == ordered[0].reason
    Image.objects.update(status=Image.Status.IN_PROGRESS)
    assert not client.get(f"/api/images/{ordered[0].pk}/workspace").json()["image"]["reason"]


def test_the_reason_compares_an_image_with_the_others():
    assert reason(0.871, 0.5, True, True) == (
        "The model is less sure here than on most images (87% doubt), and it looks unlike what is "
        "labeled or comes before."
    )
    assert "surer here than on most images (20% doubt)" in reason(0.2, 0.5, False, False)
    assert "as sure here as on most images (0% doubt)" in reason(0.001, 0.0, False, False)


def test_too_few_images_or_a_wrong_option_are_refused_and_nothing_is_queued(
    project, manager, teammate, approve, learner
):
    for number in range(4):
        approve(project, 30 + 9 * number)
    asked: list[tuple[Any, dict[str, Any], str]] = [
        (manager, {}, "5 approved images are needed, and there are 4."),
        (manager, {"options": {"side": 8}}, "Side: between 16 and 512."),
        (manager, {"options": {"size": 8}}, "There is no option “size”."),
        (teammate, {}, "this needs manager"),
    ]
    for user, more, words in asked:
        with pytest.raises(ServiceError) as refused:
            start(user, project, **more)
        assert words in refused.value.detail
    assert not TrainingRun.objects.exists()
    assert not Job.objects.exists()


def test_one_category_alone_teaches_nothing_where_every_pixel_is_named(
    project, manager, ready, learner
):
    training = start(manager, project)
    type(project).objects.filter(pk=project.pk).update(kind="semantic")
    error = run(training).job.error
    assert error["code"] == "nothing_to_learn"
    assert project.categories.first().name in error["detail"]


def test_a_projects_model_does_not_exist_for_others(
    project, manager, stranger, ready, learner, make_project, client_of
):
    model = run(start(manager, project, prelabel=False)).model
    assert get_model(model.pk, "detector", project) == model
    for place in (None, make_project()):
        with pytest.raises(ServiceError):
            get_model(model.pk, "detector", place)
    names = {
        user: [one["name"] for one in client_of(user).get("/api/models").json()["results"]]
        for user in (manager, stranger)
    }
    assert model.name in names[manager]
    assert model.name not in names[stranger]
