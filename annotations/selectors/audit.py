"""Reading the audit log."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotations.access import require
from annotations.models import AuditEntry, Membership, Project
from annotations.models.projects import Role

OF_MEMBERS = (AuditEntry.Kind.LOGIN, AuditEntry.Kind.TOKEN)


def list_entries(user, project: Project, kind: str = "") -> QuerySet[AuditEntry]:
    """What happened in the project, and logins and tokens of its members since they joined.

    Owners only. What else somebody does in the installation is none of their business: whoever
    makes a project may add anybody to it.
    """
    require(user, project, Role.OWNER)
    here = Membership.objects.filter(
        project=project, user=OuterRef("actor_id"), created_at__lte=OuterRef("at")
    )
    rows = AuditEntry.objects.filter(
        Q(project_id=project.pk) | Q(Exists(here), project_id=None, kind__in=OF_MEMBERS)
    )
    return rows.filter(kind=kind) if kind else rows
