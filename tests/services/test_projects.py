"""Projects, categories and members."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from annotations.access import at_least, may, role_in
from annotations.errors import ServiceError
from annotations.models import Annotation, Category, Image, Membership, Project, User
from annotations.models.projects import Role
from annotations.services import people, projects


def refused(call: Any, *args: Any, **values: Any) -> str:
    with pytest.raises(ServiceError) as caught:
        call(*args, **values)
    return caught.value.code


def membership(project: Project, user: User) -> Membership:
    return Membership.objects.get(project=project, user=user)


def test_roles_are_ordered(project, owner, manager, reviewer, teammate, stranger) -> None:
    roles = [role_in(user, project) for user in (teammate, reviewer, manager, owner)]
    assert roles == list(Role)
    assert role_in(stranger, project) is None
    assert not at_least(None, Role.ANNOTATOR)
    for mine, role in enumerate(Role):
        for least, needed in enumerate(Role):
            assert at_least(role, needed) == (mine >= least)
    assert may(manager, project.pk, Role.REVIEWER)
    assert not may(reviewer, project.pk, Role.MANAGER)


def test_whoever_makes_a_project_owns_it(stranger) -> None:
    project = projects.create_project(stranger, name="  Streets ", kind="semantic")
    assert (project.name, role_in(stranger, project)) == ("Streets", Role.OWNER)


def test_deleting_a_project_takes_all_that_is_in_it(
    project, image, owner, teammate, make_annotation, make_prediction
) -> None:
    make_annotation(image, teammate, regions=3)
    make_prediction(image)
    projects.delete_project(owner, project)
    assert not any(m.objects.exists() for m in (Project, Category, Image, Annotation, Membership))


# --- categories -----------------------------------------------------------------------------------
def test_new_categories_get_the_next_colour_hotkey_order_and_export_id(
    manager, make_project
) -> None:
    project = make_project(categories=())
    made = [projects.create_category(manager, project, name=f"class {n}") for n in range(18)]
    assert [category.color for category in made] == [*projects.PALETTE, *projects.PALETTE[:2]]
    assert [category.hotkey for category in made] == [*"123456789"] + [""] * 9
    assert [category.order for category in made] == list(range(18))
    assert [category.export_id for category in made] == list(range(1, 19))


def test_the_ids_of_archived_categories_are_never_reused(manager, project) -> None:
    last = project.categories.last()
    projects.archive_category(manager, last)
    new = projects.create_category(manager, project, name="tree")
    assert new.export_id == last.export_id + 1
    assert (new.color, new.hotkey) == ("#56b4e9", "2")  # free again


def test_names_are_there_once_whatever_their_case(manager, project) -> None:
    projects.create_category(manager, project, name="Straße")
    assert refused(projects.create_category, manager, project, name=" STRASSE ") == "name_taken"
    car, road = project.categories.all()[:2]
    assert refused(projects.update_category, manager, car, {"name": road.name}) == "name_taken"
    projects.update_category(manager, car, {"name": "CAR"})
    projects.archive_category(manager, car)
    with pytest.raises(ServiceError) as caught:
        projects.create_category(manager, project, name="car")
    assert "restore" in caught.value.hint


def test_hotkeys_are_there_once_among_those_in_use(manager, project) -> None:
    car, road = project.categories.all()
    assert refused(projects.update_category, manager, car, {"hotkey": "2"}) == "hotkey_taken"
    projects.archive_category(manager, road)
    projects.update_category(manager, car, {"hotkey": "2"})
    road = projects.update_category(manager, road, {"archived": False})
    assert (road.archived_at, road.hotkey) == (None, "")
    assert refused(projects.update_category, manager, car, {"hotkey": "é"}) == "invalid"
    assert projects.update_category(manager, car, {"hotkey": "Q"}).hotkey == "q"


@pytest.mark.django_db(transaction=True)
def test_categories_made_at_once_get_different_export_ids(manager, project) -> None:
    def make(number: int) -> int:
        try:
            return projects.create_category(manager, project, name=f"class {number}").export_id
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(make, range(8))) == list(range(3, 11))


# --- members --------------------------------------------------------------------------------------
def test_managers_add_and_remove_annotators_and_reviewers(project, manager, stranger) -> None:
    for role in (Role.ANNOTATOR, Role.REVIEWER):
        member = people.add_member(manager, project, username="stranger", role=role)
        assert role_in(stranger, project) == role
        people.remove_member(manager, member)
        assert role_in(stranger, project) is None
    for role in (Role.MANAGER, Role.OWNER):
        add = {"username": "stranger", "role": role}
        assert refused(people.add_member, manager, project, **add) == "forbidden"


def test_managers_do_not_touch_managers_and_owners(project, manager, owner, teammate) -> None:
    boss = membership(project, owner)
    assert refused(people.remove_member, manager, boss) == "forbidden"
    assert refused(people.set_role, manager, boss, Role.ANNOTATOR) == "forbidden"
    mate = membership(project, teammate)
    assert refused(people.set_role, manager, mate, Role.MANAGER) == "forbidden"
    assert people.set_role(manager, mate, Role.REVIEWER).role == Role.REVIEWER


def test_a_project_keeps_an_owner(project, owner, teammate) -> None:
    last = membership(project, owner)
    assert refused(people.remove_member, owner, last) == "last_owner"
    assert refused(people.set_role, owner, last, Role.MANAGER) == "last_owner"
    people.set_role(owner, membership(project, teammate), Role.OWNER)
    people.remove_member(owner, last)
    assert role_in(owner, project) is None


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_leave_at_once_leave_one(project, owner, teammate) -> None:
    people.set_role(owner, membership(project, teammate), Role.OWNER)

    def leave(user: User) -> str:
        try:
            people.remove_member(user, membership(project, user))
        except ServiceError as error:
            return error.code
        finally:
            connection.close()
        return "left"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, [owner, teammate])) == ["last_owner", "left"]


def test_everyone_may_leave(project, teammate) -> None:
    people.remove_member(teammate, membership(project, teammate))
    assert role_in(teammate, project) is None


def test_people_who_cannot_be_added(project, manager, teammate) -> None:
    add = {"username": "teammate", "role": "reviewer"}
    assert refused(people.add_member, manager, project, **add) == "already_member"
    User.objects.create(username="gone", is_active=False)
    for name in ("nobody", "gone"):
        add = {"username": name, "role": "annotator"}
        assert refused(people.add_member, manager, project, **add) == "unknown_person"
