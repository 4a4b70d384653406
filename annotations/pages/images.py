"""The upload page. Its script sends file by file through the API; here is the plain form."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from annotations.errors import ServiceError
from annotations.models import Project
from annotations.models.projects import Role
from annotations.pages.base import page, person, project_context
from annotations.services import frames, ingest
from annotations.services.uploads import Outcome, upload_files


@require_http_methods(["GET", "HEAD", "POST"])
@page
def upload(request: HttpRequest, project_id: int) -> HttpResponse:
    context = project_context(request, project_id, "pages:upload", Role.MANAGER)
    context["max_bytes"] = settings.MAX_IMAGE_BYTES
    context["max_megapixels"] = settings.MAX_IMAGE_PIXELS // 1_000_000
    if request.method == "POST":
        context["results"] = list(_take(request, context["project"]))
    return render(request, "annotations/upload.html", context)


def _frames(form: dict[str, str]) -> dict[str, str]:
    """What the form asks of videos: seconds count where no frame number is given."""
    return {"every": form["every"]} if form.get("every") else {"seconds": form.get("seconds", "")}


def _take(request: HttpRequest, project: Project) -> Iterator[dict[str, Any]]:
    """`{name, said, error}` for each file."""
    uploads = [(file, file.name or "unnamed") for file in request.FILES.getlist("files")]
    try:
        outcomes = upload_files(
            person(request),
            project,
            uploads,
            sampling=frames.sampling_of(_frames(request.POST.dict())),
            allow_partial=request.POST.get("allow_partial") == "true",
        )
        for name, took in outcomes:
            yield {"name": name, **_said(took)}
    except ServiceError as error:  # holds for all files
        for _, name in uploads:
            yield {"name": name, "said": "refused", "error": error.body}


def _said(took: Outcome) -> dict[str, Any]:
    if isinstance(took, ServiceError):
        return {"said": "refused", "error": took.body}
    if isinstance(took, ingest.FilesResult):
        return {"said": "done" if len(took.added) == 1 else f"{len(took.added)} images"}
    return {"said": "a worker reads it"}
