"""Jobs: what runs, how far it is, what failed and why."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST
from django.views.decorators.vary import vary_on_headers

from annotations.errors import ServiceError
from annotations.models import Job, JobItem
from annotations.pages.base import (
    is_partial,
    keyset,
    page,
    person,
    project_context,
    read,
    refused,
)
from annotations.selectors import jobs as selectors
from annotations.services import jobs as services

PER_PAGE = 50
ITEMS = 60
ENDED_SHOWN = 6
LONG_WAIT = timedelta(seconds=20)
ENDED = (Job.State.DONE, Job.State.FAILED)


@read
def jobs(request: HttpRequest, project_id: int) -> HttpResponse:
    context = project_context(request, project_id, "pages:jobs")
    rows = selectors.list_jobs(person(request), context["project"])
    found, after = keyset(rows, request.GET.get("after"), PER_PAGE, descending=True)
    context |= {
        "jobs": found,
        "next_url": f"{request.path}?after={after}" if after else "",
        "any_active": any(job.state in selectors.ACTIVE for job in found),
    }
    return render(request, "annotations/jobs.html", context)


@vary_on_headers("HX-Request")
@read
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """One job. While it runs, the list of images follows the work; htmx asks for the part again."""
    found = selectors.get_job(person(request), job_id)
    active = found.state in selectors.ACTIVE
    failed_only = request.GET.get("state") == Job.State.FAILED
    rows = selectors.list_items(found, state=Job.State.FAILED if failed_only else "")
    after: int | None = None
    if active and not failed_only and "after" not in request.GET:
        items = _around_the_work(found)
    else:
        items, after = keyset(rows, request.GET.get("after"), ITEMS)
    failed = found.failed_items  # type: ignore[attr-defined]
    context = {
        "project": found.project,
        "job": found,
        "active": active,
        "failed_count": failed,
        "failed_only": failed_only,
        "retryable": not active and (found.state != Job.State.DONE or failed),
        "waits_long": timezone.now() - found.created_at > LONG_WAIT,
        "remaining": _remaining(found),
        "workers": list(found.shares.all()) if active else [],
        "notes": found.result.get("notes", []),
        "notes_total": len(found.result.get("notes", [])) + found.result.get("more_notes", 0),
        "facts": _facts(found),
        "items": items,
        "next_url": f"{request.path}?{'state=failed&' if failed_only else ''}after={after}"
        if after
        else "",
    }
    if is_partial(request):
        return render(request, "annotations/_job.html", context)
    context = project_context(request, found.project_id, "pages:jobs") | context
    return render(request, "annotations/job.html", context)


def _around_the_work(found: Job) -> list[JobItem]:
    """The last items that ended and the next ones that will be done."""
    rows = selectors.list_items(found)
    coming = list(rows.exclude(state__in=ENDED).order_by("pk")[: ITEMS - ENDED_SHOWN])
    ended = rows.filter(state__in=ENDED)
    if coming:
        ended = ended.filter(pk__lt=coming[0].pk)
    return [*reversed(ended.order_by("-pk")[:ENDED_SHOWN]), *coming]


def _remaining(found: Job) -> float | None:
    """Seconds that a running job needs yet, if it goes on as it went."""
    if found.state != Job.State.RUNNING or not found.started_at or not found.done:
        return None
    passed = (timezone.now() - found.started_at).total_seconds()
    return passed / found.done * (found.total - found.done)


def _facts(found: Job) -> list[tuple[str, Any]]:
    """What was asked for and what came out, where it is a plain value."""
    titles = {
        "model": "Model",
        "format": "Format",
        "status": "Annotations",
        "kind": "Taken as",
        "name": "File",
        "min_score": "Least score",
        "added": "Images added",
        "unchanged": "Images unchanged",
        "images": "Images",
        "regions": "Regions",
        "proposals": "Proposals",
        "release_name": "Release",
        "release_sha256": "Content",
        "sha256": "SHA-256",
    }
    values = {**found.params, **found.result}
    return [
        (title, values[key])
        for key, title in titles.items()
        if isinstance(values.get(key), str | int | float) and values[key]
    ]


@require_POST
@page
def cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    services.cancel(selectors.get_job(person(request), job_id))
    return redirect("pages:job", job_id)


@require_POST
@page
def retry(request: HttpRequest, job_id: int) -> HttpResponse:
    found = selectors.get_job(person(request), job_id)
    try:
        services.retry(person(request), found)
    except ServiceError as error:
        refused(request, error)
    return redirect("pages:job", job_id)
