"""What editors send is read fast, and never otherwise than the serializer would."""

import uuid
from dataclasses import fields
from typing import Any

import pytest

from annotations.api.annotations import _plain_upsert, _read_write, read_writes
from annotations.services.writes import Upsert

PLAIN = {
    "op": "upsert", "region": str(uuid.uuid4()), "key": str(uuid.uuid4()), "based_on": 0,
    "category": 7, "polygons": [[[0, 0, 5, 0, 5, 5]]], "mask": None, "is_crowd": False,
    "order": -3, "attributes": {"side": "left"}, "source": "brush", "proposal": None,
}  # fmt: skip
ODD: list[Any] = [
    *(None, True, 0, -1, 1, 1.5, 2**31, 2**63, "", "1", " brush ", "é", "a\tb", "x" * 41, [], {}),
    *({"size": [1, 1]}, {"size": [1, 1], "counts": "1"}, str(uuid.uuid4()), uuid.uuid4().hex),
]  # fmt: skip


def test_it_is_read_fast() -> None:
    assert _plain_upsert(PLAIN) == _read_write(0, PLAIN)


@pytest.mark.parametrize("name", [*(field.name for field in fields(Upsert)), "op", "unknown"])
def test_odd_values_are_read_as_by_the_serializer(name: str) -> None:
    for value in ODD:
        raw = PLAIN | {name: value}
        fast = _plain_upsert(raw)
        assert fast is None or fast == _read_write(0, raw), value
    less = {key: value for key, value in PLAIN.items() if key != name}
    fast = _plain_upsert(less)
    assert fast is None or fast == _read_write(0, less)


def test_neither_are_things_that_are_no_writes() -> None:
    assert all(_plain_upsert(value) is None for value in ODD)
    assert read_writes([PLAIN]) == [_plain_upsert(PLAIN)]
