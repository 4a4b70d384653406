"""What waits for review."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.vary import vary_on_headers

from annotations.access import find
from annotations.models.projects import Role
from annotations.pages.base import action, cursor, is_partial, person, project_context, read
from annotations.selectors.projects import get_project
from annotations.selectors.reviews import MANY, queue_rows, unsampled
from annotations.services import reviews

PER_PAGE = 40


@vary_on_headers("HX-Request")
@read
def review(request: HttpRequest, project_id: int) -> HttpResponse:
    """What comes first in the queue; `?after=` goes on behind that annotation."""
    user = person(request)
    project = get_project(user, project_id)
    last = None
    if after := cursor(request.GET.get("after")):
        submitted = project.annotations.filter(submitted_at__isnull=False)
        last = find(submitted, user, pk=after)
    found = queue_rows(user, project, last, PER_PAGE + 1)
    more = len(found) > PER_PAGE
    context: dict[str, Any] = {
        "annotations": found[:PER_PAGE],
        "next_url": f"{request.path}?after={found[PER_PAGE - 1].pk}" if more else "",
    }
    if is_partial(request):
        return render(request, "annotations/_review_rows.html", context)
    context |= project_context(request, project_id, "pages:review", Role.REVIEWER, project)
    context |= {"unsampled": unsampled(project), "many": MANY}
    return render(request, "annotations/review.html", context)


@action("pages:review")
def accept_unsampled(request: HttpRequest, project_id: int) -> None:
    user = person(request)
    count = reviews.accept_unsampled(user, get_project(user, project_id))
    messages.success(request, f"{count} approved.")
