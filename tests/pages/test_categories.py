"""Categories as they are typed or pasted."""

import json

import pytest
from django.core.exceptions import ValidationError

from annotations.pages.categories import MAX_TYPED, parse_categories
from annotations.services.projects import PALETTE


def names(text: str, kind: str = "instance") -> list[str]:
    return [category.name for category in parse_categories(text, kind)]


def test_lines():
    car, road, light, last = parse_categories(
        "car\n\n  road   #7A7F87 stuff \n12: traffic light\nthing thing\n", "panoptic"
    )
    assert (car.name, car.color, car.is_thing, car.hotkey) == ("car", PALETTE[0], True, "1")
    assert (road.name, road.color, road.is_thing) == ("road", "#7a7f87", False)
    assert light.name == "traffic light"
    assert (last.name, last.is_thing) == ("thing", True)


def test_colours_of_the_palette_are_all_used_before_one_comes_again():
    text = "\n".join(f"c{n}" for n in range(len(PALETTE)))
    found = parse_categories(f"{text}\nagain\nfirst {PALETTE[0]}", "instance")
    assert len({category.color for category in found[: len(PALETTE)]}) >= len(PALETTE) - 1
    assert found[0].color != PALETTE[0]  # somebody asked for that one


def test_semantic_categories_are_stuff_unless_said():
    road, car = parse_categories("road\ncar thing", "semantic")
    assert not road.is_thing
    assert car.is_thing


def test_pasted_coco():
    categories = [
        {
            "id": 1,
            "name": "person",
            "supercategory": "person",
            "isthing": 1,
            "color": [220, 20, 60],
        },
        {"id": 2, "name": "sky ", "isthing": 0},
    ]
    person, sky = parse_categories(json.dumps({"images": [], "categories": categories}), "panoptic")
    assert (person.supercategory, person.color, person.is_thing) == ("person", "#dc143c", True)
    assert (sky.name, sky.is_thing) == ("sky", False)
    assert names(json.dumps(categories)) == ["person", "sky"]
    assert names('["a", "b"]') == ["a", "b"]
    assert names("[]") == []


def test_ten_categories_have_nine_hotkeys():
    found = parse_categories("\n".join("abcdefghij"), "instance")
    assert [category.hotkey for category in found] == [*"123456789", ""]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("car\nCar", "twice"),
        ("x" * 201, "longer"),
        ("[1]", "Item 0"),
        ('{"a": 1}', "no list"),
        ('{"categories": [{"id": 1}]}', "Item 0"),
        ("[" * 100_000, "looks like JSON"),
        ('[{"name": ', "looks like JSON"),
        ("\n".join(f"c{n}" for n in range(MAX_TYPED + 1)), "At most"),
    ],
)
def test_what_cannot_be_taken_is_named(text, words):
    with pytest.raises(ValidationError, match=words):
        parse_categories(text, "instance")
