"""Categories and members in place."""

from django.urls import reverse

from annotations.models import Category


def names(project) -> list[str]:
    return list(project.categories.filter(archived_at=None).values_list("name", flat=True))


def form(category: Category, **changes) -> dict:
    fields = ("name", "supercategory", "color", "hotkey", "is_thing")
    return {name: getattr(category, name) for name in fields} | changes


def test_categories_are_moved(make_project, manager, browse):
    project = make_project(categories=("a", "b", "c"))
    project.categories.update(order=0)  # as an import may leave them
    client = browse(manager)

    def move(name: str, direction: str) -> list[str]:
        category = project.categories.get(name=name)
        address = reverse("pages:move_category", args=[project.pk, category.pk])
        assert client.post(address, {"direction": direction}).status_code == 302
        return names(project)

    assert move("a", "down") == ["b", "a", "c"]
    assert move("c", "up") == ["b", "c", "a"]
    assert move("a", "down") == ["b", "c", "a"]
    assert move("b", "up") == ["b", "c", "a"]


def test_a_category_is_changed_archived_and_restored(project, manager, browse):
    client = browse(manager)
    car = project.categories.get(name="car")
    address = reverse("pages:change_category", args=[project.pk, car.pk])
    client.post(address, form(car, name="van", color="#ABCDEF", hotkey="V", is_thing="False"))
    car.refresh_from_db()
    assert (car.name, car.color, car.hotkey, car.is_thing) == ("van", "#abcdef", "v", False)
    client.post(reverse("pages:archive_category", args=[project.pk, car.pk]))
    assert names(project) == ["road"]
    client.post(reverse("pages:restore_category", args=[project.pk, car.pk]))
    assert names(project) == ["van", "road"]


def test_a_refused_change_is_said_and_changes_nothing(project, manager, browse):
    client = browse(manager)
    car = project.categories.get(name="car")
    address = reverse("pages:change_category", args=[project.pk, car.pk])
    for changes, words in [
        ({"name": "ROAD"}, "already is a category named road"),
        ({"name": ""}, "Name: This field is required."),
        ({"color": "red"}, "Color: Enter a valid value."),
        ({"hotkey": "2"}, "already chooses road"),
        ({"hotkey": "ab"}, "at most 1 character"),
        ({"is_thing": "maybe"}, "Select a valid choice"),
    ]:
        html = client.post(address, form(car, **changes), follow=True).content.decode()
        assert words in html
        assert names(project) == ["car", "road"]


def test_a_manager_cannot_rename_but_can_write_guidelines(project, manager, owner, browse):
    address = f"/projects/{project.pk}/settings"
    name = project.name
    browse(manager).post(address, {"name": "Other", "guidelines": "Look."})
    project.refresh_from_db()
    assert (project.name, project.guidelines) == (name, "Look.")
    browse(owner).post(address, {"name": "Other", "guidelines": "Look."})
    project.refresh_from_db()
    assert project.name == "Other"


def test_a_member_that_is_nobody_or_already_there(project, manager, stranger, browse):
    client, address = browse(manager), f"/projects/{project.pk}/members"
    for username, words in [("nobody", "nobody named nobody"), ("teammate", "already is a member")]:
        response = client.post(address, {"username": username, "role": "annotator"})
        assert response.status_code == 400
        assert words in response.content.decode()
    response = client.post(address, {"username": "stranger", "role": "manager"})
    assert response.status_code == 400
    assert not project.memberships.filter(user=stranger).exists()


def test_a_manager_may_not_touch_an_owner(project, manager, owner, browse):
    membership = project.memberships.get(user=owner)
    client = browse(manager)
    address = reverse("pages:change_member", args=[project.pk, membership.pk])
    assert client.post(address, {"role": "annotator"}).status_code == 403
    address = reverse("pages:remove_member", args=[project.pk, membership.pk])
    assert client.post(address).status_code == 403
    assert project.memberships.get(user=owner).role == "owner"


def test_the_last_owner_stays(project, owner, browse):
    membership = project.memberships.get(user=owner)
    address = reverse("pages:remove_member", args=[project.pk, membership.pk])
    html = browse(owner).post(address, follow=True).content.decode()
    assert "needs an owner" in html
    assert project.memberships.filter(user=owner).exists()


def test_attributes_are_typed_in_a_table(project, manager, browse):
    car = project.categories.get(name="car")
    address, client = reverse("pages:attributes", args=[car.pk]), browse(manager)
    form = {
        "name": ["colour", "doors", "parked", ""],
        "type": ["choice", "number", "checkbox", "text"],
        "choices": ["red\r\n\r\n blue ", "", "", ""],
        "default": ["blue", "4", "no", ""],
        "required": ["1"],
    }
    assert client.post(address, form | {"more": "1"}).status_code == 200
    car.refresh_from_db()
    assert car.attributes == []
    assert client.post(address, form).status_code == 302
    car.refresh_from_db()
    colour, doors, parked = car.attributes
    assert (colour["choices"], colour["default"]) == (["red", "blue"], "blue")
    assert (doors["required"], doors["default"]) == (True, 4)
    assert (parked["type"], parked["required"], parked["default"]) == ("checkbox", False, False)
    html = client.get(address).content.decode()
    assert 'value="no"' in html
    assert "red\nblue</textarea>" in html
    refused = client.post(address, form | {"default": ["blue", "many", "no", ""]})
    assert refused.status_code == 400
    assert "doors must be a number." in refused.content.decode()
    client.post(address, form | {"remove": "0"})
    car.refresh_from_db()
    assert len(car.attributes) == 3
