"""Links with which people join a project: single use, with a role and an end."""

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotations.errors import Conflict, NotFound, ServiceError
from annotations.models import Invitation, Project, User
from annotations.services import audit, events
from annotations.services.people import give_role, require_for

MAX_DAYS = 30
MAX_OPEN = 200


def invite(user, project: Project, *, role: str, days: int) -> tuple[Invitation, str]:
    """A new invitation and its secret, which is stored nowhere. Managers; owners for all roles."""
    require_for(user, project, role)
    now = timezone.now()
    if (
        Invitation.objects.filter(project=project, used_at=None, expires_at__gt=now).count()
        >= MAX_OPEN
    ):
        raise Conflict("too_many", f"{MAX_OPEN} invitations are open.", hint="Withdraw some.")
    secret = secrets.token_urlsafe(24)
    with transaction.atomic():
        invitation = Invitation.objects.create(
            project=project,
            role=role,
            secret_hash=_hash(secret),
            created_by=user,
            expires_at=now + timedelta(days=days),
        )
        audit.note(user, audit.Kind.INVITATION, f"Invited a person as {role}", project=project)
    return invitation, secret


def withdraw(user, invitation: Invitation) -> None:
    """The link stops working. Managers; owners for all roles."""
    require_for(user, invitation.project, invitation.role)
    with transaction.atomic():
        invitation.delete()
        audit.note(
            user, audit.Kind.INVITATION, "Withdrew an invitation", project=invitation.project
        )


def find(secret: str) -> Invitation:
    """The invitation that is still good; or NotFound, whatever the reason is."""
    rows = Invitation.objects.select_related("project", "created_by")
    open_ones = rows.filter(used_at=None, expires_at__gt=timezone.now(), created_by__is_active=True)
    found = open_ones.filter(secret_hash=_hash(secret)).first()
    if found is None or found.project.archived:
        raise NotFound("invitation")
    return found


def accept(user, secret: str) -> Project:
    """`user` becomes a member. Of two who use the link at once, one does."""
    with transaction.atomic():
        invitation = find(secret)
        if not give_role(invitation.project, user, invitation.role):
            return invitation.project
        used = Invitation.objects.filter(pk=invitation.pk, used_at=None)
        if not used.update(used_at=timezone.now(), used_by=user):
            raise NotFound("invitation")
        what = f"{user.username} joined as {invitation.role} by an invitation"
        audit.note(user, audit.Kind.MEMBER, what, project=invitation.project)
        events.joined(invitation, user)
    return invitation.project


def sign_up(secret: str, *, username: str, password: str) -> User:
    """A new account for the one who was invited, made a member at once."""
    user = User(username=username)
    try:
        user.clean_fields(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        fields = getattr(error, "error_dict", {})
        field = "username" if "username" in fields else "password"
        raise ServiceError(400, "invalid", " ".join(error.messages), field) from None
    user.set_password(password)
    try:
        with transaction.atomic():
            find(secret)
            user.save()
            accept(user, secret)
    except IntegrityError:
        raise Conflict("name_taken", f"The name {username} is taken.", "username") from None
    return user


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
