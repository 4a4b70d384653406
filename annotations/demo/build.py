"""Puts the demo into the database, through the same services that people and scripts use.

Safe to run again: what is there stays as it is, what is missing is made.
"""

import importlib.util
import json
import uuid
from pathlib import Path
from typing import Any

from annotations.demo.content import ANNOTATOR, OWNER, PLANS, REVIEWER, Picture, Plan
from annotations.models import Annotation, Image, Project, User
from annotations.models.projects import Role
from annotations.services import ingest, people, projects, regions, reviews

FOLDERS = (("skimage", "data"), ("sklearn", "datasets/images"))
DRAWN: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("regions.json").read_text()
)


def photograph(file: str) -> Path:
    """Where an installed package keeps this photograph. Raises FileNotFoundError."""
    for package, folder in FOLDERS:
        found = importlib.util.find_spec(package)
        for place in (found and found.submodule_search_locations) or []:
            if (path := Path(place) / folder / file).is_file():
                return path
    raise FileNotFoundError(f"Neither scikit-image nor scikit-learn brings {file} along.")


def make_people(password: str) -> dict[str, User]:
    """The demo's people; its owner runs the installation. Those who are there stay as they are."""
    found = {}
    for username in (OWNER, ANNOTATOR, REVIEWER):
        user, made = User.objects.get_or_create(
            username=username, defaults={"is_staff": username == OWNER}
        )
        if made:
            user.set_password(password)
            user.save()
        found[username] = user
    return found


def make_project(who: dict[str, User], plan: Plan) -> Project:
    owner = who[OWNER]
    project = Project.objects.filter(name=plan.name, created_by=owner).first()
    if project is None:
        project = projects.create_project(
            owner, name=plan.name, kind=plan.kind, guidelines=plan.guidelines
        )
    members = set(project.memberships.values_list("user__username", flat=True))
    for username, role in ((ANNOTATOR, Role.ANNOTATOR), (REVIEWER, Role.REVIEWER)):
        if username not in members:
            people.add_member(owner, project, username=username, role=role)
    known = set(project.categories.values_list("name", flat=True))
    for sort in plan.categories:
        if sort.name not in known:
            projects.create_category(
                owner,
                project,
                name=sort.name,
                color=sort.color,
                is_thing=sort.is_thing,
                supercategory=sort.supercategory,
            )
    for picture in plan.pictures:
        image = project.images.filter(name=picture.file).first() or add_image(
            owner, project, picture.file
        )
        if picture.state != "new" and not image.annotations.exists():
            label(who, image, picture)
    return project


def add_image(owner: User, project: Project, file: str) -> Image:
    with photograph(file).open("rb") as source:
        return ingest.add_image(owner, project, source, file)


def label(who: dict[str, User], image: Image, picture: Picture) -> None:
    """The annotator's regions, and what the reviewer said of them."""
    annotator, reviewer = who[ANNOTATOR], who[REVIEWER]
    annotation, _ = reviews.start_annotation(annotator, image)
    revision = regions.apply_patch(annotator, annotation, writes(image), picture.seconds).revision
    if picture.state == "in_progress":
        return
    annotation = reviews.submit(annotator, annotation, revision)
    if picture.state == "approved":
        reviews.approve(reviewer, reviewed(reviewer, annotation), revision, picture.comment)
    elif picture.state == "sent_back":
        for x, y, text in picture.pinned:
            reviews.add_comment(reviewer, reviewed(reviewer, annotation), text=text, x=x, y=y)
        reviews.send_back(reviewer, reviewed(reviewer, annotation), revision, picture.comment)


def reviewed(reviewer: User, annotation: Annotation) -> Annotation:
    return Annotation.objects.visible_to(reviewer).get(pk=annotation.pk)


def writes(image: Image) -> list[regions.Write]:
    categories = dict(image.project.categories.values_list("name", "id"))
    return [
        regions.Upsert(
            region=uuid.uuid4(),
            based_on=0,
            key=uuid.uuid4(),
            category=categories[drawn["category"]],
            polygons=drawn.get("polygons"),
            mask=(
                {"size": [image.height, image.width], "counts": drawn["counts"]}
                if "counts" in drawn
                else None
            ),
            order=order,
            source="polygon" if "polygons" in drawn else "brush",
        )
        for order, drawn in enumerate(DRAWN[image.name])
    ]


def make_all(password: str) -> list[Project]:
    who = make_people(password)
    return [make_project(who, plan) for plan in reversed(PLANS)]
