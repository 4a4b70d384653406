"""One request for a whole piece of work: begun where it was not, saved, and submitted if wanted."""

import uuid
from collections.abc import Sequence

from django.db import transaction

from annotations.access import MAX_ID
from annotations.errors import NotFound
from annotations.models import Annotation, Image, User
from annotations.prepared import Prepared
from annotations.selectors.annotations import EDITABLE
from annotations.services import reviews, work
from annotations.services.regions import Patch, PatchResult, tried
from annotations.services.writes import Write, check_writes

_IMAGE = Prepared(
    lambda user, pk: Image.objects.visible_to(User(pk=user)).filter(pk=pk).select_related("project")
)
_OWN = Prepared(
    lambda user, image: (
        Annotation.objects.filter(image=image, annotator=user)
        .select_for_update(of=("self",), no_key=True)
        .select_related("project")
    )
)


def save(
    user,
    image_id: int,
    writes: Sequence[Write],
    seconds: int = 0,
    *,
    submit: uuid.UUID | None = None,
    revision: int | None = None,
) -> tuple[Annotation, PatchResult]:
    """Writes to the own annotation of the image: all of it or nothing, and returns after COMMIT.

    `submit`: hand it in afterwards, under this key; what was handed in under it before is left as
    it is by now. `revision`: what it was before the writes, so that nothing is handed in that its
    maker has not seen. NotFound where `user` does not see the image; ServiceError as in
    `regions.apply_patch`, `reviews.start_annotation` and `reviews.submit`.
    """
    image = _IMAGE.instance(user.pk, image_id) if image_id <= MAX_ID else None
    if image is None:
        raise NotFound("image")
    checked = check_writes(image.project, image, writes)

    def attempt() -> tuple[Annotation, PatchResult]:
        patch = Patch(user, image, checked, seconds)
        with transaction.atomic():
            annotation = _own(user, image)
            begun = annotation is None
            if annotation is None:
                annotation = reviews.begin(user, image)
            before = annotation.revision
            handing_in = submit is not None and submit != annotation.submission
            moves = handing_in and annotation.status in EDITABLE
            result = patch.apply(annotation, moves=moves, begun=begun)
            if handing_in:
                if revision is not None:
                    reviews.same_revision(before, revision + patch.repeated)
                reviews.hand_in(annotation, submit)
            elif begun and not annotation.revision:
                work.settle(image)
        return annotation, result

    return tried(attempt)


def _own(user, image: Image) -> Annotation | None:
    annotation = _OWN.instance(user.pk, image.pk)
    if annotation is not None:
        annotation.image, annotation.annotator = image, user
    return annotation
