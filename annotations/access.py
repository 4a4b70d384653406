"""Who may see and do what. To an outsider nothing exists; too low a role is refused."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from annotations.errors import Forbidden, NotFound
from annotations.models import Membership, Project
from annotations.models.projects import Role
from annotations.prepared import Prepared

_ROLE = Prepared(
    lambda project, user: (
        Membership.objects.filter(project_id=project, user_id=user).order_by().values_list("role")
    )
)
_RANK = {role: rank for rank, role in enumerate(Role)}
_Row = TypeVar("_Row", bound=Model)
MAX_ID = 2**63 - 1


def at_least(role: str | None, least: Role) -> bool:
    """Whether `role` may do what `least` may; None may do nothing."""
    return role is not None and _RANK[Role(role)] >= _RANK[least]


def role_in(user, project: Project | int) -> Role | None:
    """The role of `user` in `project` (or in the project of that id), None for an outsider."""
    if isinstance(project, Project):
        if project.asked_by and project.asked_by == user.pk:
            return Role(project.role)  # type: ignore[attr-defined]  # annotated
        project = project.pk
    role = _ROLE.first(project, user.pk or 0)
    return Role(role) if role else None


def may(user, project: Project | int, least: Role) -> bool:
    return at_least(role_in(user, project), least)


def require(user, project: Project | int, least: Role) -> Role:
    """The role of `user`, or NotFound for an outsider, or Forbidden below `least`."""
    role = role_in(user, project)
    if role is None:
        raise NotFound("project")
    if not at_least(role, least):
        raise Forbidden(
            f"Your role in this project is {role.label.lower()}; this needs {least.label.lower()}.",
            hint="Ask an owner of the project for another role.",
        )
    return role


def require_staff(user) -> None:
    """Forbidden for whoever is not of the installation's staff."""
    if not user.is_staff:
        raise Forbidden("Only staff of this installation may do this.")


def find(rows: QuerySet[_Row], user, **lookup: Any) -> _Row:
    """The one row of `rows` that `user` may see, or NotFound. `rows` has `visible_to`."""
    # Databases refuse to compare with a number beyond MAX_ID.
    beyond = any(isinstance(value, int) and value > MAX_ID for value in lookup.values())
    # Every manager that is looked through has it; Django's own type does not know.
    visible = rows.visible_to(user)  # type: ignore[attr-defined]
    row = None if beyond else visible.filter(**lookup).first()
    if row is None:
        raise NotFound(str(rows.model._meta.verbose_name))
    return row
