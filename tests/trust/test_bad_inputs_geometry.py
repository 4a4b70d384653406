"""Geometry and writes that make no sense, over HTTP: 400 by name, and nothing changed.

The numbers are those of `cases.py`. tests/masks/test_validation.py has many more by the validator.
"""

import json
import uuid
from typing import Any

import pytest
from pycocotools import mask as coco_mask

from annotations.masks import rle
from annotations.models import Region

WIDTH, HEIGHT = 50, 40
GOOD = rle.from_runs([100, 50, 1850])


def ring(*numbers: Any) -> str:
    return json.dumps([[list(numbers)]])


def mask(counts: str, size: tuple[int, int] = (HEIGHT, WIDTH)) -> str:
    return json.dumps({"size": size, "counts": counts})


def coco_number(value: int) -> str:
    """One number as COCO's text, of any size."""
    text = ""
    while True:
        digit, value = value & 31, value >> 5
        if value == (-1 if digit & 16 else 0):
            return text + chr(digit + 48)
        text += chr(digit + 48 + 32)


POLYGONS = {
    "59 NaN": "[[[NaN, 0, 9, 0, 9, 9]]]",
    "59 inf": "[[[Infinity, 0, 9, 0, 9, 9]]]",
    "59 minus inf": "[[[-Infinity, 0, 9, 0, 9, 9]]]",
    "59 1e999": "[[[1e999, 0, 9, 0, 9, 9]]]",
    "60 1e8": ring(1e8, 0, 9, 0, 9, 9),
    "60 minus 1e8": ring(0, -1e8, 9, 0, 9, 9),
    "60 a long integer": "[[[1" + "0" * 400 + ", 0, 9, 0, 9, 9]]]",
    "61 two points": ring(0, 0, 9, 9),
    "61 none": "[[[]]]",
    "62 odd": ring(0, 0, 9, 0, 9, 9, 1),
    "63 many points": ring(*[1.5, 2.5, 9.5, 2.5] * 5001),
    "64 one line": ring(0, 0, 5, 5, 9, 9),
    "64 one point": ring(5, 5, 5, 5, 5, 5),
    "64 outside": ring(-30, 5, -10, 5, -10, 25),
    "text": '"[[[0, 0, 9, 0, 9, 9]]]"',
    "objects": '[[[{"x": 0}, 0, 9, 0, 9, 9]]]',
    "true": "[[[true, 0, 9, 0, 9, 9]]]",
}
MASKS = {
    "66 a short sum": mask(rle.from_runs([100, 50, 1849])),
    "66 one run": mask(rle.from_runs([5])),
    "66 nothing": mask(""),
    "67 a long sum": mask(rle.from_runs([100, 50, 1851])),
    "68 negative": mask(coco_number(-100) + coco_number(50) + coco_number(2050)),
    "68 two to the 32": mask(coco_number(2**32) + coco_number(50) + coco_number(1950)),
    "68 two to the 32 and a bit": mask(coco_number(2**32 + 2000)),
    "69 cut off": mask(GOOD[:-1] + chr(ord(GOOD[-1]) + 32)),
    "70 turned": mask(GOOD, (WIDTH, HEIGHT)),
    "70 larger": mask(rle.from_runs([100, 50, 1900]), (HEIGHT + 1, WIDTH)),
    "70 not whole": json.dumps({"size": [40.5, 50], "counts": GOOD}),
    "64 no pixel": mask(rle.from_runs([2000])),
    "a list of runs": json.dumps({"size": [HEIGHT, WIDTH], "counts": [100, 50, 1850]}),
    "no size": json.dumps({"counts": GOOD}),
}
VALUES = {
    "71 NUL in a source": ("source", '"a\\u0000b"'),
    "71 NUL in an attribute": ("attributes", '{"a": "\\u0000"}'),
    "71 NUL in an attribute's name": ("attributes", '{"\\u0000": 1}'),
    "71 NUL in counts": ("mask", '{"size": [40, 50], "counts": "\\u0000"}'),
    "72 a lone surrogate": ("source", '"\\ud800"'),
    "72 a lone surrogate in an attribute": ("attributes", '{"a": "\\udfff x"}'),
    "72 a lone surrogate in counts": ("mask", '{"size": [40, 50], "counts": "\\ud800"}'),
    "77 owner": ("owner", "1"),
    "77 author": ("author", "1"),
    "77 status": ("status", '"approved"'),
    "77 id": ("id", "7"),
    "77 version": ("version", "7"),
    "77 area": ("area", "7"),
    "77 export_id": ("export_id", "7"),
    "deep": ("attributes", '{"a":' * 200 + "1" + "}" * 200),
}


@pytest.fixture
def annotation(project, make_image, make_annotation, teammate):
    return make_annotation(make_image(project, width=WIDTH, height=HEIGHT), teammate, regions=1)


