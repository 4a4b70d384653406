"""Typed attributes of a category: which ones its regions carry, and whether values fit.

An attribute is `{"name", "type", "required", "default", "choices"}`; type is `text`, `choice`,
`number` or `checkbox`, default is a value of it or None, choices are the texts of a `choice`, else
empty. A region's attributes are `{name: value}`. No Django here.
"""

import math
from typing import Any

TYPES = ("text", "choice", "number", "checkbox")
MAX_TYPED = 30
"""Attributes of one category."""
MAX_CHOICES = 100
MAX_NAME = 100
MAX_TEXT = 1000
"""Characters of a text."""

Attribute = dict[str, Any]


class AttributeProblem(ValueError):
    """An attribute that cannot be declared. `field`: where, such as `attributes[1].default`."""

    def __init__(self, detail: str, field: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


def declared(given: Any) -> list[Attribute]:
    """The attributes as they are stored, each with all its members. Raises AttributeProblem."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise AttributeProblem("Attributes are a list of objects.", "attributes")
    if len(given) > MAX_TYPED:
        raise AttributeProblem(f"A category has at most {MAX_TYPED} attributes.", "attributes")
    made: list[Attribute] = []
    for index, one in enumerate(given):
        attribute = _one(one, f"attributes[{index}]")
        if any(attribute["name"].casefold() == other["name"].casefold() for other in made):
            raise AttributeProblem(
                f"There are two attributes named {attribute['name']}.", f"attributes[{index}].name"
            )
        made.append(attribute)
    return made


def _one(given: dict[str, Any], at: str) -> Attribute:
    name = given.get("name")
    name = " ".join(name.split()) if isinstance(name, str) else ""
    if not 0 < len(name) <= MAX_NAME:
        raise AttributeProblem(
            f"The name of an attribute has 1 to {MAX_NAME} characters.", f"{at}.name"
        )
    kind = given.get("type")
    if kind not in TYPES:
        raise AttributeProblem(f"{name} is none of {', '.join(TYPES)}.", f"{at}.type")
    attribute = {
        "name": name,
        "type": kind,
        "required": given.get("required") is True,
        "default": given.get("default"),
        "choices": _choices(name, kind, given.get("choices") or [], f"{at}.choices"),
    }
    default = attribute["default"]
    if default is not None and (problem := misfit(attribute, default)):
        raise AttributeProblem(f"The default does not fit: {problem}", f"{at}.default")
    return attribute


def _choices(name: str, kind: str, given: Any, at: str) -> list[str]:
    if kind != "choice":
        if given:
            raise AttributeProblem(f"{name} is no choice, so it has no choices.", at)
        return []
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise AttributeProblem(f"The choices of {name} must be texts.", at)
    choices = [" ".join(one.split()) for one in given]
    if not 0 < len(choices) <= MAX_CHOICES:
        raise AttributeProblem(f"{name} needs 1 to {MAX_CHOICES} choices.", at)
    if any(not 0 < len(one) <= MAX_NAME for one in choices):
        raise AttributeProblem(f"A choice of {name} has 1 to {MAX_NAME} characters.", at)
    if len(set(choices)) < len(choices):
        raise AttributeProblem(f"Two choices of {name} are the same.", at)
    return choices


def misfit(attribute: Attribute, value: Any) -> str:
    """Why the value is none of this attribute, in plain words; nothing where it is one."""
    name, kind = attribute["name"], attribute["type"]
    if kind == "checkbox":
        return "" if isinstance(value, bool) else f"{name} is true or false."
    if kind == "number":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if number and math.isfinite(value) else f"{name} must be a number."
    if not isinstance(value, str):
        return f"{name} must be a text."
    if kind == "choice" and value not in attribute["choices"]:
        return f"{name} must be one of {', '.join(attribute['choices'])}."
    return "" if len(value) <= MAX_TEXT else f"{name} is longer than {MAX_TEXT} characters."


def misfits(attributes: list[Attribute], values: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a region's values, by name. A category without attributes takes all."""
    known = {one["name"]: one for one in attributes}
    if not known:
        return {}
    found = {
        name: misfit(known[name], value)
        if name in known
        else f"There is no attribute {name}. There are: {', '.join(known)}."
        for name, value in values.items()
    }
    return {name: problem for name, problem in found.items() if problem}


def defaults(attributes: list[Attribute]) -> dict[str, Any]:
    """The values of a new region."""
    return {one["name"]: one["default"] for one in attributes if one["default"] is not None}


def missing(attributes: list[Attribute], values: dict[str, Any]) -> list[str]:
    """The required ones that have no value, by name. An empty text is none."""
    return [
        one["name"]
        for one in attributes
        if one["required"] and values.get(one["name"]) in (None, "")
    ]


def from_text(attributes: list[Attribute], values: dict[str, Any]) -> dict[str, Any]:
    """The values with numbers and checkboxes that a format could only write as text read again."""
    kinds = {one["name"]: one["type"] for one in attributes}
    return {name: _from_text(kinds.get(name, "text"), value) for name, value in values.items()}


def _from_text(kind: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if kind == "checkbox":
        return {"true": True, "false": False}.get(value.lower(), value)
    if kind == "number":
        try:
            number = float(value)
        except ValueError:
            return value
        if not math.isfinite(number):
            return value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return value
