"""Everybody, one of everything, and the requests of `access_table` filled in with them."""

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone

from annotations.models import (
    Batch,
    Comment,
    Delivery,
    Gold,
    Job,
    Lease,
    Membership,
    Notification,
    Project,
    ProjectTeam,
    Suspicion,
    Team,
    TeamMember,
    User,
    Webhook,
)
from annotations.selectors.exports import Rule
from annotations.services import invitations, jobs, releases
from annotations.services.files import tile_folder
from annotations.services.people import create_token
from inference.engines.base import Embedding
from inference.models import ModelVersion, TrainingRun
from inference.services import decoders, embeddings
from tests.conftest import new_annotation, new_image, new_project
from tests.inference.conftest import new_stored_image
from tests.ingest.samples import png
from tests.trust.access_table import Row

QUICK = "django.contrib.auth.hashers.MD5PasswordHasher"
FOLDERS = ("media", "spool", "models")
"""As the tests' settings name them."""
ROLES = ("owner", "manager", "reviewer", "annotator")
COCO = {
    "images": [{"id": 1, "file_name": "0.png", "width": 120, "height": 90}],
    "annotations": [],
    "categories": [],
}


@dataclass(frozen=True)
class World:
    """Ids of everybody and of one of everything, and the folder of the files behind it."""

    people: dict[str, int]
    things: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[World]:
    """Made once for all tests of a module: what each of them changes is rolled back."""
    folder = tmp_path_factory.mktemp("world")
    media, spool, models = (folder / name for name in FOLDERS)
    quick = override_settings(
        MEDIA_ROOT=media, SPOOL_DIR=spool, MODELS_DIR=models, PASSWORD_HASHERS=[QUICK]
    )
    with django_db_blocker.unblock(), transaction.atomic():
        with quick:
            made = everybody()
            project = new_project({role: made[role] for role in ROLES})
            for name in ("removed", "deactivated"):
                Membership.objects.create(project=project, user=made[name], role="manager")
            things = one_of_everything(made, project)
        yield World({name: user.pk for name, user in made.items()}, things, folder)
        transaction.set_rollback(True)


@pytest.fixture
def people(world, db, settings) -> dict[str, User | None]:
    """Everybody in WHO; `removed` is a manager until the test takes the membership away."""
    settings.PASSWORD_HASHERS = [QUICK]
    settings.WEBHOOK_HOSTS = [".example.org"]
    users = User.objects.in_bulk(world.people.values())
    return {name: users[pk] for name, pk in world.people.items()} | {"anonymous": None}


@pytest.fixture
def things(world, db, tmp_path) -> dict[str, Any]:
    """One of everything, by the names that addresses and bodies hold in braces."""
    for name in FOLDERS:
        if (world.folder / name).is_dir():
            shutil.copytree(world.folder / name, tmp_path / name)
    return dict(world.things)


def everybody() -> dict[str, User]:
    names = ("owner", "manager", "reviewer", "annotator", "stranger", "removed", "deactivated")
    people = {name: User.objects.create(username=name) for name in names}
    people["staff"] = User.objects.create(username="staff", is_staff=True)
    people["stranger"].set_password("open sesame")
    people["stranger"].save()
    return people


def one_of_everything(people: dict[str, User], project: Project, mark: str = "") -> dict[str, Any]:
    """Their ids by name. `mark` is in each name that there is once."""
    project.name = "Street"
    project.save()
    image = new_stored_image(project)
    image.file.values, image.file.levels = image.file.thumbnail, 1
    image.file.save()
    default_storage.save(f"{tile_folder(image.file.sha256)}/0/0_0.jpg", ContentFile(b"tile"))
    owner, annotator = people["owner"], people["annotator"]
    colleague = User.objects.create(username=f"colleague{mark}")
    membership = Membership.objects.create(project=project, user=colleague, role="annotator")
    annotation = new_annotation(image, annotator, regions=1)
    submitted = new_annotation(new_image(project), annotator, status="submitted", regions=1)
    approved = new_annotation(new_image(project), annotator, status="approved", regions=1)
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
    learned = ModelVersion.objects.create(
        name=f"learned{mark}", engine="sam", sha256=(mark or "c")[0] * 64
    )
    settings.MODELS_DIR.mkdir(parents=True, exist_ok=True)
    (settings.MODELS_DIR / "trained.safetensors").write_bytes(b"weights")
    trained = ModelVersion.objects.create(
        name=f"trained{mark}", engine="forest", project=project, weights="trained.safetensors"
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
            project=project, image=new_image(project), user=annotator, until=later, state=state
        ).pk
        for state in ("active", "skipped")
    )
    gold = Gold.objects.create(image=new_image(project), truth=approved, created_by=owner)
    suspicion = Suspicion.objects.create(
        project=project, annotation=submitted, region=submitted.regions.get(),
        reason="size", detail="It is large.", score=0.5, bbox=[0, 0, 1, 1],
    )  # fmt: skip
    notification = Notification.objects.create(
        user=annotator, project=project, kind="sent_back", annotation=annotation, title="Again"
    )
    webhook = Webhook.objects.create(
        project=project, url="https://hooks.example.org/", events=["job"], created_by=owner
    )
    delivery = Delivery.objects.create(webhook=webhook, event="job", body="{}", state="failed")
    team = Team.objects.create(name=f"Team{mark}", owner=owner)
    joint = jobs.enqueue(project=project, kind="consensus", user=owner)
    Job.objects.filter(pk=joint.pk).update(state="done")
    return {
        "gold": gold.pk,
        "notification": notification.pk,
        "webhook": webhook.pk,
        "team": team.pk,
        "open_team": Team.objects.create(name=f"Everybody{mark}").pk,
        "team_member": TeamMember.objects.create(team=team, user=colleague).pk,
        "project_team": ProjectTeam.objects.create(team=team, project=project, role="annotator").pk,
        "person": User.objects.create(username=f"elsewhere{mark}").pk,
        "delivery": delivery.pk,
        "suspicion": suspicion.pk,
        "joint": joint.pk,
        "invitation": invitation.pk,
        "lease": lease,
        "skipped": skipped,
        "batch": Batch.objects.create(project=project, name=f"first{mark}").pk,
        "project": project.pk,
        "image": image.pk,
        "category": first.pk,
        "retired": last.pk,
        "owner": Membership.objects.get(project=project, user=owner).pk,
        "colleague": membership.pk,
        "annotation": annotation.pk,
        "theirs": new_annotation(image, colleague, regions=1).pk,
        "submitted": submitted.pk,
        "approved": approved.pk,
        "region": annotation.regions.get().uuid,
        "revision": annotation.regions.get().revisions.get().pk,
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
        "token": create_token(annotator)[0].token_key,
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
