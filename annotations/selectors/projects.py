"""Reading projects, their counts and members."""

from collections.abc import Iterable
from typing import Any

from django.db.models import F, Sum

from annotations.access import MAX_ID, require
from annotations.errors import NotFound
from annotations.models import Image, ImageTally, Membership, Project, User
from annotations.models.projects import MembershipQuerySet, ProjectQuerySet, Role
from annotations.prepared import Prepared


def list_projects(user, *, archived: bool = False) -> ProjectQuerySet:
    """The projects of which `user` is a member, each with the member's `role`."""
    return _with_role(user).filter(archived_at__isnull=not archived)


def _with_role(user) -> ProjectQuerySet:
    return Project.objects.visible_to(user).annotate(role=F("memberships__role"))


_PROJECT = Prepared(lambda user, pk: _with_role(User(pk=user)).filter(pk=pk).order_by())


def get_project(user, pk: int) -> Any:
    """A project that `user` may see, with the `role` of `user`; or NotFound."""
    found = _PROJECT.instance(user.pk or 0, pk) if pk <= MAX_ID else None
    if found is None:
        raise NotFound("project")
    found.asked_by = user.pk
    return found


_COUNTS = Prepared(
    lambda projects: (
        ImageTally.objects.filter(project__in=[projects])
        .order_by()
        .values("project", "status")
        .annotate(total=Sum("number"))
        .values_list("project", "status", "total")
    )
)


def image_counts(projects: Iterable[int]) -> dict[int, dict[str, int]]:
    """Project id to the number of images in each status, in one query that counts no image."""
    projects = list(projects)
    counts = {pk: dict.fromkeys(Image.Status.values, 0) for pk in projects}
    for project, status, total in _COUNTS(projects) if projects else ():
        counts[project][status] = total
    return counts


def list_members(user, project: Project) -> MembershipQuerySet:
    """The members of a project, which every member may see."""
    require(user, project, Role.ANNOTATOR)
    return Membership.objects.filter(project=project).select_related("user")