@pytest.fixture
def write(annotation, teammate, client_of):
    """`write(field=JSON text)` sends an upsert by both routes of the save protocol: two replies."""
    client = client_of(teammate)
    category = annotation.project.categories.earliest("pk").pk

    def send(**fields: str) -> list[Any]:
        region = str(uuid.uuid4())
        given = {"category": str(category)} | fields
        if "mask" not in given:
            given = {"polygons": "[[[0, 0, 9, 0, 9, 9]]]"} | given
        body = ", ".join(f'"{name}": {value}' for name, value in given.items())
        kind = "application/json"
        one = client.generic(
            "PUT",
            f"/api/annotations/{annotation.pk}/regions/{region}",
            "{" + body + "}",
            kind,
            headers={"If-None-Match": "*"},
        )
        start = f'"op": "upsert", "region": "{region}", "based_on": 0, "key": "{uuid.uuid4()}"'
        patch = f'{{"writes": [{{{start}, {body}}}]}}'
        url = f"/api/annotations/{annotation.pk}/patches"
        return [one, client.generic("POST", url, patch, kind)]

    return send


def refused(replies: list[Any]) -> None:
    for reply in replies:
        body = reply.json()
        assert reply.status_code == 400, body
        assert set(body) >= {"code", "detail", "field", "hint"}
        assert body["detail"]
        assert "Traceback" not in str(body)
        assert "/work" not in str(body)


@pytest.mark.parametrize("case", POLYGONS)
def test_bad_polygons(case, write, everything):
    before = everything()
    refused(write(polygons=POLYGONS[case]))
    assert everything() == before


@pytest.mark.parametrize("case", MASKS)
def test_bad_masks(case, write, everything):
    before = everything()
    refused(write(mask=MASKS[case]))
    assert everything() == before


@pytest.mark.parametrize("case", VALUES)
def test_bad_values(case, write, everything):
    before = everything()
    field, value = VALUES[case]
    refused(write(**{field: value}))
    assert everything() == before


def test_65_a_polygon_that_crosses_itself_is_taken_and_filled_by_the_documented_rule(write):
    """docs/architecture.md: the mask is pycocotools', whose rule is even–odd."""
    bow = [10, 10, 40, 30, 40, 10, 10, 30]
    reply = write(polygons=json.dumps([[bow]]))[0]
    assert reply.status_code == 201, reply.json()
    theirs = coco_mask.decode(coco_mask.frPyObjects([bow], HEIGHT, WIDTH))
    assert reply.json()["area"] == theirs.sum()
    assert Region.objects.get(uuid=reply.json()["region"]).polygons == [[bow]]


@pytest.mark.parametrize("name", ["null", "writes"])
def test_73_a_form_is_no_patch(name, annotation, teammate, client_of, everything):
    before = everything()
    url = f"/api/annotations/{annotation.pk}/patches"
    reply = client_of(teammate).post(url, {name: "null"}, format="multipart")
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported_media_type")
    assert everything() == before


@pytest.mark.parametrize("route", ["images", "imports"])
@pytest.mark.parametrize("fields", [{"null": "null"}, {"allow_partial": "null", "as": "null"}])
def test_73_null_in_a_form(route, fields, project, manager, client_of, everything):
    before = everything()
    url = f"/api/projects/{project.pk}/{route}"
    reply = client_of(manager).post(url, fields, format="multipart")
    assert reply.status_code == 400
    assert everything() == before


def test_74_a_category_of_another_project(write, make_project, everything):
    other = make_project().categories.earliest("pk")
    before = everything()
    refused(write(category=str(other.pk)))
    assert everything() == before


@pytest.mark.parametrize("based_on", ['"2"', '"99"', '"999999999999999999"'])
def test_75_a_stale_version_gets_both(annotation, teammate, client_of, everything, based_on):
    region = annotation.regions.get()
    body = {"category": region.category_id, "polygons": [[[0, 0, 9, 0, 9, 9]]]}
    before = everything()
    reply = client_of(teammate).put(
        f"/api/annotations/{annotation.pk}/regions/{region.uuid}",
        body,
        format="json",
        headers={"If-Match": based_on},
    )
    assert reply.status_code == 412
    [conflict] = reply.json()["conflicts"]
    assert conflict["mine"]["polygons"] == body["polygons"]
    assert (conflict["theirs"]["version"], conflict["theirs"]["author"]) == (1, "teammate")
    assert conflict["theirs"]["mask"]["counts"] == region.counts
    assert everything() == before


@pytest.mark.parametrize("method", ["put", "delete"])
def test_76_no_precondition(annotation, teammate, client_of, everything, method):
    region = annotation.regions.get()
    body = {"category": region.category_id, "polygons": [[[0, 0, 9, 0, 9, 9]]]}
    before = everything()
    url = f"/api/annotations/{annotation.pk}/regions/{region.uuid}"
    reply = getattr(client_of(teammate), method)(
        url, body if method == "put" else None, format="json"
    )
    assert (reply.status_code, reply.json()["code"]) == (428, "precondition_needed")
    assert everything() == before
