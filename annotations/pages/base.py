"""What the views of pages share: access, tabs, and plain words for refusals."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from annotations import access
from annotations.errors import ServiceError
from annotations.models import User
from annotations.models.projects import Role
from annotations.selectors import projects as project_selectors
from annotations.selectors import reviews as review_selectors

Row = TypeVar("Row", bound=Model)
View = Callable[..., HttpResponse | None]

# (name of the route, title, least role that sees the tab)
TABS = [
    ("pages:project", "Images", Role.ANNOTATOR),
    ("pages:upload", "Upload", Role.MANAGER),
    ("models:prelabel", "Pre-label", Role.MANAGER),
    ("models:learning", "Models learn", Role.MANAGER),
    ("pages:work", "Work", Role.ANNOTATOR),
    ("pages:review", "Review", Role.REVIEWER),
    ("pages:quality", "Quality", Role.ANNOTATOR),
    ("pages:releases", "Releases", Role.REVIEWER),
    ("pages:export", "Export", Role.MANAGER),
    ("pages:import", "Import", Role.MANAGER),
    ("pages:jobs", "Jobs", Role.ANNOTATOR),
    ("pages:members", "Members", Role.ANNOTATOR),
    ("pages:audit", "Audit", Role.OWNER),
    ("pages:settings", "Settings", Role.ANNOTATOR),
]


def person(request: HttpRequest) -> User:
    """Who is logged in; views behind `page` and `action` always have one."""
    assert isinstance(request.user, User)
    return request.user


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page that a logged-in person reads, or a form that answers to the same address."""

    @wraps(view)
    @login_required
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ServiceError as error:
            raise _as_http(error) from error

    return inner


def read(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page that only shows: GET and HEAD."""
    return require_safe(page(view))


def action(back: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """A POST that does one thing and leads back to the route `back` of the same project.

    A refusal becomes a message there. A view that leads elsewhere returns its own response.
    """

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @wraps(view)
        @require_POST
        @login_required
        def inner(request: HttpRequest, project_id: int, **kwargs: Any) -> HttpResponse:
            response = None
            try:
                response = view(request, project_id, **kwargs)
            except ServiceError as error:
                if error.status in (403, 404):
                    raise _as_http(error) from error
                refused(request, error)
            return response or redirect(reverse(back, args=[project_id]))

        return inner

    return decorate


def _as_http(error: ServiceError) -> Exception:
    if error.status == 404:
        return Http404(error.detail)
    if error.status == 403:
        return PermissionDenied(f"{error.detail} {error.hint}".strip())
    return error


def refused(request: HttpRequest, error: ServiceError) -> None:
    """Say in a toast what was refused, and what to do about it."""
    messages.error(request, f"{error.detail} {error.hint}".strip())


def refuse_in(form: Form, error: ServiceError) -> None:
    """Put a service's refusal beside the field it is about, or above the form."""
    field = error.field if error.field in form.fields else None
    form.add_error(field, f"{error.detail} {error.hint}".strip())


def project_context(
    request: HttpRequest,
    project_id: int,
    tab: str,
    least: Role = Role.ANNOTATOR,
    project: Any = None,
) -> dict[str, Any]:
    """What every page of a project shows: the project, one's role, the tabs.

    `project` is what `get_project` gave for this request, where that was asked already.

    Raises NotFound for an outsider and Forbidden for too low a role.
    """
    user = person(request)
    project = project or project_selectors.get_project(user, project_id)
    role = Role(project.role)
    if not access.at_least(role, least):
        access.require(user, project, least)  # says what is needed
    counts = project_selectors.image_counts([project.pk])[project.pk]
    can_review = access.at_least(role, Role.REVIEWER)
    waiting = review_selectors.waiting(user, project) if can_review else 0
    return {
        "project": project,
        "role": role,
        "counts": counts,
        "total": sum(counts.values()),
        "waiting": waiting,
        "and_more": "+" if waiting == review_selectors.MANY else "",
        "can_review": can_review,
        "can_manage": access.at_least(role, Role.MANAGER),
        "is_owner": role == Role.OWNER,
        "current_tab": tab,
        "tabs": [
            {
                "name": name,
                "title": title,
                "url": reverse(name, args=[project.pk]),
                "count": waiting if name == "pages:review" else 0,
            }
            for name, title, needed in TABS
            if access.at_least(role, needed)
        ],
    }


def is_partial(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of the page."""
    return request.headers.get("HX-Request") == "true"


def cursor(after: str | None) -> int:
    """The id that a cursor stands for; 0 where it is no id."""
    return int(after) if after and after.isdecimal() and len(after) < 19 else 0


def keyset(
    rows: QuerySet[Row], after: str | None, limit: int, *, descending: bool = False
) -> tuple[list[Row], int | None]:
    """At most `limit` of `rows` past the id `after`, and the id to ask for the next ones with.

    The cost does not grow with how far one has come.
    """
    order = "-pk" if descending else "pk"
    if last := cursor(after):
        rows = rows.filter(**{"pk__lt" if descending else "pk__gt": last})
    found = list(rows.order_by(order)[: limit + 1])
    more = len(found) > limit
    return found[:limit], found[limit - 1].pk if more else None
