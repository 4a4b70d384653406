"""Parameters, addresses and bodies that make no sense, at every route of the product.

The routes are those of `access_table`; the one who asks is an owner, who gets past every check of
access. No answer is ever a 5xx (the test client raises what a view raises), and nothing changes.
"""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotations.models import Image, Project
from tests.trust.access_table import API, PAGES, ROWS
from tests.trust.everybody import browser, filled, send

SCHEMA = "/api/schema"  # drf-spectacular's own view, which reads no parameter of ours
READS = [row for row in ROWS if row.method == "GET" and "?" not in row.path and row.path != SCHEMA]
LISTS = [row for row in READS if row in API]
BODIES = [row for row in API if isinstance(row.body, dict) and "FILE" not in row.body.values()]
FORMS = [row for row in PAGES if row.method == "POST" and row.body]
NUMBERED = [row for row in ROWS if re.search(r"\{(?!token|region|uuid)", row.path)]

LONG = "9" * 5000
ODD = ["", "0", "-1", "1e3", "99999999999999999999", LONG, "%00", "%0d%0a", "%ff", "x", "١", "NaN"]
PARAMETERS = [
    "page", "after", "limit", "status", "search", "annotator", "annotation", "mode", "state",
    "kind", "model", "archived", "against", "next", "images", "split", "sort", "value", "level",
]  # fmt: skip
UNKNOWN = b"There is no such field"
INJECTED = ["_connector=OR", "owner__password__startswith=a", "id__in=1", "__proto__=1", "page=2"]

DEEP = 100_000
JSON = {
    "a list": "[]",
    "null": "null",
    "text": '"x"',
    "cut off": "{",
    "no JSON": "name=x",
    "NaN": '{"name": NaN}',
    "nested deeply": '{"a":' * DEEP + "1" + "}" * DEEP,
    "NUL": '{"name": "\\u0000", "text": "\\u0000", "comment": "\\u0000"}',
    "a lone surrogate": '{"name": "\\ud800", "text": "\\ud800", "comment": "\\ud800"}',
    "not UTF-8": b'{"name": "\xff"}',
    "an unknown field": '{"owner__password__startswith": "a"}',
    "a key twice": '{"name": "a", "name": "b"}',
}
VALUES = ["\x00", "x" * 1_000_000, LONG, "-1", "NaN", "\u202e", "<script>", "null", "[]", "'", "%"]


@pytest.fixture
def owner_browser(people, things):
    return browser(people["owner"])


def error(reply: Any, *statuses: int) -> None:
    """A refusal in the words of the API."""
    assert reply.status_code in statuses, reply.content[:300]
    body = reply.json()
    assert set(body) >= {"code", "detail", "field", "hint"}
    assert body["detail"]
    assert "Traceback" not in str(body)
    assert "/work" not in str(body)


@pytest.mark.parametrize("row", READS, ids=str)
def test_81_odd_parameters(row, owner_browser, things, everything):
    """At the API they are refused one by one; a page shows what it can, whatever comes together."""
    before = everything()
    address = row.path.format(**things)
    for turn, name in enumerate(PARAMETERS if row in API else []):
        for value in ODD[turn % len(ODD) :] + ODD[: turn % len(ODD)]:
            reply = owner_browser.get(f"{address}?{name}={value}")
            assert reply.status_code < 500, (name, value[:40])
            if reply.status_code == 400 and UNKNOWN in reply.content:
                break  # refused by its name, before any value is read
    for value in ODD if row not in API else []:
        query = "&".join(f"{name}={value}" for name in PARAMETERS)
        assert owner_browser.get(f"{address}?{query}").status_code < 500, value[:40]
    assert everything() == before


@pytest.mark.parametrize("row", LISTS, ids=str)
def test_81_unknown_parameters(row, owner_browser, things, everything):
    before = everything()
    for query in INJECTED:
        error(owner_browser.get(row.path.format(**things) + f"?{query}"), 400)
    assert everything() == before


@pytest.mark.parametrize("row", NUMBERED, ids=str)
def test_81_addresses_that_are_none(row, people, things, everything):
    """Zero, negative, huge, with a line break, with NUL, in other digits: 404."""
    able = browser(people["staff" if row.least == "staff" else "owner"])
    before = everything()
    for name in re.findall(r"\{(?!token|region|uuid)(\w+)\}", row.path.partition("?")[0]):
        with_break = f"{things[name]}%0a"
        for value in ("0", "-1", str(2**63), str(10**40), LONG, "%00", "1e3", "x", with_break):
            odd = replace(row, path=row.path.replace("{" + name + "}", value))
            assert send(able, odd, things).status_code == 404, odd.path[:80]
    assert everything() == before


