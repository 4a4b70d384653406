"""Everybody, one of everything, and the requests of `access_table` filled in with them."""

import json
import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

from annotations.models import (
    Batch,
    Comment,
    Gold,
    Job,
    Lease,
    Membership,
    Notification,
    Suspicion,
    User,
)
from annotations.selectors.exports import Rule
from annotations.services import invitations, jobs, releases
from annotations.services.files import tile_folder
from inference.engines.base import Embedding
from inference.models import ModelVersion, TrainingRun
from inference.services import decoders, embeddings
from tests.ingest.samples import png
from tests.trust.access_table import Row

COCO = {
    "images": [{"id": 1, "file_name": "0.png", "width": 120, "height": 90}],
    "annotations": [],
    "categories": [],
}


@pytest.fixture
def people(
    owner, manager, reviewer, teammate, stranger, project, settings
) -> dict[str, User | None]:
    """Everybody in WHO; `removed` is a manager until the test takes the membership away."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    stranger.set_password("open sesame")
    stranger.save()
    removed = User.objects.create(username="removed")
    Membership.objects.create(project=project, user=removed, role="manager")
    deactivated = User.objects.create(username="deactivated")
    Membership.objects.create(project=project, user=deactivated, role="manager")
    return {
        "owner": owner,
        "manager": manager,
        "reviewer": reviewer,
        "annotator": teammate,
        "stranger": stranger,
        "removed": removed,
        "deactivated": deactivated,
        "anonymous": None,
    }


@pytest.fixture
def things(people, project, store_image, make_image, make_annotation, settings) -> dict[str, Any]:
    """One of everything, by the names that addresses and bodies hold in braces."""
    project.name = "Street"
    project.save()
    image = store_image(project)
    image.file.values, image.file.levels = image.file.thumbnail, 1
    image.file.save()
    default_storage.save(f"{tile_folder(image.file.sha256)}/0/0_0.jpg", ContentFile(b"tile"))
    owner, annotator = people["owner"], people["annotator"]
    colleague = User.objects.create(username="colleague")
    membership = Membership.objects.create(project=project, user=colleague, role="annotator")
    annotation = make_annotation(image, annotator, regions=1)
    submitted = make_annotation(make_image(project), annotator, status="submitted", regions=1)
    approved = make_annotation(make_image(project), annotator, status="approved", regions=1)
    first, last = project.categories.all()
    type(last).objects.filter(pk=last.pk).update(archived_at=project.created_at)
    comment = Comment.objects.create(annotation=annotation, author=owner, text="Hm")
    job = jobs.enqueue(project=project, kind="prelabel", user=owner, image_ids=[image.pk])
    failed = jobs.enqueue(project=project, kind="prelabel", user=owner, image_ids=[image.pk])
    preview = jobs.enqueue(
        project=project, kind="prelabel", user=owner, params={"preview": True},
        image_ids=[image.pk],
    )  # fmt: skip
    Job.objects.filter(pk=failed.pk).update(state="failed")
    file = default_storage.save("exports/one.zip", ContentFile(b"PK"))
    exported = jobs.enqueue(project=project, kind="export", user=owner)
    before, release = (
        releases.make_release(project, Rule(status), owner) for status in ("all", "submitted")
    )
    learned = ModelVersion.objects.create(name="learned", engine="sam", sha256="c" * 64)
    settings.MODELS_DIR.mkdir(parents=True)
    (settings.MODELS_DIR / "trained.safetensors").write_bytes(b"weights")
    trained = ModelVersion.objects.create(
        name="trained", engine="forest", project=project, weights="trained.safetensors"
    )
    training = TrainingRun.objects.create(
        project=project,
        job=jobs.enqueue(project=project, kind="train", user=owner),
        engine="mask_rcnn",
        release=release,
        examples=[{"image": 2, "name": "2.png", "iou": 1.0, "regions": []}],
        created_by=owner,
    )
    embedding = Embedding({"features": np.zeros(4, np.float16)}, (image.height, image.width))
    embeddings.write(image, learned, embedding)
    default_storage.save(decoders.storage_name(learned), ContentFile(b"onnx"))
    result = {"file": file, "name": "one.zip", "bytes": 2}
    Job.objects.filter(pk=exported.pk).update(state="done", result=result)
    invitation, _ = invitations.invite(owner, project, role="annotator", days=7)
    later = timezone.now() + timedelta(minutes=5)
    lease, skipped = (
        Lease.objects.create(
            project=project, image=make_image(project), user=annotator, until=later, state=state
        ).pk
        for state in ("active", "skipped")
    )
    gold = Gold.objects.create(image=make_image(project), truth=approved, created_by=owner)
    suspicion = Suspicion.objects.create(
        project=project, annotation=submitted, region=submitted.regions.get(),
        reason="size", detail="It is large.", score=0.5, bbox=[0, 0, 1, 1],
    )  # fmt: skip
    notification = Notification.objects.create(
        user=annotator, project=project, kind="sent_back", annotation=annotation, title="Again"
    )
    joint = jobs.enqueue(project=project, kind="consensus", user=owner)
    Job.objects.filter(pk=joint.pk).update(state="done")
    return {
        "gold": gold.pk,
        "notification": notification.pk,
        "suspicion": suspicion.pk,
        "joint": joint.pk,
        "invitation": invitation.pk,
        "lease": lease,
        "skipped": skipped,
        "batch": Batch.objects.create(project=project, name="first").pk,
        "project": project.pk,
        "image": image.pk,
        "category": first.pk,
        "retired": last.pk,
        "owner": Membership.objects.get(project=project, user=owner).pk,
        "colleague": membership.pk,
        "annotation": annotation.pk,
        "theirs": make_annotation(image, colleague, regions=1).pk,
        "submitted": submitted.pk,
        "approved": approved.pk,
        "region": annotation.regions.get().uuid,
        "comment": comment.pk,
        "job": job.pk,
        "failed": failed.pk,
        "preview": preview.pk,
        "exported": exported.pk,
        "before": before.pk,
        "release": release.pk,
        "model": ModelVersion.objects.get(name="classic").pk,
        "learned": learned.pk,
        "trained": trained.pk,
        "training": training.pk,
        "token": AuthToken.objects.create(annotator)[0].token_key,
        "uuid": uuid.uuid4(),
    }


def browser(user: User | None, **options: Any) -> Client:
    client = Client(**options)
    if user is not None:
        client.force_login(user)
    return client


def filled(value: Any, things: dict[str, Any]) -> Any:
    """A body with the things in place of their names; numbers stay numbers."""
    if isinstance(value, dict):
        return {key: filled(item, things) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, things) for item in value]
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    found = things[value.strip("{}")]
    return found if isinstance(found, int) else str(found)


def send(client: Client, row: Row, things: dict[str, Any]) -> Any:
    address = row.path.format(**things)
    body = filled(row.body, things)
    if isinstance(body, dict) and "FILE" in body.values():
        picture = row.path.endswith(("images", "upload"))
        data = png(seed=5) if picture else json.dumps(COCO).encode()
        body = {k: SimpleUploadedFile("a.bin", data) if v == "FILE" else v for k, v in body.items()}
    elif row.path.startswith("/api/"):
        text = "" if body is None else json.dumps(body)
        kind = "application/json"
        return client.generic(row.method, address, text, kind, headers=row.headers)
    if row.method == "POST":
        return client.post(address, body or {})
    return client.generic(row.method, address)
