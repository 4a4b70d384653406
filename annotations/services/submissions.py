"""One request for a whole piece of work: begun where it was not, saved, and submitted if wanted."""

import uuid
from collections.abc import Sequence

from django.db import transaction

from annotations.access import require
from annotations.models import Annotation, Image
from annotations.models.projects import Role
from annotations.selectors.annotations import EDITABLE
from annotations.services import reviews
from annotations.services.regions import Patch, PatchResult, tried
from annotations.services.writes import Write, check_writes


def save(
    user,
    image: Image,
    writes: Sequence[Write],
    seconds: int = 0,
    *,
    submit: uuid.UUID | None = None,
    revision: int | None = None,
) -> tuple[Annotation, PatchResult]:
    """Writes to the own annotation of the image: all of it or nothing, and returns after COMMIT.

    `image` comes from `visible_to(user)`, with its project. `submit`: hand it in afterwards, under
    this key; what was handed in under it before is left as it is by now. `revision`: what it was
    before the writes, so that nothing is handed in that its maker has not seen. ServiceError as in
    `regions.apply_patch`, `reviews.start_annotation` and `reviews.submit`.
    """
    require(user, image.project_id, Role.ANNOTATOR)
    checked = check_writes(image.project, image, writes)

    def attempt() -> tuple[Annotation, PatchResult]:
        patch = Patch(user, image, checked, seconds)
        with transaction.atomic():
            annotation = _own(user, image) or reviews.begin(user, image)
            before = annotation.revision
            handing_in = submit is not None and submit != annotation.submission
            moves = handing_in and annotation.status in EDITABLE
            result = patch.apply(annotation, moves=moves)
            if handing_in:
                if revision is not None:
                    reviews.same_revision(before, revision + patch.repeated)
                reviews.hand_in(annotation, submit)
        return annotation, result

    return tried(attempt)


def _own(user, image: Image) -> Annotation | None:
    rows = Annotation.objects.filter(image=image, annotator=user)
    return (
        rows.select_for_update(of=("self",), no_key=True)
        .select_related("image", "project", "annotator")
        .first()
    )
