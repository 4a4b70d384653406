"""Images that are in several sets: the same ones as when each image is looked at."""

import itertools
import random

import pytest
from django.db import connection
from django.utils import timezone

from annotations.models import Annotation, Gold, Image, Region
from annotations.selectors.images import list_images
from annotations.selectors.walks import statement
from annotations.services.upkeep import give_images
from tests.conftest import new_annotation, new_image


@pytest.fixture
def grid(project, make_project, teammate, reviewer, owner):
    """Forty images in turns with another project's; each person has some, of two categories."""
    chance, other = random.Random(5), make_project()
    car, road = project.categories.all()
    for number in range(40):
        new_annotation(new_image(other), teammate, "submitted", 1)
        image = new_image(project, name=f"{'street' if number % 3 else 'yard'} {number}")
        status = chance.choice(["in_progress", "submitted", "approved"])
        people = chance.sample([teammate, reviewer, owner], chance.choice([0, 0, 1, 2]))
        for person in people:
            regions = new_annotation(image, person, status, chance.randint(0, 3)).regions
            for region in regions.all():
                region.category = chance.choice([car, road])
                region.deleted_at = chance.choice([None, None, timezone.now()])
                region.save()
        Image.objects.filter(pk=image.pk).update(status=status if people else "new")
    for truth in Annotation.objects.filter(project=project, image__status="submitted")[:3]:
        Gold.objects.get_or_create(
            image=truth.image, defaults={"truth": truth, "created_by": owner}
        )
        Image.objects.filter(pk=truth.image_id).update(status="new")
    return project


def seen_by(user, project) -> list[tuple[Image, set[str], set[int]]]:
    """Each image with whose work `user` sees there, and of which categories."""
    found = []
    visible = Annotation.objects.visible_to(user)
    for image in Image.objects.filter(project=project).order_by("pk"):
        seen = visible.filter(image=image).select_related("annotator")
        regions = Region.objects.filter(annotation__in=seen, deleted_at=None)
        names = {one.annotator.username for one in seen}
        found.append((image, names, set(regions.values_list("category", flat=True))))
    return found


@pytest.mark.parametrize("who", ["reviewer", "teammate"])
def test_every_combination_of_filters_finds_what_a_plain_look_finds(who, grid, request):
    user = request.getfixturevalue(who)
    images, some = seen_by(user, grid), 0
    for status, search, annotator, category in itertools.product(
        ["", "new", "submitted"],
        ["", "street"],
        ["", "teammate", "owner", "nobody"],
        [None, *grid.categories.values_list("pk", flat=True)],
    ):
        filters = {
            "status": status, "search": search, "annotator": annotator, "category": category
        }  # fmt: skip
        expected = [
            image.pk
            for image, people, categories in images
            if status in ("", image.status)
            and search in image.name
            and (not annotator or annotator in people)
            and (not category or category in categories)
        ]
        for limit in (2, 100):
            found, after = list_images(user, grid, limit=limit, **filters)
            assert [image.pk for image in found] == expected[:limit], filters
            assert (after is None) == (len(expected) <= limit)
        if after is None and len(expected) > 2:
            found, _ = list_images(user, grid, after=expected[1], **filters)
            assert [image.pk for image in found] == expected[2:], filters
            some += 1
    assert some > 12


@pytest.mark.sqlite  # PostgreSQL reads small tables whole
@pytest.mark.parametrize("others", [["category"], ["status", "annotator", "category", "gold"]])
def test_a_walk_reads_indexes_alone(db, others):
    sets = dict.fromkeys(["project", *others], 1)
    with connection.cursor() as cursor:
        values = {**sets, "after": 0, "most": 10}
        cursor.execute(f"EXPLAIN QUERY PLAN {statement(sets)}", values)
        plan = [line for *_, line in cursor.fetchall()]
    reads = [line for line in plan if line.startswith("SEARCH")]
    assert len(reads) >= 2 * len(others)
    assert all("INDEX" in line or "INTEGER PRIMARY KEY" in line for line in reads), plan
    scans = [line for line in plan if line.startswith("SCAN")]
    assert set(scans) <= {"SCAN CONSTANT ROW", "SCAN walk"}, plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


def test_regions_of_an_earlier_version_get_their_image(image, teammate, make_annotation):
    regions = make_annotation(image, teammate, regions=3).regions
    regions.update(image=None)
    assert list_images(teammate, image.project, category=regions.first().category_id) == ([], None)
    assert give_images() == 3
    assert set(regions.values_list("image", flat=True)) == {image.pk}
    assert give_images() == 0
