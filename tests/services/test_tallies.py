"""The kept numbers of images equal those that counting gives, whatever changed the images."""

from django.db import connection, transaction
from django.db.models import Count

from annotations.models import Image, ImageTally
from annotations.selectors.projects import image_counts
from annotations.selectors.workspace import workspace
from annotations.services import tallies
from annotations.services.projects import delete_project


def counted(project) -> dict[str, int]:
    rows = Image.objects.filter(project=project).order_by().values("status")
    found = dict(rows.annotate(number=Count("pk")).values_list("status", "number"))
    return dict.fromkeys(Image.Status.values, 0) | found


def kept(project) -> dict[str, int]:
    return image_counts([project.pk])[project.pk]


def test_every_way_to_change_an_image_is_counted(project, make_project, make_image) -> None:
    other = make_project()
    images = [make_image(project) for _ in range(6)]
    make_image(other)
    assert kept(project) == counted(project) == dict.fromkeys(kept(project), 0) | {"new": 6}

    Image.objects.filter(pk__in=[images[0].pk, images[1].pk]).update(status="approved")
    images[2].status = "submitted"
    images[2].save()
    Image.objects.update(priority=1)
    images[3].delete()
    Image.objects.filter(pk=images[0].pk).delete()
    assert kept(project) == counted(project)
    assert kept(project)["approved"] == 1
    assert kept(other)["new"] == 1

    with transaction.atomic():
        make_image(project)
        Image.objects.update(status="new")
        transaction.set_rollback(True)
    assert kept(project) == counted(project)


def test_adding_tallies_together_changes_no_sum(project, make_image) -> None:
    for image in [make_image(project) for _ in range(5)]:
        Image.objects.filter(pk=image.pk).update(status="submitted")
    before = kept(project)
    assert tallies.compact() > 0
    assert kept(project) == before == counted(project)
    blocks = set(ImageTally.objects.filter(project=project.pk).values_list("block", flat=True))
    assert ImageTally.objects.filter(project=project.pk).count() == len(blocks)
    assert tallies.compact() == 0


def test_a_deleted_project_leaves_nothing(project, owner, make_image) -> None:
    make_image(project)
    delete_project(owner, project)
    tallies.compact()
    assert not ImageTally.objects.filter(project=project.pk).exists()


def test_lost_triggers_are_made_again_and_all_is_counted(project, make_image) -> None:
    image = make_image(project)
    on = " ON annotations_image" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for name in ("added", "gone", "changed"):
            cursor.execute(f"DROP TRIGGER tally_image_{name}{on}")
    Image.objects.filter(pk=image.pk).update(status="approved")
    assert kept(project) != counted(project)  # the control: nobody counts without them
    tallies.ensure()
    assert kept(project) == counted(project)
    make_image(project)
    tallies.ensure()
    assert kept(project) == counted(project)


def test_the_place_of_an_image_over_several_blocks(project, owner, make_image) -> None:
    images = [make_image(project) for _ in range(6)]
    step = ImageTally.BLOCK // 2
    for place, image in enumerate(images):
        moved = 10**9 + place * step
        Image.objects.filter(pk=image.pk).update(id=moved)
        image.pk = moved
    tallies.recount()
    Image.objects.filter(pk__in=[images[1].pk, images[4].pk]).update(status="approved")
    for place, image in enumerate(images):
        found = workspace(owner, image.pk)
        assert (found["position"], found["total"]) == (place + 1, 6)
    found = workspace(owner, images[4].pk, status="new")
    assert (found["position"], found["total"]) == (4, 5)
