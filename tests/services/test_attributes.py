"""Typed attributes: declared by managers, checked on every write, complete when submitted."""

import uuid
from typing import Any

import pytest

from annotations import attributes as typed
from annotations.errors import ServiceError
from annotations.models import Annotation, Category, Region, RegionRevision
from annotations.services import projects, reviews
from annotations.services.regions import apply_patch
from annotations.services.writes import Delete, Upsert

COLOR = {"name": "colour", "type": "choice", "choices": ["red", "blue"], "default": "red"}
DOORS = {"name": "doors", "type": "number", "required": True}
PARKED = {"name": "parked", "type": "checkbox"}
NOTE = {"name": "note", "type": "text"}
SQUARE = [[[0, 0, 4, 0, 4, 4, 0, 4]]]


@pytest.fixture
def car(project, manager) -> Category:
    """A category with one attribute of each type; the doors are required."""
    car = project.categories.get(name="car")
    return projects.update_category(manager, car, {"attributes": [COLOR, DOORS, PARKED, NOTE]})


@pytest.fixture
def annotation(image, make_annotation, teammate) -> Annotation:
    return make_annotation(image, teammate)


@pytest.fixture
def save(annotation, teammate) -> Any:
    """`save(category, attributes, …)`: the region as it is stored then."""

    def write(category: Category, attributes: Any, region: Region | None = None) -> Region:
        uuid_, version = (region.uuid, region.version) if region else (uuid.uuid4(), 0)
        write = Upsert(
            uuid_, version, uuid.uuid4(), category.pk, polygons=SQUARE, attributes=attributes
        )
        apply_patch(teammate, annotation, [write])
        return Region.objects.get(uuid=uuid_)

    return write


def refused(call: Any, *args: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call(*args)
    return caught.value


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([NOTE, {**NOTE, "name": "NOTE"}], "attributes[1].name"),
        ([{"name": " ", "type": "text"}], "attributes[0].name"),
        ([{"name": "x" * 101, "type": "text"}], "attributes[0].name"),
        ([{"name": "a", "type": "colour"}], "attributes[0].type"),
        ([{"name": "a", "type": "choice"}], "attributes[0].choices"),
        ([{"name": "a", "type": "choice", "choices": ["x", " x "]}], "attributes[0].choices"),
        ([{"name": "a", "type": "choice", "choices": [1]}], "attributes[0].choices"),
        ([{"name": "a", "type": "text", "choices": ["x"]}], "attributes[0].choices"),
        ([{**COLOR, "default": "green"}], "attributes[0].default"),
        ([{**DOORS, "default": "two"}], "attributes[0].default"),
        ([{**DOORS, "default": True}], "attributes[0].default"),
        ([{**DOORS, "default": float("nan")}], "attributes[0].default"),
        ([{**PARKED, "default": 1}], "attributes[0].default"),
        ([{"name": f"a{n}", "type": "text"} for n in range(31)], "attributes"),
        ({"colour": "red"}, "attributes"),
        (["colour"], "attributes"),
    ],
)
def test_what_cannot_be_declared_is_named(given, field, project, manager) -> None:
    category = project.categories.get(name="car")
    error = refused(projects.update_category, manager, category, {"attributes": given})
    assert (error.status, error.field) == (400, field)
    category.refresh_from_db()
    assert category.attributes == []


def test_each_type_takes_its_values_and_no_others(car, save) -> None:
    good = {"colour": "blue", "doors": 2.5, "parked": False, "note": ""}
    assert save(car, good).attributes == good
    for name, value, words in [
        ("colour", "green", "colour must be one of red, blue."),
        ("doors", "two", "doors must be a number."),
        ("doors", True, "doors must be a number."),
        ("parked", 1, "parked is true or false."),
        ("note", 7, "note must be a text."),
        ("wheels", 4, "There is no attribute wheels."),
    ]:
        error = refused(save, car, {**good, name: value})
        assert (error.code, error.field) == ("invalid_attribute", f"writes[0].attributes.{name}")
        assert words in error.detail
        assert error.detail.startswith("car: ")
    assert Region.objects.count() == 1


def test_a_category_that_declares_none_takes_all(project, save) -> None:
    free = {"anything": "goes", "count": 3}
    assert save(project.categories.get(name="road"), free).attributes == free


def test_what_is_left_out_has_the_defaults_and_what_is_empty_stays_empty(car, save) -> None:
    assert save(car, None).attributes == {"colour": "red"}
    assert save(car, {}).attributes == {}


def test_what_a_region_had_before_the_category_changed_may_stay_move_and_come_back(
    project, manager, teammate, annotation, save
) -> None:
    car = project.categories.get(name="car")
    old = {"imported": "yes", "doors": "two"}
    region = save(car, old)
    projects.update_category(manager, car, {"attributes": [DOORS]})
    region = save(car, old, region)
    region = save(car, {"doors": 4}, region)
    assert save(car, old).attributes == old  # a copy
    region = save(car, old, region)  # undo
    assert region.attributes == old
    apply_patch(teammate, annotation, [Delete(region.uuid, region.version, uuid.uuid4())])
    region.refresh_from_db()
    assert save(car, old, region).attributes == old
    assert refused(save, car, {"imported": "no"}).field == "writes[0].attributes.imported"
    assert refused(save, car, {"doors": "three"}).field == "writes[0].attributes.doors"


def test_what_others_have_is_no_excuse(car, save, reviewer, image, make_annotation) -> None:
    theirs = make_annotation(image, reviewer, regions=1)
    RegionRevision.objects.filter(region__annotation=theirs).update(attributes={"wheels": 4})
    assert refused(save, car, {"wheels": 4}).code == "invalid_attribute"


def test_nothing_is_submitted_without_what_is_required(car, save, annotation, teammate) -> None:
    lacking = save(car, {"colour": "red"})
    save(car, {"doors": 0})  # a number, though none is there
    annotation.refresh_from_db()
    error = refused(reviews.submit, teammate, annotation, annotation.revision)
    assert (error.status, error.code) == (409, "attributes_missing")
    assert error.detail == "A region of car lacks doors."
    assert error.extra == {"regions": [str(lacking.uuid)]}
    save(car, {"doors": 2}, lacking)
    annotation.refresh_from_db()
    assert reviews.submit(teammate, annotation, annotation.revision).status == "submitted"


def test_text_of_formats_that_know_nothing_else_is_read_again() -> None:
    schema = typed.declared([DOORS, PARKED, NOTE])
    read = {"doors": "4", "parked": "True", "note": "7", "other": "1"}
    assert typed.from_text(schema, read) == {
        "doors": 4, "parked": True, "note": "7", "other": "1"
    }  # fmt: skip
    kept = {"doors": "inf", "parked": "maybe"}
    assert typed.from_text(schema, kept) == kept
    assert typed.from_text(schema, {"doors": "2.5"}) == {"doors": 2.5}
