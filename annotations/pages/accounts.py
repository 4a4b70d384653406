"""All people of the installation: for staff."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from annotations.errors import NotFound, ServiceError
from annotations.models import User
from annotations.pages.base import keyset, page, person, read, refused
from annotations.selectors.people import account_entries, list_people, session_counts
from annotations.services import people

PER_PAGE = 50
STATES = [("", "All"), ("active", "Active"), ("inactive", "Switched off")]


@read
def overview(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("search", "")[:200]
    state = request.GET.get("state", "")
    state = state if state in ("active", "inactive") else ""
    rows = list_people(person(request), search=search, state=state)
    found, after = keyset(rows, request.GET.get("after"), PER_PAGE)
    sessions = session_counts(one.pk for one in found)
    query = urlencode({"search": search, "state": state, "after": after or ""})
    context = {
        "people": [(one, sessions[one.pk]) for one in found],
        "search": search,
        "state": state,
        "states": STATES,
        "entries": account_entries(person(request))[:10],
        "next_url": f"{request.path}?{query}" if after else "",
    }
    return render(request, "annotations/people.html", context)


def _person(request: HttpRequest, person_id: int) -> User:
    found = list_people(person(request)).filter(pk=person_id).first()
    if found is None:
        raise NotFound("person")
    return found


@require_POST
@page
def deactivate(request: HttpRequest, person_id: int) -> HttpResponse:
    found = _person(request, person_id)
    try:
        people.switch_off(person(request), found)
    except ServiceError as error:
        if error.status == 403:
            raise
        refused(request, error)
    else:
        messages.success(request, f"{found.username} is logged out everywhere, and stays out.")
    return redirect("pages:people")


@require_POST
@page
def reactivate(request: HttpRequest, person_id: int) -> HttpResponse:
    found = _person(request, person_id)
    people.switch_on(person(request), found)
    messages.success(request, f"{found.username} may log in again.")
    return redirect("pages:people")
