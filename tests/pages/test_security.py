"""Nothing in a page runs but files, and text stays text."""

from html.parser import HTMLParser

import pytest
from django.urls import reverse

from annotations.attributes import declared
from annotations.models import Job, User
from annotations.pages.middleware import HEADERS
from annotations.selectors.exports import Rule
from annotations.services import jobs
from annotations.services.releases import make_release
from tests.pages.routes import PAGES

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Inline(HTMLParser):
    """Collects what the content security policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or "style" in given:
            self.found.append(f"{tag} with a style")
        if tag == "script" and "src" not in given and given.get("type") != "application/json":
            self.found.append("inline script")
        for name, value in attrs:
            if name.startswith(("on", "hx-on", "data-hx-on")):
                self.found.append(f"{tag} {name}")
            if (value or "").lstrip().lower().startswith(("javascript:", "js:")):
                self.found.append(f"{tag} {name}={value}")
            if name == "hx-trigger" and "[" in (value or "").replace("[name=", ""):
                self.found.append(f"{tag} {name}={value}")


def inline_parts(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    return parser.found


@pytest.fixture
def evil(project, make_image, make_annotation, owner, teammate):
    """A project in which every text is an attack."""
    project.name, project.guidelines = EVIL, EVIL
    project.save()
    project.categories.update(supercategory=EVIL)
    for number, category in enumerate(project.categories.all()):
        category.name = f"{EVIL}{number}"
        category.attributes = declared([{"name": EVIL[:90], "type": "choice", "choices": [EVIL]}])
        category.save()
    User.objects.filter(pk=teammate.pk).update(username=EVIL[:150])
    image = make_image(project, name=EVIL, status="submitted")
    make_annotation(image, teammate, status="submitted", regions=1)
    job = jobs.enqueue(project=project, kind="prelabel", user=owner, image_ids=[image.pk])
    error = {"code": "x", "detail": EVIL, "field": EVIL, "hint": EVIL}
    Job.objects.filter(pk=job.pk).update(
        state="failed",
        message=EVIL,
        error=error,
        result={"notes": [EVIL], "notes_total": 1},
        params={"model": EVIL},
    )
    job.items.update(error=EVIL, state="failed")
    tried = jobs.enqueue(project=project, kind="prelabel", user=owner, params={"preview": True})
    Job.objects.filter(pk=tried.pk).update(state="failed", error=error)
    release = make_release(project, Rule("all"), owner, name=EVIL)
    return {
        "project": project.pk, "image": image.pk, "job": job.pk, "release": release.pk,
        "category": category.pk, "preview": tried.pk,
    }  # fmt: skip


@pytest.mark.parametrize("route", [*PAGES, "pages:projects"])
def test_text_stays_text(route, evil, owner, browse):
    args = [evil[PAGES[route][0]]] if route in PAGES else []
    html = browse(owner).get(reverse(route, args=args)).content.decode()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;" in html or "\\u003Cscript" in html
    assert inline_parts(html) == []


def test_a_refused_form_shows_its_text_as_text(owner, browse, project):
    data = {"name": EVIL, "kind": EVIL, "categories": f"{EVIL}\n{EVIL}", "guidelines": EVIL}
    client = browse(owner)
    for address in ("/projects/new", "/projects/new/categories", f"/projects/{project.pk}/members"):
        response = client.post(address, data | {"username": EVIL, "role": EVIL})
        assert "<script>alert" not in response.content.decode()
        assert inline_parts(response.content.decode()) == []


@pytest.mark.parametrize("address", ["/login", "/account", "/models", "/projects/new", "/nowhere"])
def test_no_inline_script_or_style(address, owner, browse, db):
    client = browse(None if address == "/login" else owner)
    assert inline_parts(client.get(address).content.decode()) == []


def test_the_check_finds_inline_parts():
    assert inline_parts("<script>1</script>") == ["inline script"]
    assert inline_parts('<a style="x" onclick="y" href="javascript:z">') == [
        "a with a style",
        "a onclick",
        "a href=javascript:z",
    ]


@pytest.mark.parametrize("address", ["/login", "/nowhere", "/api/me", "/static/nothing.js"])
def test_headers(address, browse, db):
    response = browse(None).get(address)
    for name, value in HEADERS.items():
        assert response[name] == value
    # WebAssembly is the one thing that may be compiled: the decoder of prompts runs on it.
    policy = response["Content-Security-Policy"].replace("'wasm-unsafe-eval'", "")
    assert "unsafe" not in policy


def test_the_theme_leads_nowhere_else(browse, db):
    client = browse(None)
    assert client.post("/theme", {"theme": "dark", "next": "/models"})["Location"] == "/models"
    assert client.post("/theme", {"next": "https://evil.example/"})["Location"] == "/"
    assert client.post("/theme", {"next": "//evil.example/"})["Location"] == "/"
