"""Routes about models: access, prompts, refusals."""

import numpy as np
import pytest
from celery.exceptions import TimeoutError as NoReply

from annotations.masks import rle
from annotations.models import Job
from inference import registry
from inference.models import ModelVersion
from inference.registry import EngineSpec
from inference.services import prompting
from tests.inference.conftest import disc

pytestmark = pytest.mark.django_db
CLICK = {"points": [{"x": 50, "y": 40, "positive": True}]}


@pytest.fixture
def picture(project, store_image):
    return store_image(project)


@pytest.fixture
def remote(monkeypatch) -> ModelVersion:
    """A prompt engine that only workers have."""
    spec = EngineSpec("nowhere.Engine", "Remote", frozenset({"prompt"}))
    monkeypatch.setitem(registry.ENGINES, "remote", spec)
    return ModelVersion.objects.create(name="remote", engine="remote", sha256="a" * 64)


ROUTES = [
    ("projects/{project}/prelabel", {"model": 1}, "manager"),
    ("images/{image}/segment", CLICK, None),
    ("images/{image}/embed", {}, None),
]


@pytest.mark.parametrize(("path", "body", "least"), ROUTES)
def test_access(
    path, body, least, client_of, picture, project, teammate, reviewer, manager, stranger
):
    if "model" in body:
        body = {"model": ModelVersion.objects.get(name="classic").pk}
    url = "/api/" + path.format(project=project.pk, image=picture.pk)
    absent = "/api/" + path.format(project=10**6, image=10**6)
    assert client_of(None).post(url, body, format="json").status_code == 401
    outside = client_of(stranger).post(url, body, format="json")
    nowhere = client_of(stranger).post(absent, body, format="json")
    assert outside.status_code == nowhere.status_code == 404
    assert outside.json() == nowhere.json()
    for user in (teammate, reviewer):
        status = client_of(user).post(url, body, format="json").status_code
        assert status == (403 if least else 200)
    assert client_of(manager).post(url, body, format="json").status_code in (200, 202)
    assert client_of(manager).get(url).status_code == 405


def test_models_are_listed_to_whoever_is_logged_in(client_of, stranger, fake):
    ModelVersion.objects.filter(pk=fake.pk).update(state="rejected", reason="It was cut off.")
    assert client_of(None).get("/api/models").status_code == 401
    found = {
        model["name"]: model for model in client_of(stranger).get("/api/models").json()["results"]
    }
    assert found["classic"]["state"] == "ready"
    assert found["classic"]["roles"] == ["detector", "prompt"]
    assert found["fake"]["reason"] == "It was cut off."
    assert found["fake"]["classes"] == ["car", "Road", "tree"]


def test_prelabel_answers_202_with_the_job(client_of, manager, project, picture):
    classic = ModelVersion.objects.get(name="classic")
    reply = client_of(manager).post(
        f"/api/projects/{project.pk}/prelabel",
        {"model": classic.pk, "images": [picture.pk]},
        format="json",
    )
    assert reply.status_code == 202
    assert (reply.json()["kind"], reply.json()["total"]) == ("prelabel", 1)
    assert Job.objects.get().items.get().image == picture


def post(client, picture, body):
    return client.post(f"/api/images/{picture.pk}/segment", body, format="json")


@pytest.mark.parametrize(
    "prompts",
    [CLICK, {"box": [28, 18, 44, 44]}, {"points": [], "box": [28, 18, 44, 44], "mask": None}],
)
def test_a_click_or_a_box_becomes_a_mask(prompts, client_of, teammate, picture):
    reply = post(client_of(teammate), picture, prompts)
    assert reply.status_code == 200
    body = reply.json()
    assert body["model"] == "classic"
    assert 1 <= len(body["candidates"]) <= 3
    truth = disc()[1]
    mask = rle.decode(body["candidates"][0]["mask"]["counts"], truth.shape)
    assert body["candidates"][0]["mask"]["size"] == list(truth.shape)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9


def test_a_previous_mask_is_corrected(client_of, teammate, picture):
    truth = disc()[1]
    half = truth.copy()
    half[:, :50] = False
    prompts = {
        "points": [{"x": 60, "y": 40, "positive": True}, {"x": 40, "y": 40, "positive": True}],
        "mask": {"size": list(truth.shape), "counts": rle.encode(half)},
    }
    found = post(client_of(teammate), picture, prompts).json()["candidates"][0]
    mask = rle.decode(found["mask"]["counts"], truth.shape)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9


