"""People who label the same images, and what they drew."""

import uuid
from collections.abc import Callable, Sequence

import pytest

from annotations.models import Annotation, Category, Image, Membership, Project, Proposal, User
from annotations.services import facts, regions, reviews
from tests.conftest import box_counts

Box = tuple[str, int, int, int, int]
"""Category, x, y, width, height."""


@pytest.fixture
def other(project) -> User:
    """A second annotator."""
    user = User.objects.create(username="other")
    Membership.objects.create(project=project, user=user, role="annotator")
    return user


@pytest.fixture
def field(project, make_image) -> Callable[..., Image]:
    """`field(project)`: an image of 40 × 30 pixels."""

    def make(into: Project = project) -> Image:
        return make_image(into, width=40, height=30)

    return make


def draw(
    user: User,
    image: Image,
    boxes: Sequence[Box],
    *,
    seconds: int = 10,
    proposals: Sequence[Proposal | None] = (),
    submit: bool = True,
    measure: bool = True,
) -> Annotation:
    """Draws boxes, a patch each, as the editor would; submits; measures what became due."""
    categories = {c.name: c.pk for c in Category.objects.filter(project=image.project_id)}
    annotation, _ = reviews.start_annotation(user, image)
    for number, (name, x, y, width, height) in enumerate(boxes):
        source = proposals[number] if number < len(proposals) else None
        counts = box_counts(image, x, y, width, height)
        mask = {"size": [image.height, image.width], "counts": counts}
        write = regions.Upsert(
            uuid.uuid4(), 0, uuid.uuid4(), categories[name], mask=mask, order=number,
            proposal=source.pk if source else None,
        )  # fmt: skip
        regions.apply_patch(user, annotation, [write], seconds)
    annotation.refresh_from_db()
    if submit:
        annotation = reviews.submit(user, annotation, annotation.revision)
    if measure:
        facts.measure_due()
    return annotation


@pytest.fixture
def propose(db) -> Callable[..., list[Proposal]]:
    """`propose(image, boxes, model="m", version="1", score=0.9)`: what a model sees."""

    def make(
        image: Image, boxes: Sequence[Box], model: str = "m", version: str = "1", score: float = 0.9
    ) -> list[Proposal]:
        prediction = image.predictions.create(model=model, model_version=version)
        categories = {c.name: c for c in Category.objects.filter(project=image.project_id)}
        return [
            Proposal.objects.create(
                prediction=prediction,
                category=categories[name],
                counts=box_counts(image, x, y, width, height),
                area=width * height,
                bbox=[x, y, width, height],
                score=score,
            )
            for name, x, y, width, height in boxes
        ]

    return make
