"""manage.py demo: the product at first sight, made once."""

import io

import pytest
from django.core.management import CommandError, call_command

from annotations.demo.build import DRAWN, photograph
from annotations.demo.content import PLANS
from annotations.models import Image, Membership, Prediction, Project, Region, User


@pytest.fixture(autouse=True)
def data_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    return tmp_path


def demo(*arguments: str) -> str:
    output = io.StringIO()
    call_command("demo", *arguments, stdout=output)
    return output.getvalue()


def counts() -> dict[str, int]:
    models = (User, Project, Membership, Image, Region, Prediction)
    return {model.__name__: model.objects.count() for model in models}


def test_every_photograph_is_in_an_installed_package():
    for plan in PLANS:
        for picture in plan.pictures:
            assert photograph(picture.file).stat().st_size > 1000


def test_work_is_drawn_for_the_images_that_have_some_and_for_no_others():
    worked_on = {
        picture.file for plan in PLANS for picture in plan.pictures if picture.state != "new"
    }
    assert worked_on == set(DRAWN)


def test_a_photograph_that_no_package_has_is_named():
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        photograph("nothing.png")


@pytest.mark.django_db(transaction=True)
def test_the_demo_shows_every_kind_and_state_and_is_made_once(data_folder):
    printed = demo()
    assert set(Project.objects.values_list("kind", flat=True)) == {
        "semantic",
        "instance",
        "panoptic",
    }
    planned = {
        (plan.name, picture.file): picture.state for plan in PLANS for picture in plan.pictures
    }
    made = Image.objects.values_list("project__name", "name", "status")
    assert {(project, name): status for project, name, status in made} == planned
    assert not Image.objects.filter(predictions__isnull=True).exists()
    assert Region.objects.filter(polygons__isnull=False).exists()
    assert Region.objects.filter(counts__isnull=False).exists()
    password = (data_folder / "demo_login").read_text().strip()
    assert password in printed
    for username in ("demo", "ana", "rita"):
        assert User.objects.get(username=username).check_password(password)

    before = counts()
    demo()
    assert counts() == before

    Image.objects.get(name="coins.png").delete()
    demo()
    assert counts() | {"Prediction": 0} == before | {"Prediction": 0}
    assert not Image.objects.filter(predictions__isnull=True).exists()


@pytest.mark.django_db(transaction=True)
def test_the_first_start_leaves_an_installation_with_people_alone(owner, data_folder):
    assert demo("--first-start") == ""
    assert not Project.objects.exists()
    assert not (data_folder / "demo_login").exists()


@pytest.mark.django_db(transaction=True)
def test_a_lost_password_is_not_made_up(data_folder):
    User.objects.create(username="demo")
    with pytest.raises(CommandError, match="changepassword demo"):
        demo()
    assert not Project.objects.exists()
