"""Choosing a model and images, and starting the job."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from annotations.errors import NotFound, ServiceError
from annotations.models import Image, Job
from annotations.models.projects import Role
from annotations.pages.base import is_partial, page, person, project_context, read, refuse_in
from annotations.pages.projects import selected_images
from annotations.selectors.categories import list_categories
from annotations.selectors.jobs import ACTIVE, get_job
from inference.models import ModelVersion
from inference.pages.models import shown
from inference.registry import ENGINES
from inference.selectors import (
    class_names,
    follows_image,
    get_model,
    installed_models,
    suggested_map,
)
from inference.services import preview as previews
from inference.services.prelabel import MAX_PROPOSALS, start_prelabel

SELECTED, ALL = "selected", "all"


class PrelabelForm(forms.Form):
    model = forms.IntegerField(min_value=1)
    scope = forms.ChoiceField(choices=[(SELECTED, "Selected"), (ALL, "All"), *Image.Status.choices])
    min_score = forms.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        label="Least score",
        help_text="Proposals that the model is less sure of are left out.",
        widget=forms.NumberInput(attrs={"step": 0.01}),
    )
    max_proposals = forms.IntegerField(
        min_value=1, max_value=1000, initial=MAX_PROPOSALS, label="Most proposals per image"
    )


@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
@page
def prelabel(request: HttpRequest, project_id: int) -> HttpResponse:
    """The form; htmx asks for what depends on the model. A POST without a model brings images."""
    context = project_context(request, project_id, "models:prelabel", Role.MANAGER)
    project, user = context["project"], person(request)
    found = installed_models("detector", project)
    if not found:
        return render(request, "inference/no_models.html", context)
    images = selected_images(request)
    form = PrelabelForm(request.POST if "model" in request.POST else None)
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            model = get_model(data["model"], "detector", project)
            job = start_prelabel(
                user,
                project,
                model,
                images=images if data["scope"] == SELECTED else None,
                status="" if data["scope"] in (SELECTED, ALL) else data["scope"],
                category_map=_mapped(request, model),
                min_score=data["min_score"],
                min_scores=_scores(request, model),
                max_proposals=data["max_proposals"],
                borders="borders" in request.POST if ENGINES[model.engine].borders else None,
                preview="preview" in request.POST,
            )
        except ServiceError as error:
            refuse_in(form, error)
        else:
            if job.params["preview"] and is_partial(request):
                return _shown_preview(request, job)
            return redirect("pages:job", job.pk)
    asked = request.POST.get("model") or request.GET.get("model", "")
    chosen = next((model for model in found if str(model.pk) == asked), found[0])
    context |= {
        "form": form,
        "models": [shown(model) for model in found],
        "chosen": chosen,
        "images": ",".join(map(str, images)),
        "scopes": _scopes(context, len(images)),
        "borders": _follows(request, chosen),
        "scope": form["scope"].value() or _first_scope(context, images),
        **_classes(request, chosen, list(list_categories(user, project, archived=False))),
    }
    if "preview" in request.POST and is_partial(request):
        return render(request, "inference/_preview.html", context)
    template = "_model_options" if is_partial(request) else "prelabel"
    status = 400 if form.errors else 200
    return render(request, f"inference/{template}.html", context, status=status)


@read
def preview(request: HttpRequest, job_id: int) -> HttpResponse:
    """The part of the page that shows a preview; it asks for itself until the job has ended."""
    job = get_job(person(request), job_id)
    if not job.params.get("preview"):
        raise NotFound("preview")
    return _shown_preview(request, job)


def _shown_preview(request: HttpRequest, job: Job) -> HttpResponse:
    context = {"job": job, "active": job.state in ACTIVE, "pictures": previews.shown(job)}
    return render(request, "inference/_preview.html", context)


def _classes(request: HttpRequest, model: ModelVersion, categories: list) -> dict[str, Any]:
    """The model's classes, each with the category that it is mapped to; mapped ones first."""
    suggested = suggested_map(model, categories)
    rows = []
    for index, name in enumerate(class_names(model)):
        field = f"class-{index}"
        given = request.POST.get(field)
        mapped = int(given) if given and given.isdecimal() else suggested.get(name)
        rows.append(
            {
                "field": field,
                "name": name,
                "category": None if given == "" else mapped,
                "score_field": f"score-{index}",
                "score": request.POST.get(f"score-{index}", ""),
            }
        )
    return {
        "categories": categories,
        "classes": sorted(rows, key=lambda row: row["category"] is None),
        "mapped": sum(row["category"] is not None for row in rows),
        "default_score": ENGINES[model.engine].min_score,
    }


def _follows(request: HttpRequest, model: ModelVersion) -> dict[str, Any] | None:
    """Whether the box for borders is checked, and what was measured; None: there is no box."""
    if not ENGINES[model.engine].borders:
        return None
    chosen = "borders" in request.POST if "model" in request.POST else follows_image(model)
    return {"chosen": chosen, "measured": model.origin.get("borders")}


def _mapped(request: HttpRequest, model: ModelVersion) -> dict[str, int]:
    """Class → category id, of the classes that a category was chosen for."""
    names = enumerate(class_names(model))
    given = ((name, request.POST.get(f"class-{index}", "")) for index, name in names)
    return {name: int(value) for name, value in given if value.isdecimal() and len(value) < 19}


def _scores(request: HttpRequest, model: ModelVersion) -> dict[str, float]:
    """Class → least score, of the classes that have one of their own. ServiceError: no number."""
    scores = {}
    for index, name in enumerate(class_names(model)):
        given = request.POST.get(f"score-{index}", "").strip()
        if given:
            try:
                scores[name] = float(given)
            except ValueError:
                scores[name] = -1.0
            if not 0 <= scores[name] <= 1:
                raise ServiceError(
                    400, "invalid", f"The least score of “{name}” is not from 0 to 1.",
                    "category_map",
                )  # fmt: skip
    return scores


def _scopes(context: dict[str, Any], selected: int) -> list[tuple[str, str, int]]:
    """(value, words, number of images) of what may be labeled; nothing that is empty."""
    counts = [(status, label, context["counts"][status]) for status, label in Image.Status.choices]
    everything = [(SELECTED, "Selected", selected), *counts, (ALL, "All", context["total"])]
    return [scope for scope in everything if scope[2]]


def _first_scope(context: dict[str, Any], images: list[int]) -> str:
    if images:
        return SELECTED
    return Image.Status.NEW if context["counts"][Image.Status.NEW] else ALL
