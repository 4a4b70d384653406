"""What the regions of a category carry: a row per attribute."""

import re
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotations import attributes as typed
from annotations.access import find
from annotations.errors import ServiceError
from annotations.models import Category
from annotations.models.projects import Role
from annotations.pages.base import page, person, project_context
from annotations.services import projects as services

FIELDS = ("name", "type", "choices", "default")
BLANK = {"name": "", "type": "text", "choices": "", "default": "", "required": False}
TYPES = {"text": "Text", "choice": "Choice", "number": "Number", "checkbox": "Checkbox"}


@require_http_methods(["GET", "HEAD", "POST"])
@page
def attributes(request: HttpRequest, category_id: int) -> HttpResponse:
    """The form; a row is taken out or added without saving the others."""
    rows = Category.objects.select_related("project")
    category = find(rows, person(request), pk=category_id)
    context = project_context(request, category.project_id, "pages:settings", Role.MANAGER)
    shown = [_row(one) for one in category.attributes]
    error: ServiceError | None = None
    if request.method == "POST":
        shown = typed_rows(request.POST)
        if not {"more", "remove"} & set(request.POST):
            try:
                given = [_attribute(row) for row in shown]
                services.update_category(person(request), category, {"attributes": given})
            except ServiceError as refusal:
                error = refusal
            else:
                messages.success(request, f"The attributes of {category.name} are saved.")
                return redirect("pages:settings", category.project_id)
    place = re.match(r"attributes\[(\d+)\]", error.field) if error else None
    context |= {
        "category": category,
        "rows": [*shown, BLANK],
        "types": TYPES,
        "error": error,
        "wrong": int(place[1]) if place else None,
    }
    status = 400 if error else 200
    return render(request, "annotations/attributes.html", context, status=status)


def typed_rows(form: QueryDict) -> list[dict[str, Any]]:
    """The rows of the form in which something was typed, but for the one to be removed."""
    columns = [form.getlist(name) for name in FIELDS]
    required = set(form.getlist("required"))
    rows = [
        {**dict(zip(FIELDS, values, strict=True)), "required": str(index) in required}
        for index, values in enumerate(zip(*columns, strict=False))
        if str(index) != form.get("remove")
    ]
    return [row for row in rows if row["name"].strip() or row["choices"].strip()]


def _row(attribute: typed.Attribute) -> dict[str, Any]:
    default = attribute["default"]
    words = {None: "", True: "yes", False: "no"}
    text = words[default] if default is None or isinstance(default, bool) else str(default)
    return {**attribute, "choices": "\n".join(attribute["choices"]), "default": text}


def _attribute(row: dict[str, Any]) -> dict[str, Any]:
    """As `annotations.attributes` takes it; a default that is of another type stays a text."""
    kind, text = row["type"], row["default"].strip()
    if kind == "checkbox":
        text = {"yes": "true", "no": "false"}.get(text.lower(), text)
    default = typed.from_text([{"name": "default", "type": kind}], {"default": text})["default"]
    choices = [line for line in row["choices"].splitlines() if line.strip()]
    return {
        "name": row["name"],
        "type": kind,
        "required": row["required"],
        "default": default if text else None,
        "choices": choices if kind == "choice" else [],
    }
