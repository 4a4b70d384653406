"""What waits for review."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.vary import vary_on_headers

from annotations.models import Annotation
from annotations.models.projects import Role
from annotations.pages.base import action, is_partial, person, project_context, read
from annotations.selectors import previews
from annotations.selectors.projects import get_project
from annotations.selectors.reviews import review_queue
from annotations.services import reviews

PER_PAGE = 50


@vary_on_headers("HX-Request")
@read
def review(request: HttpRequest, project_id: int) -> HttpResponse:
    """Those that wait longest first; `?from=` goes on behind that many."""
    context = project_context(request, project_id, "pages:review", Role.REVIEWER)
    rows = previews.with_region_count(review_queue(person(request), context["project"]))
    start = request.GET.get("from", "")
    first = int(start) if start.isdecimal() and len(start) < 10 else 0
    found = list(rows[first : first + PER_PAGE + 1])
    more = len(found) > PER_PAGE
    project = context["project"]
    outside = project.annotations.filter(status=Annotation.Status.SUBMITTED, sampled=False)
    context |= {
        "unsampled": outside.count(),
        "annotations": found[:PER_PAGE],
        "next_url": f"{request.path}?from={first + PER_PAGE}" if more else "",
    }
    part = "_review_rows" if is_partial(request) else "review"
    return render(request, f"annotations/{part}.html", context)


@action("pages:review")
def accept_unsampled(request: HttpRequest, project_id: int) -> None:
    user = person(request)
    count = reviews.accept_unsampled(user, get_project(user, project_id))
    messages.success(request, f"{count} approved.")
