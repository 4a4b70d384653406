"""Typed attributes and preferences over HTTP."""

from typing import Any

from tests.api.test_patches import annotation, patch, upsert  # noqa: F401

COLOR = {"name": "colour", "type": "choice", "required": True, "choices": ["red", "blue"]}
STORED = {**COLOR, "default": None}


def test_managers_declare_attributes_and_members_see_them(
    project, owner, manager, teammate, stranger, client_of
) -> None:
    url = f"/api/categories/{project.categories.get(name='car').pk}"
    for user, status in ((stranger, 404), (teammate, 403), (manager, 200), (owner, 200)):
        reply = client_of(user).patch(url, {"attributes": [COLOR]}, format="json")
        assert reply.status_code == status
    assert reply.json()["attributes"] == [STORED]
    listed = client_of(teammate).get(f"/api/projects/{project.pk}/categories").json()["results"]
    assert [one["attributes"] for one in listed] == [[STORED], []]


def test_the_editor_opens_with_them(project, image, teammate, client_of) -> None:
    project.categories.filter(name="car").update(attributes=[STORED])
    opened = client_of(teammate).get(f"/api/images/{image.pk}/workspace").json()
    assert [one["attributes"] for one in opened["categories"]] == [[STORED], []]


def test_a_bad_declaration_names_its_place(project, manager, client_of) -> None:
    url = f"/api/categories/{project.categories.get(name='car').pk}"
    for bad, field in [
        ({**COLOR, "choices": []}, "attributes[0].choices"),
        ({**COLOR, "default": "green"}, "attributes[0].default"),
        ({**COLOR, "type": "shape"}, "type"),
        ({**COLOR, "colour": 1}, "colour"),
    ]:
        reply = client_of(manager).patch(url, {"attributes": [bad]}, format="json")
        assert (reply.status_code, field in reply.json()["field"]) == (400, True), reply.json()


def test_a_write_that_does_not_fit_names_attribute_and_region(
    project,
    patch,  # noqa: F811
    upsert,  # noqa: F811
) -> None:
    project.categories.filter(name="car").update(attributes=[STORED])
    write = upsert(attributes={"colour": "green"})
    reply = patch(write)
    assert reply.status_code == 400
    assert reply.json() == {
        "code": "invalid_attribute",
        "detail": "car: colour must be one of red, blue.",
        "field": "writes[0].attributes.colour",
        "hint": "A manager sets the attributes of categories.",
        "region": write["region"],
    }
    assert patch(upsert(attributes={"colour": "blue"})).status_code == 200


def test_preferences_are_ones_own(teammate, stranger, client_of) -> None:
    url = "/api/me/preferences"
    mine = {"keys": {"edit.undo": ["Ctrl+Y"]}, "left_handed": True}
    usual = {"keys": {}, "left_handed": False}
    assert client_of(None).get(url).status_code == 401
    assert client_of(teammate).get(url).json() == usual
    assert client_of(teammate).put(url, mine, format="json").json() == mine
    assert client_of(teammate).get(url).json() == mine
    assert client_of(stranger).get(url).json() == usual
    refused: list[dict[str, Any]] = [
        {"keys": []}, {"keys": {"a": "B"}}, {"keys": {"a" * 61: []}}, {"other": 1}
    ]  # fmt: skip
    for bad in refused:
        assert client_of(teammate).put(url, bad, format="json").status_code == 400
    assert client_of(teammate).put(url, {}, format="json").json() == usual
