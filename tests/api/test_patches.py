"""The save protocol over HTTP: JSON in, JSON out."""

import uuid
from typing import Any

import pytest

from annotations.models import Annotation, Region
from tests.conftest import box_counts

TRIANGLE = [[[0, 0, 6, 0, 6, 6]]]


@pytest.fixture
def annotation(image, make_annotation, teammate) -> Annotation:
    return make_annotation(image, teammate)


@pytest.fixture
def upsert(annotation) -> Any:
    category = annotation.project.categories.earliest("id").pk

    def make(**values: Any) -> dict[str, Any]:
        given = {
            "op": "upsert",
            "region": str(uuid.uuid4()),
            "based_on": 0,
            "key": str(uuid.uuid4()),
            "category": category,
            "polygons": TRIANGLE,
        }
        return given | values

    return make


@pytest.fixture
def patch(annotation, teammate, client_of) -> Any:
    """`patch(write, …)`: the reply of the server to a patch of these writes."""
    client = client_of(teammate)

    def send(*writes: Any, **values: Any) -> Any:
        url = f"/api/annotations/{annotation.pk}/patches"
        return client.post(url, {"writes": writes} | values, format="json")

    return send


@pytest.fixture
def region_url(annotation) -> str:
    return f"/api/annotations/{annotation.pk}/regions/{uuid.uuid4()}"


def test_a_patch_answers_with_versions_and_areas(patch, upsert) -> None:
    write = upsert(attributes={"side": "left", "score": 0.5}, source="polygon", order=-2)
    reply = patch(write, seconds=12)
    assert reply.status_code == 200
    line = {"region": write["region"], "version": 1, "deleted": False, "area": 15.0}
    assert reply.json() == {"revision": 1, "regions": [line]}
    delete = {"op": "delete", "region": write["region"], "based_on": 1, "key": str(uuid.uuid4())}
    gone = {"region": write["region"], "version": 2, "deleted": True, "area": 0.0}
    assert patch(delete).json() == {"revision": 2, "regions": [gone]}


def test_what_was_saved_is_read_back_as_it_was(
    patch, upsert, annotation, teammate, client_of
) -> None:
    size = [annotation.image.height, annotation.image.width]
    mask = {"size": size, "counts": box_counts(annotation.image, 1, 2, 3, 2)}
    ring = [[[0.25, 0, 7.125, 0, 7, 5.5, 0, 5]]]
    masked = upsert(mask=mask, polygons=None, is_crowd=True)
    assert patch(masked, upsert(polygons=ring)).status_code == 200
    stored = client_of(teammate).get(f"/api/annotations/{annotation.pk}").json()
    first, second = stored["regions"]
    assert (first["mask"], first["polygons"], first["area"]) == (mask, None, 6.0)
    assert (first["bbox"], first["is_crowd"], first["author"]) == ([1, 2, 3, 2], True, "teammate")
    assert (second["mask"], second["polygons"]) == (None, ring)


def test_a_stale_patch_gets_both_versions(patch, upsert) -> None:
    write = upsert()
    patch(write)
    late = upsert(region=write["region"], is_crowd=True)
    reply = patch(late)
    assert reply.status_code == 412
    body = reply.json()
    assert (body["code"], body["field"]) == ("stale", "writes[0].based_on")
    (conflict,) = body["conflicts"]
    assert conflict["region"] == write["region"]
    assert {key: conflict["mine"][key] for key in late} == late
    assert conflict["theirs"]["uuid"] == write["region"]
    assert (conflict["theirs"]["version"], conflict["theirs"]["deleted"]) == (1, False)


def test_a_retry_is_answered_the_same(patch, upsert) -> None:
    write = upsert()
    assert patch(write).json() == patch(write).json()
    assert Region.objects.count() == 1


