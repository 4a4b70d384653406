"""Weights that a manager brings become a model of the project."""

import uuid
from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction

from annotations.access import require
from annotations.errors import Conflict, ServiceError
from annotations.models import Project
from annotations.models.projects import Role
from annotations.services import files
from annotations.services.ingest import refuse_archived
from inference.models import ModelVersion
from inference.services import weights

SAFE = ".safetensors"


def adopt(user, project: Project, upload: UploadedFile, name: str) -> ModelVersion:
    """A model of the project from a weights file, looked into in a process of its own. Managers.

    safetensors are taken as they are; a torch file only when its SHA-256 is in ALLOWED_WEIGHTS.
    ServiceError 400, 409, 413, 422 say why not; then nothing was kept.
    """
    require(user, project, Role.MANAGER)
    refuse_archived(project)
    name = name.strip()
    if not name or not name.replace("_", "").replace("-", "").isalnum() or len(name) > 100:
        raise ServiceError(
            400, "invalid", "A name is made of up to 100 letters, digits, - and _.", "name"
        )
    ending = Path(upload.name or "").suffix
    if ending not in weights.ENDINGS:
        known = ", ".join(weights.ENDINGS)
        raise ServiceError(422, "weights", f"A weights file ends in {known}.", "file")
    with files.scratch() as folder:
        aside = folder / f"weights{ending}"
        sha256, _ = files.receive(upload, aside, settings.MAX_UPLOAD_BYTES, upload.name or "")
        if ending != SAFE and sha256 not in settings.ALLOWED_WEIGHTS:
            raise ServiceError(
                422,
                "weights",
                f"Torch files need to be allowed by the administrator: this one is {sha256}.",
                "file",
                hint="Save the weights as safetensors, or have the hash put in ALLOWED_WEIGHTS.",
            )
        fields = weights.examine(aside, "")
        target = settings.MODELS_DIR / weights.TRAINED / f"{uuid.uuid4()}{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(target)
        files.settle([target], settings.MODELS_DIR, {target})
        fields["config"]["stamp"] = weights.stamp(target)
        try:
            with transaction.atomic():
                return ModelVersion.objects.create(
                    name=name,
                    project=project,
                    weights=target.relative_to(settings.MODELS_DIR).as_posix(),
                    origin={"file": upload.name, "by": user.username},
                    **fields,
                )
        except IntegrityError:
            target.unlink()
            raise Conflict("name_taken", f"There is a model “{name}”.", "name") from None
