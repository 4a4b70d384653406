"""Members of projects, and the tokens with which scripts log in."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from knox.models import AuthToken

from annotations.access import at_least, require, require_staff
from annotations.errors import Conflict, Forbidden, NotFound, ServiceError
from annotations.models import Membership, Project, Scope, TokenGrant, User
from annotations.models.projects import Role
from annotations.services import audit, teams, work

MAX_TOKENS = 50


def add_member(user, project: Project, *, username: str, role: str) -> Membership:
    """Makes the person of that name a member. Managers add annotators and reviewers, owners all."""
    require_for(user, project, role)
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise ServiceError(
            400,
            "unknown_person",
            f"There is nobody named {username}.",
            "username",
            "The name is the one that the person logs in with.",
        )
    with transaction.atomic():
        membership = give_role(project, person, role)
        if membership is None:
            raise Conflict(
                "already_member", f"{username} already is a member.", "username", "Change the role."
            )
        audit.note(user, audit.Kind.MEMBER, f"Added {username} as {role}", project=project)
    return membership


def give_role(project: Project, person: User, role: str) -> Membership | None:
    """A role of their own for somebody who has none, None for one who has; in a transaction."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    made = {"role": role}
    membership, new = Membership.objects.get_or_create(project=project, user=person, defaults=made)
    if new:
        return membership
    return None if membership.own else _with_own_role(membership, role)


def _with_own_role(membership: Membership, role: str) -> Membership:
    """Of the own role and those of teams, the best counts."""
    membership.own_role = role
    membership.save(update_fields=["own_role"])
    teams.settle(membership.project_id, [membership.user_id])
    membership.refresh_from_db(fields=["role", "own_role"])
    return membership


def set_role(user, membership: Membership, role: str) -> Membership:
    """Gives a member another role. Managers only between annotator and reviewer."""
    with transaction.atomic():
        membership = _locked(membership)
        require_for(user, membership.project, membership.role, role)
        if role != Role.OWNER:
            _keep_an_owner(membership)
        name = membership.user.username
        what = f"Made {name} {role}, was {membership.own or 'there by a team'}"
        audit.note(user, audit.Kind.ROLE, what, project=membership.project)
        return _with_own_role(membership, role)


def remove_member(user, membership: Membership) -> None:
    """Ends a membership; everyone may end the own one. What the person labeled stays.

    Whoever is in a team of the project stays by that.
    """
    with transaction.atomic():
        membership = _locked(membership)
        if membership.user_id != user.pk:
            require_for(user, membership.project, membership.role)
        _keep_an_owner(membership)
        name = membership.user.username
        if membership.own is None:
            raise Conflict(
                "by_team",
                f"{name} is here by a team.",
                hint="Take them out of the team, or the team out of the project.",
            )
        audit.note(user, audit.Kind.MEMBER, f"Removed {name}", project=membership.project)
        membership.own_role = ""
        membership.save(update_fields=["own_role"])
        teams.settle(membership.project_id, [membership.user_id])


def set_preferences(user, preferences: dict[str, Any]) -> dict[str, Any]:
    """Keeps what `user` wants of the editor, in place of what was kept before."""
    user.preferences = preferences
    user.save(update_fields=["preferences"])
    return preferences


def create_token(
    user, *, name: str = "", scope: str = Scope.ADMIN, days: int | None = None
) -> tuple[AuthToken, str]:
    """A new token of `user` and its secret, which is stored nowhere. `days` None: without end."""
    if AuthToken.objects.filter(user=user).count() >= MAX_TOKENS:
        raise Conflict(
            "too_many", f"You have {MAX_TOKENS} tokens.", hint="Delete one that is not in use."
        )
    with transaction.atomic():
        token, secret = AuthToken.objects.create(user, expiry=days and timedelta(days=days))
        TokenGrant.objects.create(token=token, name=name, scope=scope)
        audit.note(user, audit.Kind.TOKEN, f"Made the token {token.token_key}… ({scope})")
    return token, secret


def check_scope(token: AuthToken, writes: bool, administers: bool) -> None:
    """Forbidden where the token's scope is too small for reading, writing or administering."""
    grant: TokenGrant | None = getattr(token, "grant", None)
    needed = Scope.READ if not writes else Scope.ADMIN if administers else Scope.WRITE
    order = list(Scope)
    if grant and order.index(Scope(grant.scope)) < order.index(needed):
        raise Forbidden(
            f"This token may {Scope(grant.scope).label.lower()}; this needs {needed.value}.",
            hint="Make a token of that scope.",
        )


def revoke_token(user, key: str) -> None:
    """Deletes the token of `user` whose secret starts with `key`; it stops working at once."""
    deleted, _ = AuthToken.objects.filter(user=user, token_key=key).delete()
    if not deleted:
        raise NotFound("token")
    audit.note(user, audit.Kind.TOKEN, f"Revoked the token {key}…")


def deactivate(person: User, by: User | None = None) -> None:
    """Ends all sessions and tokens of `person` at once, and no new ones begin.

    What the person has open goes back to the queue; what the person labeled stays.
    """
    with transaction.atomic():
        person.is_active = False
        person.save(update_fields=["is_active"])
        AuthToken.objects.filter(user=person).delete()
        for session in Session.objects.iterator():
            if session.get_decoded().get(SESSION_KEY) == str(person.pk):
                session.delete()
        work.hand_back_all(person.pk)
        audit.note(by, audit.Kind.PERSON, f"Deactivated {person.username}")


def reactivate(person: User, by: User | None = None) -> None:
    """The person may log in again, with new sessions and tokens."""
    with transaction.atomic():
        person.is_active = True
        person.save(update_fields=["is_active"])
        audit.note(by, audit.Kind.PERSON, f"Reactivated {person.username}")


def switch_off(user, person: User) -> None:
    """Deactivates a person. Staff only; nobody the own account, and superusers only superusers."""
    require_staff(user)
    if person.pk == user.pk:
        raise Conflict("yourself", "You cannot switch off your own account.")
    if person.is_superuser and not user.is_superuser:
        raise Forbidden("Only a superuser may switch off a superuser.")
    deactivate(person, user)


def switch_on(user, person: User) -> None:
    """Lets a person in again. Staff only."""
    require_staff(user)
    reactivate(person, user)


def require_for(user, project: Project, *roles: str) -> None:
    """Whether `user` may add, change or remove members of these roles."""
    mine = require(user, project, Role.MANAGER)
    if mine != Role.OWNER and any(at_least(role, Role.MANAGER) for role in roles):
        raise Forbidden(
            "Only an owner may add, change or remove managers and owners.",
            hint="Ask an owner of the project.",
        )


def _locked(membership: Membership) -> Membership:
    """The membership as it is now, with its project locked until the transaction ends."""
    Project.objects.select_for_update(no_key=True).filter(pk=membership.project_id).first()
    now = Membership.objects.select_related("project", "user").filter(pk=membership.pk).first()
    if now is None:
        raise NotFound("membership")
    return now


def _keep_an_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(project=membership.project, role=Role.OWNER)
    if membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists():
        raise Conflict(
            "last_owner",
            "A project needs an owner, and this is the last one.",
            hint="Make somebody else an owner first.",
        )
