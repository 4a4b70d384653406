"""Exports and imports: choose a format, start the job, find what came of earlier ones."""

from django.contrib import messages
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

SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@page
def export(request: HttpRequest, project_id: int) -> HttpResponse:
    context = project_context(request, project_id, "pages:export", Role.MANAGER)
    project = context["project"]
    formats = [info for info in FORMATS.values() if info.writes and project.kind in info.kinds]
    form = ExportForm(request.POST or None, initial={"format": formats[0].name})
    if request.method == "POST" and form.is_valid():
        from annotations.services import exports

        try:
            job = exports.start_export(person(request), project, **form.cleaned_data)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            return redirect("pages:job", job.pk)
    jobs = job_selectors.list_jobs(person(request), project, kind=Job.Kind.EXPORT)
    context |= {"form": form, "formats": formats, "jobs": jobs[:SHOWN]}
    return render(request, "annotations/export.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def import_(request: HttpRequest, project_id: int) -> HttpResponse:
    context = project_context(request, project_id, "pages:import", Role.MANAGER)
    project = context["project"]
    formats = [info for info in FORMATS.values() if info.reads and project.kind in info.kinds]
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        from annotations.services import imports

        try:
            job = imports.start_import(person(request), project, **form.cleaned_data)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            messages.success(request, "The file is being read.")
            return redirect("pages:job", job.pk)
    jobs = job_selectors.list_jobs(person(request), project, kind=Job.Kind.IMPORT)
    context |= {"form": form, "formats": formats, "jobs": jobs[:SHOWN]}
    return render(request, "annotations/import.html", context, status=400 if form.errors else 200)
