"""The projects, a new one, and a project's home: the grid of its images."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from annotations.access import at_least, require
from annotations.errors import NotFound, ServiceError
from annotations.models import Image, Project
from annotations.models.projects import Role
from annotations.pages.base import (
    action,
    cursor,
    is_partial,
    page,
    person,
    project_context,
    read,
    refuse_in,
    refused,
)
from annotations.pages.categories import parse_categories
from annotations.pages.forms import NewProjectForm
from annotations.selectors import images as image_selectors
from annotations.selectors import jobs as job_selectors
from annotations.selectors import previews, workspace
from annotations.selectors import projects as project_selectors
from annotations.services import ingest, work
from annotations.services import projects as services

CARDS = 48
NOTHING_TO_LABEL = "Every image is labeled or being labeled by somebody."
NOTHING_TO_REVIEW = "Nothing waits for your review."
KINDS = {
    "semantic": "Every pixel gets one class: road, sky, car. Two cars side by side are one area.",
    "instance": "Every object is a region of its own. Regions may overlap; background stays empty.",
    "panoptic": "Both: objects one by one, and areas such as road and sky. No pixel has two.",
}


@read
def projects(request: HttpRequest) -> HttpResponse:
    user = person(request)
    archived = request.GET.get("archived") == "1"
    rows = list(previews.with_mosaic(project_selectors.list_projects(user, archived=archived)))
    counts = project_selectors.image_counts(project.pk for project in rows)
    cards = [
        {
            "project": project,
            "role": Role(project.role).label,  # type: ignore[attr-defined]
            "counts": counts[project.pk],
            "total": sum(counts[project.pk].values()),
            "mosaic": previews.mosaic_of(project),
        }
        for project in rows
    ]
    context = {
        "cards": cards,
        "showing_archived": archived,
        "archived_count": 0
        if archived
        else project_selectors.list_projects(user, archived=True).count(),
    }
    return render(request, "annotations/projects.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def new_project(request: HttpRequest) -> HttpResponse:
    form = NewProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = _create(request, form)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            messages.success(request, f"“{project.name}” was created. Add the first images.")
            return redirect("pages:upload", project.pk)
    context = {
        "form": form,
        "kinds": [
            {"value": value, "label": label, "text": KINDS[value]}
            for value, label in Project.Kind.choices
        ],
        "preview": form.cleaned_data.get("typed") if form.is_bound else None,
    }
    status = 400 if form.errors else 200
    return render(request, "annotations/project_new.html", context, status=status)


def _create(request: HttpRequest, form: NewProjectForm) -> Project:
    user, data = person(request), form.cleaned_data
    with transaction.atomic():
        project = services.create_project(
            user, name=data["name"], kind=data["kind"], guidelines=data["guidelines"]
        )
        for typed in form.typed:
            services.create_category(
                user,
                project,
                name=typed.name,
                supercategory=typed.supercategory,
                color=typed.color,
                hotkey=typed.hotkey,
                is_thing=typed.is_thing,
            )
    return project


@require_POST
@page
def preview_categories(request: HttpRequest) -> HttpResponse:
    """What the typed categories will be; changes nothing."""
    context: dict[str, Any] = {}
    try:
        context["preview"] = parse_categories(
            request.POST.get("categories", ""), request.POST.get("kind", "")
        )
    except ValidationError as error:
        context["problem"] = error.messages[0]
    return render(request, "annotations/_category_preview.html", context)


@vary_on_headers("HX-Request")
@read
def project(request: HttpRequest, project_id: int) -> HttpResponse:
    """The grid. htmx gets the part it asks for: the cards after a cursor, or all of the grid."""
    user = person(request)
    found = project_selectors.get_project(user, project_id)
    filters: dict[str, Any] = {
        "status": _one_of(request.GET.get("status", ""), Image.Status.values),
        "search": request.GET.get("search", "").replace("\x00", "")[:200],
        "annotator": request.GET.get("annotator", "").replace("\x00", "")[:150],
        "category": cursor(request.GET.get("category")) or None,
    }
    last = request.GET.get("after", "")
    images, after = image_selectors.list_images(
        user, found, after=cursor(last), limit=CARDS, **filters
    )
    labels = "1" if request.GET.get("labels") == "1" else ""
    if labels:
        image_selectors.give_proposed(images)
    asked = {name: value for name, value in (filters | {"labels": labels}).items() if value}
    context: dict[str, Any] = {
        "images": images,
        "labels": labels,
        "next_url": f"{request.path}?{urlencode(asked | {'after': after})}" if after else "",
        "can_manage": at_least(found.role, Role.MANAGER),
    }
    if is_partial(request):
        part = "_image_cards.html" if "after" in request.GET else "_images.html"
        return render(request, f"annotations/{part}", context)
    context |= project_context(request, project_id, "pages:project", project=found)
    context["filters"] = filters
    if context["counts"][Image.Status.NEW] < context["total"]:
        context["categories"] = previews.category_names(user, found)
    if context["can_review"]:
        context["annotators"] = previews.annotators(user, found)
    context["batches"] = previews.batch_names(user, found) if context["can_manage"] else []
    context["active_jobs"] = job_selectors.active_jobs(user, found, 3)
    return render(request, "annotations/project.html", context)


def _one_of(value: str, allowed: list[str]) -> str:
    return value if value in allowed else ""


@require_http_methods(["GET", "HEAD", "POST"])
@page
def next_image(request: HttpRequest, project_id: int) -> HttpResponse:
    """To the editor with what should be labeled or reviewed next, or back with a word about it.

    POST gives it to the person alone; GET, which changes nothing, only leads there.
    """
    user = person(request)
    found = project_context(request, project_id, "pages:project")["project"]
    review = request.GET.get("mode") == "review"
    if request.method == "POST":
        return _pulled(request, found, review)
    if review:
        if annotation := workspace.next_to_review(user, found):
            return redirect(editor_url(annotation.image_id, annotation.pk, "review"))
        messages.info(request, NOTHING_TO_REVIEW)
        return redirect("pages:review", project_id)
    if image_id := workspace.next_to_label(user, found):
        return redirect("pages:edit", image_id)
    messages.info(request, NOTHING_TO_LABEL)
    return redirect("pages:project", project_id)


def _pulled(request: HttpRequest, project: Project, review: bool) -> HttpResponse:
    back = "pages:review" if review else "pages:project"
    try:
        lease = work.pull(person(request), project, "review" if review else "label")
    except ServiceError as error:
        if error.status in (403, 404):
            raise
        refused(request, error)
        return redirect(back, project.pk)
    if lease and lease.annotation_id:
        return redirect(editor_url(lease.image_id, lease.annotation_id, "review"))
    if lease:
        return redirect("pages:edit", lease.image_id)
    messages.info(request, NOTHING_TO_REVIEW if review else NOTHING_TO_LABEL)
    return redirect(back, project.pk)


def editor_url(image_id: int, annotation_id: int, mode: str) -> str:
    query = urlencode({"annotation": annotation_id, "mode": mode})
    return f"{reverse('pages:edit', args=[image_id])}?{query}"


@action("pages:project")
def delete_images(request: HttpRequest, project_id: int) -> None:
    found = project_selectors.get_project(person(request), project_id)
    require(person(request), found, Role.MANAGER)
    ids = selected_images(request)
    chosen = list(Image.objects.visible_to(request.user).filter(project=found, pk__in=ids))
    if not chosen:
        raise NotFound("image")
    for image in chosen:
        ingest.delete_image(person(request), image)
    messages.success(
        request, f"{len(chosen)} image{'s were' if len(chosen) > 1 else ' was'} deleted."
    )


def selected_images(request: HttpRequest) -> list[int]:
    """The ids in the field `images`: each on its own, or joined by commas."""
    joined = ",".join(request.POST.getlist("images"))
    return [int(part) for part in joined.split(",") if part.isdecimal() and len(part) < 19]
