"""Images whose truth is known, hidden in the queue: whoever labels one is scored against it.

The truth does not show: it takes no place on its image and has no say in the image's status, so
that to annotators the image is like any other. In exports it is the annotation of its image.
"""

from collections.abc import Sequence

from django.db import transaction

from annotations.access import require
from annotations.errors import Conflict, NotFound
from annotations.models import Annotation, Gold, Image, Project
from annotations.models.projects import Role
from annotations.services import facts, marks, work


def add(user, project: Project, annotations: Sequence[int]) -> list[Gold]:
    """Makes these approved annotations the truth of their images. Managers only; twice is once."""
    require(user, project, Role.MANAGER)
    rows = Annotation.objects.filter(project=project, pk__in=annotations).select_related("image")
    found = {row.pk: row for row in rows}
    if missing := [pk for pk in annotations if pk not in found]:
        raise NotFound(f"annotation {missing[0]} in this project")
    for row in found.values():
        if row.status != Annotation.Status.APPROVED:
            raise Conflict(
                "not_approved",
                f"The annotation {row.pk} of {row.image.name} is not approved.",
                "annotations",
                "Only approved annotations can be the truth.",
            )
    with transaction.atomic():
        made = [
            Gold.objects.update_or_create(
                image=row.image,
                defaults={"truth": row},
                create_defaults={"truth": row, "created_by": user},
            )[0]
            for row in found.values()
        ]
        _changed([row.image for row in found.values()])
    return made


def remove(user, gold: Gold) -> None:
    """The image is an ordinary one again. Managers only."""
    require(user, gold.image.project_id, Role.MANAGER)
    with transaction.atomic():
        image = gold.image
        gold.delete()
        _changed([image])


def _changed(images: list[Image]) -> None:
    for image in images:
        work.settle(image)
        marks.opened(image.project_id, image.pk)
    rows = Image.objects.filter(pk__in=[image.pk for image in images])
    facts.due_again(Annotation.objects.filter(image__in=rows))
