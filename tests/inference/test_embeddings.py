"""Stored embeddings: signed, small, kept to a budget, served to whoever may see the image."""

from datetime import timedelta

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from inference.engines.base import Embedding
from inference.models import ModelVersion, StoredEmbedding
from inference.services import decoders, embeddings

pytestmark = pytest.mark.django_db


@pytest.fixture
def model() -> ModelVersion:
    return ModelVersion.objects.create(name="learned", engine="sam", sha256="a" * 64)


def made(image, side: int = 4) -> Embedding:
    features = np.random.default_rng(0).normal(0, 0.1, (256, side, side)).astype(np.float16)
    seen = np.array([96, 128], np.int32)
    return Embedding({"features": features, "input": seen}, (image.height, image.width))


def test_what_is_stored_is_read_again(project, store_image, model):
    image = store_image(project)
    assert embeddings.read(image, model) is None
    embeddings.write(image, model, made(image))
    found = embeddings.read(image, model)
    assert found
    assert found.signature == f"{image.file.sha256}:{model.sha256}"
    for name, array in made(image).arrays.items():
        assert np.array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


def test_an_embedding_of_the_size_of_vit_b_takes_less_than_2_mb(project, store_image):
    image = store_image(project)
    assert len(embeddings.pack(made(image, side=64))) < 2_000_000


@pytest.mark.parametrize("damage", [b"", b"no gzip", None])
def test_damaged_and_foreign_ones_are_not_used(damage, project, store_image, model):
    image, other = store_image(project), store_image(project)
    embeddings.write(other, model, made(other))
    name, foreign = (embeddings.storage_name(one, model) for one in (image, other))
    if damage is None:
        with default_storage.open(foreign) as file:
            damage = file.read()
        default_storage.save(name, ContentFile(damage))
        assert embeddings.read(image, model) is None
        default_storage.delete(name)
        damage = damage[:-40]
    default_storage.save(name, ContentFile(damage))
    assert embeddings.read(image, model) is None


def test_those_used_longest_ago_leave_when_there_is_too_much(project, store_image, model, settings):
    images = [store_image(project) for _ in range(3)]
    for age, image in zip((2, 3, 1), images, strict=True):
        embeddings.write(image, model, made(image))
        rows = StoredEmbedding.objects.filter(image=image.file.sha256)
        rows.update(used_at=timezone.now() - timedelta(hours=age))
    size = StoredEmbedding.objects.filter(image=images[0].file.sha256).get().bytes
    # The second one is needed again, so the first one is the oldest now.
    assert embeddings.read(images[1], model)
    settings.EMBEDDINGS_BYTES = 3 * size + size // 2
    late = store_image(project)
    embeddings.write(late, model, made(late))
    there = [embeddings.stored(image, model) for image in (*images, late)]
    assert there == [False, True, True, True]
    assert not default_storage.exists(embeddings.storage_name(images[0], model))
    embeddings.evict(0)
    assert StoredEmbedding.objects.get().image == late.file.sha256


def test_ahead_follows_the_queue(
    project, store_image, make_annotation, teammate, owner, model, client_of, monkeypatch,
    django_capture_on_commit_callbacks,
):  # fmt: skip
    from inference.services import prompting

    sent: list[tuple] = []
    monkeypatch.setattr(
        prompting, "_send", lambda task, args, queue: sent.append((task, args[0], queue))
    )
    first, done, mine, new, last = (store_image(project) for _ in range(5))
    make_annotation(done, owner, status="approved")
    type(done).objects.filter(pk=done.pk).update(status="approved")
    make_annotation(mine, teammate, status="sent_back")
    type(mine).objects.filter(pk=mine.pk).update(status="in_progress")
    embeddings.write(new, model, made(new))
    url = f"/api/images/{first.pk}/embed"
    with django_capture_on_commit_callbacks(execute=True):
        reply = client_of(teammate).post(url, {"model": model.pk, "ahead": 3}, format="json")
    assert reply.json() == {"state": "queued", "model": model.pk, "decoder": False}
    assert sent == [
        ("embed", first.pk, "interactive"),
        ("embed", mine.pk, "batch"),
        ("embed", last.pk, "batch"),
    ]


def test_embeddings_and_decoders_are_served(project, store_image, model, client_of, teammate):
    image = store_image(project)
    client = client_of(teammate)
    file, onnx = f"/api/images/{image.pk}/embedding?model={model.pk}", f"/api/models/{model.pk}"
    assert client.get(file).status_code == client.get(f"{onnx}/decoder").status_code == 404
    embeddings.write(image, model, made(image))
    default_storage.save(decoders.storage_name(model), ContentFile(b"onnx"))
    reply = client.get(file)
    assert embeddings.unpack(b"".join(reply.streaming_content)).signature.startswith(
        image.file.sha256
    )
    again = client.get(file, headers={"If-None-Match": reply["ETag"]})
    assert again.status_code == 304
    assert b"".join(client.get(f"{onnx}/decoder").streaming_content) == b"onnx"
    assert client.get(f"/api/images/{image.pk}/embedding").json()["field"] == "model"


def test_a_decoder_is_exported_once_and_a_failure_is_no_error(model):
    class Engine:
        calls = 0
        fails = True

        def export_decoder(self) -> bytes:
            self.calls += 1
            if self.fails:
                raise RuntimeError("an operator that ONNX does not know")
            return b"onnx"

    engine = Engine()
    decoders.keep(model, engine)
    assert not decoders.stored(model)
    engine.fails = False
    decoders.keep(model, engine)
    decoders.keep(model, engine)
    assert decoders.stored(model)
    assert engine.calls == 2
