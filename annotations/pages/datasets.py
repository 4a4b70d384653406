"""Exports and imports: choose a format, start the job, find what came of earlier ones."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotations.errors import ServiceError
from annotations.formats.registry import FORMATS
from annotations.models import Job
from annotations.models.projects import Role
from annotations.pages.base import page, person, project_context, refuse_in
from annotations.pages.forms import ExportForm, ImportForm
from annotations.selectors import jobs as job_selectors
from annotations.selectors import releases as release_selectors
from annotations.services import exports, imports

SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@page
def export(request: HttpRequest, project_id: int) -> HttpResponse:
    context = project_context(request, project_id, "pages:export", Role.MANAGER)
    project, user = context["project"], person(request)
    formats = [info for info in FORMATS.values() if info.writes and project.kind in info.kinds]
    first = {"format": formats[0].name, "key": uuid.uuid4()}
    named = release_selectors.list_releases(user, project, named=True)
    wanted = {**first, "release": request.GET.get("release", "")}
    form = ExportForm(request.POST or None, initial=wanted, releases=named)
    if request.method == "POST" and form.is_valid():
        try:
            job = exports.start_export(user, project, **form.cleaned_data)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            return redirect("pages:job", job.pk)
    jobs = job_selectors.list_jobs(user, project, kind=Job.Kind.EXPORT)
    context |= {"form": form, "formats": formats, "jobs": jobs[:SHOWN]}
    status = 400 if form.errors else 200
    return render(request, "annotations/export.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def import_(request: HttpRequest, project_id: int) -> HttpResponse:
    """A small file is imported before this answers; a large one by a worker."""
    context = project_context(request, project_id, "pages:import", Role.MANAGER)
    project, user = context["project"], person(request)
    formats = [info for info in FORMATS.values() if info.reads]
    first = {"format": formats[0].name}
    form = ImportForm(request.POST or None, request.FILES or None, initial=first)
    if request.method == "POST" and form.is_valid():
        try:
            job = imports.start_import(user, project, **form.cleaned_data)
        except ServiceError as error:
            refuse_in(form, error)
            context["pointer"] = error.field if error.field not in form.fields else ""
        else:
            return redirect("pages:job", job.pk)
    jobs = job_selectors.list_jobs(user, project, kind=Job.Kind.IMPORT)
    context |= {"form": form, "formats": formats, "jobs": jobs[:SHOWN]}
    status = 400 if form.errors else 200
    return render(request, "annotations/import.html", context, status=status)
