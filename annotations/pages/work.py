"""How work is given out: rules, batches, who has what, what was skipped."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotations.access import find, require
from annotations.errors import ServiceError
from annotations.models import Batch, Lease, Project, ReviewRule
from annotations.models.projects import Role
from annotations.pages.base import action, page, person, project_context
from annotations.pages.projects import selected_images
from annotations.selectors import work as queue
from annotations.selectors.projects import get_project
from annotations.services import work

SHOWN = 100


class RulesForm(forms.Form):
    annotators = forms.IntegerField(
        min_value=1, max_value=work.MAX_ANNOTATORS, label="People per image"
    )
    lease_minutes = forms.IntegerField(
        min_value=1, max_value=10_080, label="Minutes until an image that was left is given on"
    )
    free_picking = forms.BooleanField(
        required=False, label="Annotators may label any image, not only what the queue gives"
    )
    lone_review = forms.BooleanField(
        required=False, label="Whoever is the only reviewer may judge the own work"
    )
    review_rule = forms.ChoiceField(choices=ReviewRule.choices, label="What is reviewed")
    review_share = forms.IntegerField(
        min_value=1,
        max_value=100,
        label="Percent to review",
        help_text="Of a share drawn by chance.",
    )


class BatchForm(forms.Form):
    name = forms.CharField(max_length=200)
    due_at = forms.DateTimeField(
        required=False,
        label="Due",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    annotators = forms.IntegerField(
        required=False, min_value=1, max_value=work.MAX_ANNOTATORS, label="People per image",
        widget=forms.NumberInput(attrs={"placeholder": "as above"}),
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@page
def overview(request: HttpRequest, project_id: int) -> HttpResponse:
    least = Role.MANAGER if request.method == "POST" else Role.ANNOTATOR
    context = project_context(request, project_id, "pages:work", least)
    project, user = context["project"], person(request)
    form = RulesForm(
        request.POST or None, initial={name: getattr(project, name) for name in work.RULES}
    )
    if request.method == "POST" and form.is_valid():
        work.set_rules(user, project, form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("pages:work", project_id)
    context |= {
        "form": form,
        "batch_form": BatchForm(),
        "batches": queue.list_batches(user, project),
        "leases": queue.list_leases(user, project, Lease.State.ACTIVE)[:SHOWN],
        "skipped": queue.list_leases(user, project, Lease.State.SKIPPED)[:SHOWN],
    }
    status = 400 if form.errors else 200
    return render(request, "annotations/work.html", context, status=status)


def _managed(request: HttpRequest, project_id: int) -> Project:
    project = get_project(person(request), project_id)
    require(person(request), project, Role.MANAGER)
    return project


def _cleaned(request: HttpRequest) -> dict[str, Any]:
    form = BatchForm(request.POST)
    if not form.is_valid():
        field, errors = next(iter(form.errors.items()))
        raise ServiceError(400, "invalid", f"{form.fields[field].label or field}: {errors[0]}")
    return form.cleaned_data


def _batch(request: HttpRequest, project_id: int, batch_id: int) -> Batch:
    return find(Batch.objects.all(), person(request), pk=batch_id, project=project_id)


def _lease(request: HttpRequest, project_id: int, lease_id: int) -> Lease:
    return find(Lease.objects.all(), person(request), pk=lease_id, project=project_id)


@action("pages:work")
def add_batch(request: HttpRequest, project_id: int) -> None:
    project = _managed(request, project_id)
    work.make_batch(person(request), project, **_cleaned(request))


@action("pages:work")
def change_batch(request: HttpRequest, project_id: int, batch_id: int) -> None:
    batch = _batch(request, project_id, batch_id)
    _managed(request, project_id)
    work.change_batch(person(request), batch, _cleaned(request))


@action("pages:work")
def move_batch(request: HttpRequest, project_id: int, batch_id: int) -> None:
    """One place up or down in the order."""
    batch = _batch(request, project_id, batch_id)
    work.move_batch(person(request), batch, up=request.POST.get("direction") == "up")


@action("pages:work")
def remove_batch(request: HttpRequest, project_id: int, batch_id: int) -> None:
    work.remove_batch(person(request), _batch(request, project_id, batch_id))


@action("pages:project")
def place(request: HttpRequest, project_id: int) -> None:
    """The selected images of the grid into a batch, or before and behind others."""
    project = _managed(request, project_id)
    ids, values = selected_images(request), dict[str, Any]()
    batch, priority = request.POST.get("batch", ""), request.POST.get("priority", "")
    if batch:
        one = find(Batch.objects.filter(project=project), person(request), name=batch)
        values["batch"] = one
    if priority.lstrip("-").isdecimal() and len(priority) < 9:
        values["priority"] = int(priority)
    if not values:
        raise ServiceError(400, "invalid", "Choose a batch or write a priority.", "batch")
    count = work.place(person(request), project, ids, **values)
    messages.success(request, f"{count} image{'' if count == 1 else 's'} placed in the queue.")


@action("pages:work")
def take_away(request: HttpRequest, project_id: int, lease_id: int) -> None:
    work.take_away(person(request), _lease(request, project_id, lease_id))


@action("pages:work")
def offer_again(request: HttpRequest, project_id: int, lease_id: int) -> None:
    work.offer_again(person(request), _lease(request, project_id, lease_id))
