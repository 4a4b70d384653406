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
    return found


def image_counts(projects: Iterable[int]) -> dict[int, dict[str, int]]:
    """Project id to the number of images in each status, in one query that counts no image."""
    projects = list(projects)
    counts = {pk: dict.fromkeys(Image.Status.values, 0) for pk in projects}
    rows = ImageTally.objects.filter(project__in=projects).order_by()
    for row in rows.values("project", "status").annotate(total=Sum("number")):
        counts[row["project"]][row["status"]] = row["total"]
    return counts


def list_members(user, project: Project) -> MembershipQuerySet:
    """The members of a project, which every member may see."""
    require(user, project, Role.ANNOTATOR)
    return Membership.objects.filter(project=project).select_related("user")
