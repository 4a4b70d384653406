"""Categories as people type or paste them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from annotations.models import Project
from annotations.services.projects import HOTKEYS, PALETTE

MAX_TYPED = 500


@dataclass(frozen=True, slots=True)
class TypedCategory:
    """A category as it will be made; colour and hotkey are already chosen."""

    name: str
    supercategory: str
    color: str
    hotkey: str
    is_thing: bool


def parse_categories(text: str, kind: str) -> list[TypedCategory]:
    """The categories in `text`: a line each, or the JSON of a COCO file or of its categories.

    A line is a name, then, in any order and if at all, `#rrggbb`, `thing` or `stuff`; `12:` before
    the name is dropped. Raises ValidationError that names the line or item.
    """
    text = text.strip()
    found = _from_json(text) if text[:1] in "[{" and text else _from_lines(text)
    if len(found) > MAX_TYPED:
        raise ValidationError(f"At most {MAX_TYPED} categories can be made here at once.")
    taken: set[str] = set()
    used: list[str] = [item["color"] for item in found if item["color"]]
    result = []
    for index, item in enumerate(found):
        name = item["name"]
        if len(name) > 200:
            raise ValidationError(f"“{name[:40]}…” is longer than 200 characters.")
        if name.casefold() in taken:
            raise ValidationError(f"“{name}” is there twice.")
        taken.add(name.casefold())
        color = item["color"]
        if not color:
            color = min(PALETTE, key=used.count)
            used.append(color)
        is_thing = item["is_thing"]
        if is_thing is None:
            is_thing = kind != Project.Kind.SEMANTIC
        result.append(
            TypedCategory(
                name=name,
                supercategory=item["supercategory"][:200],
                color=color,
                hotkey=HOTKEYS[index : index + 1],
                is_thing=is_thing,
            )
        )
    return result


def _item(name: str, supercategory: str = "", color: str = "", is_thing: bool | None = None) -> Any:
    return {"name": name, "supercategory": supercategory, "color": color, "is_thing": is_thing}


def _from_lines(text: str) -> list[Any]:
    found = []
    for line in text.splitlines():
        words = re.sub(r"^\s*\d+\s*:\s*", "", line).replace("\x00", "").split()
        color, is_thing = "", None
        while len(words) > 1:
            last = words[-1].lower()
            if re.fullmatch(r"#[0-9a-f]{6}", last) and not color:
                color = last
            elif last in ("thing", "stuff") and is_thing is None:
                is_thing = last == "thing"
            else:
                break
            words.pop()
        if words:
            found.append(_item(" ".join(words), color=color, is_thing=is_thing))
    return found


def _from_json(text: str) -> list[Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"This looks like JSON but is not: {error}.") from None
    if isinstance(data, dict):
        data = data.get("categories")
    if not isinstance(data, list):
        raise ValidationError("The JSON has no list of categories.")
    found = []
    for index, entry in enumerate(data):
        if isinstance(entry, str):
            entry = {"name": entry}
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise ValidationError(f"Item {index} of the JSON has no name.")
        is_thing = entry.get("isthing")
        found.append(
            _item(
                " ".join(name.split()),
                str(entry.get("supercategory") or ""),
                _color(entry.get("color")),
                None if is_thing is None else bool(is_thing),
            )
        )
    return found


def _color(value: Any) -> str:
    """COCO's panoptic files write [r, g, b]; others "#rrggbb". Anything else is no colour."""
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return value.lower()
    if (
        isinstance(value, list)
        and len(value) == 3
        and all(type(part) is int and 0 <= part <= 255 for part in value)
    ):
        return "#{:02x}{:02x}{:02x}".format(*value)
    return ""
