"""What happens in a project, and who is told of it. Called in the transaction of the change."""

import re

from annotations.models import Annotation, Comment, Invitation, Job, Membership, User
from annotations.models.projects import Role
from annotations.services.notifications import Kind, settle, tell, tell_reviewers

MENTION = re.compile(r"(?<![\w@])@([\w.@+-]+)")


def submitted(annotation: Annotation) -> None:
    """Reviewers are told, unless it was not drawn for review."""
    settle(annotation.annotator, Kind.SENT_BACK, annotation=annotation)
    if annotation.sampled:
        tell_reviewers(annotation)


def approved(user, annotation: Annotation) -> None:
    settle(user, Kind.SUBMITTED, project=annotation.project)


def sent_back(user, annotation: Annotation, reason: str) -> None:
    """The annotator is told why."""
    settle(user, Kind.SUBMITTED, project=annotation.project)
    title = f"{user.username} sent {annotation.image.name} back"
    if annotation.annotator_id != user.pk:
        tell(
            [annotation.annotator],
            Kind.SENT_BACK,
            title,
            reason,
            project=annotation.project,
            annotation=annotation,
        )


def commented(user, comment: Comment) -> None:
    """Whoever is mentioned, is answered or made the annotation is told, each once."""
    annotation = comment.annotation
    told = {user.pk}
    for kind, people, words in (
        (Kind.MENTION, _mentioned(comment), "mentioned you on"),
        (Kind.REPLY, _answered(comment), "answered on"),
        (Kind.COMMENT, [annotation.annotator], "commented on"),
    ):
        fresh = [person for person in people if person.pk not in told]
        told |= {person.pk for person in fresh}
        title = f"{user.username} {words} {annotation.image.name}"
        tell(fresh, kind, title, comment.text, project=annotation.project, annotation=annotation)


def _mentioned(comment: Comment) -> list[User]:
    """Members named as @name who see the annotation. A full stop may end the sentence."""
    found = set(MENTION.findall(comment.text))
    names = found | {name.rstrip(".") for name in found}
    if not names:
        return []
    rows = Membership.objects.filter(project=comment.annotation.project_id)
    rows = rows.filter(user__username__in=names).select_related("user").order_by("user_id")
    author = comment.annotation.annotator_id
    return [row.user for row in rows if row.role != Role.ANNOTATOR or row.user_id == author]


def _answered(comment: Comment) -> list[User]:
    """Those who wrote in the thread that the comment answers."""
    if comment.parent is None:
        return []
    others = comment.parent.replies.exclude(pk=comment.pk).select_related("author")
    authors = [comment.parent.author, *(one.author for one in others)]
    return list({person.pk: person for person in authors}.values())


def job_ended(job: Job) -> None:
    """Who started it is told, unless it was a try that they are looking at."""
    if job.params.get("preview"):
        return
    done = job.state == Job.State.DONE
    title = f"{job.get_kind_display()} {job.pk} {'is done' if done else 'failed'}"
    kind = Kind.JOB_DONE if done else Kind.JOB_FAILED
    tell([job.created_by], kind, title, job.message, project=job.project, job=job)


def joined(invitation: Invitation, user) -> None:
    """Who invited them is told."""
    project = invitation.project
    title = f"{user.username} joined {project.name} as {invitation.role}"
    tell([invitation.created_by], Kind.JOINED, title, project=project)
