"""Reading the audit log."""

from django.db.models import Q, QuerySet

from annotations.access import require
from annotations.models import AuditEntry, Membership, Project
from annotations.models.projects import Role


def list_entries(user, project: Project, kind: str = "") -> QuerySet[AuditEntry]:
    """What happened in the project, and logins and tokens of its members. Owners only."""
    require(user, project, Role.OWNER)
    members = Membership.objects.filter(project=project).values("user")
    rows = AuditEntry.objects.filter(
        Q(project_id=project.pk) | Q(project_id=None, actor_id__in=members)
    )
    return rows.filter(kind=kind) if kind else rows