@pytest.mark.parametrize("row", BODIES, ids=str)
def test_every_body_is_checked(row, owner_browser, things, everything):
    before = everything()
    address = row.path.format(**things)
    for case, body in JSON.items():
        reply = owner_browser.generic(
            row.method, address, body, "application/json", headers=row.headers
        )
        assert reply.status_code == 400, case
        error(reply, 400)
    assert everything() == before


@pytest.mark.parametrize("row", FORMS, ids=str)
def test_every_form_is_checked(row, owner_browser, things):
    """Whatever a field holds: a refusal or a harmless value, and no broken page."""
    good = filled(row.body, things)
    good = {k: SimpleUploadedFile("a", b"x") if v == "FILE" else v for k, v in good.items()}
    for name in [*good, "null", "images", "class-0"]:
        for value in VALUES:
            if "delete" in row.path and value in ("%", "'"):
                continue
            reply = owner_browser.post(row.path.format(**things), good | {name: value})
            assert reply.status_code < 500, (name, value[:30])


class TestNames:
    """84: names that mean something to a header, a path, a spreadsheet or a browser."""

    NAMES = ["a\r\nSet-Cookie: x=1", "../../etc/passwd", '"; filename="x', "n" * 200, "=cmd()|'!A0"]

    @pytest.mark.parametrize("name", NAMES)
    def test_a_download_has_a_safe_name(
        self, name, owner_browser, things, django_capture_on_commit_callbacks
    ):
        Project.objects.filter(pk=things["project"]).update(name=name)
        url = f"/api/projects/{things['project']}/exports"
        body = json.dumps({"format": "coco", "status": "all"})
        with django_capture_on_commit_callbacks(execute=True):
            job = owner_browser.post(url, body, "application/json").json()["id"]
        reply = owner_browser.get(f"/api/jobs/{job}/download")
        assert reply.status_code == 200
        self.check(reply["Content-Disposition"])

    @pytest.mark.parametrize("name", [*NAMES, "n" * 500 + ".png", "\u202egnp.exe", "CON", ".."])
    @pytest.mark.parametrize("view", ["file", "thumbnail", "original"])
    def test_an_image_has_a_safe_name(self, name, view, owner_browser, things):
        Image.objects.filter(pk=things["image"]).update(name=name)
        reply = owner_browser.get(f"/api/images/{things['image']}/{view}")
        assert reply.status_code == 200
        self.check(reply["Content-Disposition"])

    @staticmethod
    def check(header: str) -> None:
        assert not set("\r\n\0/\\") & set(header)
        assert len(header) < 1500
        plain, encoded = r'; filename="[^"]*"', r"; filename\*=utf-8''[\w.%!~()*'-]+"
        assert re.fullmatch(f"(inline|attachment)({plain}|{encoded})", header), header

    @pytest.mark.parametrize(
        "name", ["=cmd()", "+1", "-1", "@x", "\t=x", "<script>alert(1)</script>"]
    )
    def test_a_name_is_kept_as_text(self, name, owner_browser):
        body = json.dumps({"name": name, "kind": "instance"})
        reply = owner_browser.post("/api/projects", body, "application/json")
        assert reply.status_code == 201
        assert reply["Content-Type"] == "application/json"
        assert reply.json()["name"] == name.strip()


class TestAddresses:
    """83: the server fetches nothing that a person names."""

    URL = "http://127.0.0.1:1/secret.png"

    @pytest.fixture(autouse=True)
    def _no_network(self, monkeypatch):
        def refuse(*args: Any, **kwargs: Any) -> None:
            raise AssertionError("the server opened a connection")

        monkeypatch.setattr("socket.socket.connect", refuse)
        monkeypatch.setattr("socket.create_connection", refuse)

    @pytest.mark.parametrize("field", ["url", "urls", "file_url", "files"])
    def test_no_upload_by_address(self, field, owner_browser, things, everything):
        before = everything()
        url = f"/api/projects/{things['project']}/images"
        error(owner_browser.post(url, {field: self.URL}), 400)
        assert everything() == before

    def test_no_image_of_an_import_is_fetched(self, owner_browser, things, everything):
        image = {"id": 1, "width": 5, "height": 5, "coco_url": self.URL, "flickr_url": self.URL}
        before = everything()
        for name in (self.URL, "file:///etc/passwd", "missing.png"):
            data = {"images": [image | {"file_name": name}], "annotations": [], "categories": []}
            body = {
                "format": "coco",
                "file": SimpleUploadedFile("a.json", json.dumps(data).encode()),
            }
            url = f"/api/projects/{things['project']}/imports"
            error(owner_browser.post(url, body), 422)
        assert everything() == before
