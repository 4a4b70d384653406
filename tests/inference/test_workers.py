"""A learned model over HTTP, with a real worker and the embedded broker."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from annotations.masks import rle
from tests.inference import tiny
from tests.live import ApiError, LiveApp, picture
from tests.servers import wait_until

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def app() -> Iterator[LiveApp]:
    app = LiveApp()
    try:
        (app.data / "models").mkdir()
        tiny.save_sam(app.data / "models" / "tiny.pth")
        app.prepare()
        app.manage("list_models")
        app.start_web()
        yield app
    finally:
        app.stop()


def test_embed_click_and_prelabel_with_a_learned_model(app: LiveApp) -> None:
    api = app.api()
    project = api.project()
    [image] = api.upload(project["id"], {"a.png": picture()})
    models = {model["name"]: model for model in api.get("models")["results"]}
    assert (models["tiny"]["state"], models["tiny"]["engine"]) == ("ready", "sam")
    prompts = {"model": models["tiny"]["id"], "points": [{"x": 80, "y": 72}]}
    where = f"images/{image['id']}"
    assert api.post(f"{where}/embed", {"model": models["tiny"]["id"]})["state"] == "queued"

    app.start_worker("interactive,batch")
    wait_until(
        lambda: api.post(f"{where}/embed", {"model": models["tiny"]["id"]})["state"] == "ready",
        "the embedding",
        seconds=120,
    )
    answer = api.post(f"{where}/segment", prompts)
    assert answer["model"] == "tiny"
    masks = [rle.decode(one["mask"]["counts"], (240, 320)) for one in answer["candidates"]]
    assert 1 <= len(masks) <= 3
    assert all(np.asarray(mask).any() for mask in masks)
    # null is the best that is installed, which is no longer the classic engine.
    assert api.post(f"{where}/segment", prompts | {"model": None})["model"] == "tiny"

    classic = models["classic"]["id"]
    job = api.post(f"projects/{project['id']}/prelabel", {"model": classic})
    done = api.wait_for_job(job["id"])
    assert (done["state"], done["result"]["images"]) == ("done", 1)
    assert api.get(f"{where}/workspace")["proposals"]
    devices = {model["name"]: model["device"] for model in api.get("models")["results"]}
    assert devices["tiny"]

    app.kill("worker-interactive,batch")
    start = time.monotonic()
    with pytest.raises(ApiError) as caught:
        api.post(f"{where}/segment", prompts)
    assert (caught.value.status, caught.value.body["code"]) == (503, "no_worker")
    assert time.monotonic() - start < 40
    assert api.post(f"{where}/segment", prompts | {"model": classic})["candidates"]
