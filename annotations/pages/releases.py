"""Releases: the list, one of them, and what changed between two."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from annotations.errors import ServiceError
from annotations.models import Release
from annotations.models.projects import Role
from annotations.pages.base import (
    keyset,
    page,
    person,
    project_context,
    read,
    refuse_in,
    refused,
)
from annotations.pages.forms import ReleaseForm
from annotations.selectors import releases as selectors
from annotations.selectors.exports import Rule
from annotations.services import releases

SHOWN = 50
PICTURED = 20
"""Images in one page of a difference."""


@require_http_methods(["GET", "HEAD", "POST"])
@page
def list_releases(request: HttpRequest, project_id: int) -> HttpResponse:
    least = Role.MANAGER if request.method == "POST" else Role.REVIEWER
    context = project_context(request, project_id, "pages:releases", least)
    project, user = context["project"], person(request)
    form = ReleaseForm(request.POST or None, initial={"key": uuid.uuid4()})
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        rule = Rule(asked["status"], asked["search"], asked["annotator"])
        try:
            job = releases.start_release(
                user, project, name=asked["name"], rule=rule, key=asked["key"]
            )
        except ServiceError as error:
            refuse_in(form, error)
        else:
            return redirect("pages:job", job.pk)
    rows = selectors.list_releases(user, project)
    found, after = keyset(rows, request.GET.get("after"), SHOWN, descending=True)
    context |= {"form": form, "releases": found, "next_url": f"?after={after}" if after else ""}
    status = 400 if form.errors else 200
    return render(request, "annotations/releases.html", context, status=status)


@read
def one(request: HttpRequest, release_id: int) -> HttpResponse:
    release = selectors.get_release(person(request), release_id)
    context = project_context(request, release.project_id, "pages:releases", Role.REVIEWER)
    context |= {"release": release, "others": _others(request, release)}
    return render(request, "annotations/release.html", context)


@read
def difference(request: HttpRequest, release_id: int) -> HttpResponse:
    """Without `against`: to the release before it."""
    release = selectors.get_release(person(request), release_id)
    context = project_context(request, release.project_id, "pages:releases", Role.REVIEWER)
    context |= {"release": release, "others": _others(request, release)}
    against = _number(request, "against") or _before(request, release)
    if against:
        older, _ = selectors.get_pair(person(request), release.pk, against)
        found = selectors.difference(older, release)
        category = _number(request, "category")
        rows, after = selectors.changes(
            found, after=_number(request, "after") or 0, limit=PICTURED, category=category
        )
        query = request.GET.copy()
        query["against"], query["after"] = str(against), str(after)
        context |= {
            "older": older,
            "found": found,
            "category": category,
            "changes": rows,
            "next_url": f"?{query.urlencode()}" if after else "",
        }
    return render(request, "annotations/release_diff.html", context)


def _others(request: HttpRequest, release: Release) -> list[Release]:
    rows = selectors.list_releases(person(request), release.project)
    return list(rows.exclude(pk=release.pk)[:SHOWN])


def _before(request: HttpRequest, release: Release) -> int | None:
    rows = selectors.list_releases(person(request), release.project).filter(pk__lt=release.pk)
    before = rows.exclude(name="").first() or rows.first()
    return before.pk if before else None


def _number(request: HttpRequest, name: str) -> int | None:
    """A parameter that is a whole number; None otherwise."""
    value = request.GET.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 19 else None


@require_POST
@page
def name(request: HttpRequest, release_id: int) -> HttpResponse:
    release = selectors.get_release(person(request), release_id, Role.MANAGER)
    try:
        named = releases.name_release(person(request), release, request.POST.get("name", ""))
    except ServiceError as error:
        refused(request, error)
    else:
        messages.success(request, f"The release is named “{named.name}” now.")
    return redirect("pages:release", release_id)


@require_POST
@page
def remove(request: HttpRequest, release_id: int) -> HttpResponse:
    release = selectors.get_release(person(request), release_id, Role.OWNER)
    releases.remove_release(person(request), release)
    messages.success(request, f"The release {release} was removed.")
    return redirect("pages:releases", release.project_id)
