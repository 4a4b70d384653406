"""The audit log: logins, roles, exports, deletes, tokens. Only added to."""

from annotations.models import AuditEntry, Project
from annotations.prepared import Insert

Kind = AuditEntry.Kind
_add = Insert(AuditEntry)


def note(
    user, kind: Kind, what: str, *, project: Project | int | None = None, address: str = ""
) -> None:
    """Adds an entry, in the transaction of what it is about. `user` None: a command did it."""
    entry = AuditEntry(
        kind=kind,
        actor_id=user and user.pk,
        actor=user.username if user else "",
        project_id=project.pk if isinstance(project, Project) else project,
        what=what[:500],
        address=address,
    )
    _add(entry)
