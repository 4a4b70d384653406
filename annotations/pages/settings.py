"""A project's name, guidelines and categories, and its end."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotations.access import find, require
from annotations.errors import Conflict, ServiceError
from annotations.models import Category
from annotations.models.projects import Role
from annotations.pages.base import action, page, person, project_context, refuse_in
from annotations.pages.forms import CategoryForm, GeneralForm
from annotations.selectors import categories as category_selectors
from annotations.selectors import projects as project_selectors
from annotations.services import projects as services


@require_http_methods(["GET", "HEAD", "POST"])
@page
def settings(request: HttpRequest, project_id: int) -> HttpResponse:
    least = Role.MANAGER if request.method == "POST" else Role.ANNOTATOR
    context = project_context(request, project_id, "pages:settings", least)
    project, user = context["project"], person(request)
    form = GeneralForm(
        request.POST or None,
        initial={"name": project.name, "guidelines": project.guidelines},
        may_rename=context["is_owner"],
    )
    if request.method == "POST" and form.is_valid():
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            services.update_project(user, project, changes)
        except ServiceError as error:
            refuse_in(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("pages:settings", project_id)
    rows = list(category_selectors.list_categories(user, project))
    context["form"] = form
    context["categories"] = [row for row in rows if row.archived_at is None]
    context["archived"] = [row for row in rows if row.archived_at is not None]
    used = [row.color for row in context["categories"]]
    context["next_color"] = min(services.PALETTE, key=used.count)
    status = 400 if form.errors else 200
    return render(request, "annotations/settings.html", context, status=status)


def _category(request: HttpRequest, project_id: int, category_id: int) -> Category:
    rows = Category.objects.select_related("project")
    return find(rows, person(request), pk=category_id, project=project_id)


def _cleaned(request: HttpRequest) -> dict[str, Any]:
    """The category in the request, or ServiceError with what is wrong about it."""
    form = CategoryForm(request.POST)
    if not form.is_valid():
        field, errors = next(iter(form.errors.items()))
        raise ServiceError(400, "invalid", f"{field.capitalize()}: {errors[0]}", field)
    return form.cleaned_data


@action("pages:settings")
def add_category(request: HttpRequest, project_id: int) -> None:
    project = project_selectors.get_project(person(request), project_id)
    require(person(request), project, Role.MANAGER)
    values = _cleaned(request)
    values["hotkey"] = values["hotkey"] or None
    services.create_category(person(request), project, **values)


@action("pages:settings")
def change_category(request: HttpRequest, project_id: int, category_id: int) -> None:
    category = _category(request, project_id, category_id)
    require(person(request), project_id, Role.MANAGER)
    services.update_category(person(request), category, _cleaned(request))


@action("pages:settings")
def move_category(request: HttpRequest, project_id: int, category_id: int) -> None:
    """One place up or down among the categories in use."""
    category = _category(request, project_id, category_id)
    user = person(request)
    require(user, project_id, Role.MANAGER)
    with transaction.atomic():
        rows = list(category_selectors.list_categories(user, category.project, archived=False))
        here = next((n for n, row in enumerate(rows) if row.pk == category.pk), None)
        if here is None:
            raise Conflict("archived", f"{category.name} is archived. Restore it first.")
        there = here + (-1 if request.POST.get("direction") == "up" else 1)
        if 0 <= there < len(rows):
            rows[here], rows[there] = rows[there], rows[here]
        for order, row in enumerate(rows):
            if row.order != order:
                services.update_category(user, row, {"order": order})


@action("pages:settings")
def archive_category(request: HttpRequest, project_id: int, category_id: int) -> None:
    services.archive_category(person(request), _category(request, project_id, category_id))


@action("pages:settings")
def restore_category(request: HttpRequest, project_id: int, category_id: int) -> None:
    category = _category(request, project_id, category_id)
    services.update_category(person(request), category, {"archived": False})


@action("pages:settings")
def archive_project(request: HttpRequest, project_id: int) -> None:
    project = project_selectors.get_project(person(request), project_id)
    services.update_project(person(request), project, {"archived": True})
    messages.success(request, f"“{project.name}” is archived.")


@action("pages:settings")
def restore_project(request: HttpRequest, project_id: int) -> None:
    project = project_selectors.get_project(person(request), project_id)
    services.update_project(person(request), project, {"archived": False})
    messages.success(request, f"“{project.name}” is back among your projects.")


@action("pages:settings")
def delete_project(request: HttpRequest, project_id: int) -> HttpResponse:
    """Only when the project's name was typed to confirm it."""
    project = project_selectors.get_project(person(request), project_id)
    require(person(request), project, Role.OWNER)
    if request.POST.get("name", "").strip() != project.name:
        raise Conflict("not_confirmed", "The name does not match, so nothing was deleted.")
    services.delete_project(person(request), project)
    messages.success(request, f"“{project.name}” was deleted.")
    return redirect("pages:projects")
