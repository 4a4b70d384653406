from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from annotations.models.projects import Project, Role


class TeamQuerySet(models.QuerySet["Team"]):
    def visible_to(self, user) -> "TeamQuerySet":
        """One's own, those one is in, and those of the installation; staff see all."""
        if user.is_staff:
            return self.all()
        if user.pk is None:
            return self.none()
        inside = TeamMember.objects.filter(user_id=user.pk).values("team")
        return self.filter(Q(owner_id=user.pk) | Q(owner=None) | Q(pk__in=inside))


class Team(models.Model):
    """People under a name, who join projects and leave them together."""

    name = models.CharField(max_length=200)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="teams",
        help_text="Decides who is in it; empty: the installation's staff does.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint("owner", Lower("name"), name="team_name_once"),
            models.UniqueConstraint(
                Lower("name"), condition=Q(owner=None), name="team_name_once_here"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TeamMemberQuerySet(models.QuerySet["TeamMember"]):
    def visible_to(self, user) -> "TeamMemberQuerySet":
        return self.filter(team__in=Team.objects.visible_to(user))


class TeamMember(models.Model):
    team = models.ForeignKey(Team, models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamMemberQuerySet.as_manager()

    class Meta:
        ordering = ["user__username"]
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="once_in_a_team"),
        ]


class ProjectTeamQuerySet(models.QuerySet["ProjectTeam"]):
    def visible_to(self, user) -> "ProjectTeamQuerySet":
        return self.filter(project__in=Project.objects.visible_to(user))


class ProjectTeam(models.Model):
    """A team in a project: everybody in it has at least this role there.

    What comes of that stands in `Membership.role`, so that nothing else asks for teams.
    """

    team = models.ForeignKey(Team, models.CASCADE, related_name="projects")
    project = models.ForeignKey(Project, models.CASCADE, related_name="teams")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectTeamQuerySet.as_manager()

    class Meta:
        ordering = ["team__name"]
        constraints = [
            models.UniqueConstraint(fields=["team", "project"], name="team_once_in_a_project"),
        ]