@pytest.mark.parametrize("op", ["upsert", "delete"])
def test_a_write_without_a_version_answers_428(patch, upsert, op) -> None:
    write = upsert(op=op)
    del write["based_on"]
    reply = patch(write)
    assert reply.status_code == 428
    body = reply.json()
    assert (body["code"], body["field"]) == ("precondition_needed", "writes[0].based_on")
    assert body["region"] == write["region"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"polygons": [[[0, 0, 100_000_000, 0, 5, 5]]]}, "polygons[0][0][2]"),
        ({"polygons": [[[0, 0, 5, 5]]]}, "polygons[0][0]"),
        ({"polygons": [[[0, 0, 5, 0, 5]]]}, "polygons[0][0]"),
        ({"polygons": [[[0, 0, 5, 0, "5", 5]]]}, "polygons[0][0]"),
        ({"polygons": {}}, "polygons"),
        ({"polygons": None}, "mask"),
        ({"polygons": None, "mask": {"size": [6, 8], "counts": "0"}}, "mask.counts"),
        ({"polygons": None, "mask": {"size": [8, 6], "counts": "`1"}}, "mask.size"),
        ({"polygons": None, "mask": {"size": [6, 8]}}, "mask"),
        ({"polygons": None, "mask": "counts"}, "mask"),
        ({"category": 10**12}, "category"),
        ({"category": "car"}, "category"),
        ({"attributes": {"deep": {"er": 1}}}, "attributes"),
        ({"proposal": 10**9}, "proposal"),
        ({"order": 2**31}, "order"),
        ({"region": "mine"}, "region"),
        ({"key": None}, "key"),
        ({"based_on": -1}, "based_on"),
        ({"based_on": 10**19 - 1}, "based_on"),
        ({"source": "s" * 41}, "source"),
        ({"source": ""}, "source"),
        ({"version": 3}, "version"),
        ({"author": 1}, "author"),
        ({"op": "replace"}, "op"),
        ({"op": ["upsert"]}, "op"),
    ],
)
def test_a_bad_write_is_named_and_nothing_is_saved(patch, upsert, change, field) -> None:
    reply = patch(upsert(), upsert(**change))
    assert reply.status_code == 400
    body = reply.json()
    assert body["field"] == f"writes[1].{field}"
    assert set(body) >= {"code", "detail", "field", "hint"}
    assert not Region.objects.exists()


def test_geometry_errors_carry_the_region(patch, upsert) -> None:
    write = upsert(polygons=[[[0, 0, 5, 5]]])
    assert patch(write).json()["region"] == write["region"]


@pytest.mark.parametrize("writes", [None, {}, "x", [None], [3], ["x"], [[]]])
def test_writes_that_are_none(patch, annotation, teammate, client_of, writes) -> None:
    url = f"/api/annotations/{annotation.pk}/patches"
    reply = client_of(teammate).post(url, {"writes": writes}, format="json")
    assert reply.status_code == 400
    assert reply.json()["field"].startswith("writes")


def test_one_region_is_made_changed_and_deleted_with_preconditions(
    region_url, upsert, teammate, client_of
) -> None:
    client = client_of(teammate)
    body = {"category": upsert()["category"], "polygons": TRIANGLE}
    made = client.put(region_url, body, format="json", headers={"If-None-Match": "*"})
    assert (made.status_code, made["ETag"]) == (201, '"1"')
    assert made.json()["revision"] == 1
    read = client.get(region_url)
    assert (read.status_code, read["ETag"], read.json()["polygons"]) == (200, '"1"', TRIANGLE)
    again = client.put(region_url, body, format="json", headers={"If-None-Match": "*"})
    assert (again.status_code, again.json()["code"]) == (412, "stale")
    changed = client.put(region_url, body, format="json", headers={"If-Match": '"1"'})
    assert (changed.status_code, changed["ETag"]) == (200, '"2"')
    stale = client.delete(region_url, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert client.delete(region_url, headers={"If-Match": '"2"'}).json()["deleted"] is True
    assert client.get(region_url).status_code == 404


def test_the_idempotency_key_makes_a_retry_safe(region_url, upsert, teammate, client_of) -> None:
    client = client_of(teammate)
    body = {"category": upsert()["category"], "polygons": TRIANGLE}
    headers = {"If-None-Match": "*", "Idempotency-Key": str(uuid.uuid4())}
    replies = [client.put(region_url, body, format="json", headers=headers) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()


def test_an_error_of_one_region_names_its_field(region_url, upsert, teammate, client_of) -> None:
    body = {"category": upsert()["category"], "polygons": [[[0, 0, 5, 5]]]}
    headers = {"If-None-Match": "*"}
    reply = client_of(teammate).put(region_url, body, format="json", headers=headers)
    assert (reply.status_code, reply.json()["field"]) == (400, "polygons[0][0]")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 428),
        ({"If-Match": "*"}, 400),
        ({"If-Match": "1"}, 400),
        ({"If-Match": '"0"'}, 400),
        ({"If-Match": 'W/"1"'}, 400),
        ({"If-Match": f'"{10**30}"'}, 400),
        ({"If-None-Match": '"1"'}, 400),
        ({"If-None-Match": "*", "If-Match": '"1"'}, 400),
        ({"If-None-Match": "*", "Idempotency-Key": "once"}, 400),
    ],
)
@pytest.mark.parametrize("method", ["put", "delete"])
def test_preconditions_are_needed_and_checked(
    region_url, upsert, teammate, client_of, method, headers, status
) -> None:
    body = {"category": upsert()["category"], "polygons": TRIANGLE} if method == "put" else None
    reply = getattr(client_of(teammate), method)(region_url, body, format="json", headers=headers)
    assert reply.status_code == status
    assert not Region.objects.exists()


def test_saving_costs_the_same_however_many_regions_there_are(
    patch, upsert, annotation, make_annotation, django_assert_max_num_queries
) -> None:
    patch(*[upsert() for _ in range(200)])
    with django_assert_max_num_queries(16):
        patch(*[upsert() for _ in range(50)])