@pytest.mark.parametrize(
    ("prompts", "field"),
    [
        ({"points": [{"x": 120, "y": 40}]}, "points[0]"),
        ({"points": [{"x": 10, "y": -1}]}, "points[0]"),
        ({"points": [{"x": "NaN", "y": 1}]}, "points[0].x"),
        ({"points": [{"x": 1, "y": 1}] * 10_000}, "points"),
        ({"points": []}, "points"),
        ({"points": [{"x": 5, "y": 5, "positive": False}]}, "points"),
        ({"box": [0, 0, 0, 5]}, "box"),
        ({"box": [500, 0, 5, 5]}, "box"),
        ({"box": [0, 0, 5]}, "box"),
        ({"mask": {"size": [5, 5], "counts": "0"}}, "mask.size"),
        ({"mask": {"size": [90, 120], "counts": "1"}}, "mask.counts"),
        ({"points": [{"x": 1, "y": 1, "weight": 2}]}, "points[0].weight"),
        ({"model": -1}, "model"),
    ],
)
def test_prompts_that_make_no_sense_are_refused_by_name(
    prompts, field, client_of, teammate, picture
):
    reply = post(client_of(teammate), picture, prompts)
    assert (reply.status_code, reply.json()["field"]) == (400, field)


def test_without_a_worker_the_answer_is_503_with_retry_after(
    client_of, teammate, picture, remote, monkeypatch
):
    class Silent:
        def get(self, **options):
            raise NoReply

        def forget(self) -> None:
            pass

    monkeypatch.setattr(prompting, "_send", lambda *args, **options: Silent())
    reply = post(client_of(teammate), picture, CLICK | {"model": remote.pk})
    assert (reply.status_code, reply.json()["code"]) == (503, "no_worker")
    assert int(reply["Retry-After"]) > 0
    # The classic engine still answers.
    classic = ModelVersion.objects.get(name="classic")
    assert post(client_of(teammate), picture, CLICK | {"model": classic.pk}).status_code == 200


def test_a_workers_refusal_reaches_the_person(client_of, teammate, picture, remote, monkeypatch):
    class Refusing:
        def get(self, **options):
            body = {"code": "model_not_ready", "detail": "Rejected.", "field": "model", "hint": ""}
            return {"error": body, "status": 409}

        def forget(self) -> None:
            pass

    monkeypatch.setattr(prompting, "_send", lambda *args, **options: Refusing())
    reply = post(client_of(teammate), picture, CLICK | {"model": remote.pk})
    assert (reply.status_code, reply.json()["detail"]) == (409, "Rejected.")


def test_an_unknown_model_and_one_of_the_wrong_kind(client_of, teammate, picture, fake):
    client = client_of(teammate)
    assert post(client, picture, CLICK | {"model": 10**9}).status_code == 404
    assert post(client, picture, CLICK | {"model": fake.pk}).json()["code"] == "wrong_model"


def test_embed_asks_a_worker_once(
    client_of, teammate, picture, remote, monkeypatch, django_capture_on_commit_callbacks
):
    sent: list[list[int]] = []
    monkeypatch.setattr(prompting, "_send", lambda task, args, **options: sent.append(args))
    client, url = client_of(teammate), f"/api/images/{picture.pk}/embed"
    with django_capture_on_commit_callbacks(execute=True):
        states = [
            client.post(url, {"model": remote.pk}, format="json").json()["state"] for _ in range(2)
        ]
    assert states == ["queued", "queued"]
    assert sent == [[picture.pk, remote.pk]]
    classic = ModelVersion.objects.get(name="classic")
    reply = client.post(url, {"model": classic.pk}, format="json")
    assert reply.json() == {"state": "not_needed", "model": classic.pk, "decoder": False}


def test_decoded_images_are_kept_up_to_a_budget(monkeypatch):
    from inference.engines.base import Embedding

    recent = prompting._Recent()
    monkeypatch.setattr(prompting, "KEEP_BYTES", 250)
    for key in "abc":
        recent.put(key, Embedding({"x": np.zeros(100, np.uint8)}, (1, 1)))
    assert recent.get("a") is None
    assert recent.get("b")
    assert recent.get("c")
