"""What happens in a project, and who is told of it. Called in the transaction of the change."""

import re
from typing import Any

from annotations.models import (
    Annotation,
    Comment,
    Event,
    Invitation,
    Job,
    Membership,
    Release,
    User,
)
from annotations.models.projects import Role
from annotations.services import webhooks
from annotations.services.notifications import Kind, settle, tell, tell_reviewers

MENTION = re.compile(r"(?<![\w@])@([\w.@+-]+)")


def submitted(annotation: Annotation) -> None:
    """Reviewers are told, unless it was not drawn for review."""
    settle(annotation.annotator, Kind.SENT_BACK, annotation=annotation)
    if annotation.sampled:
        tell_reviewers(annotation)
    _emit(Event.SUBMITTED, annotation, annotation.annotator)


def approved(user, annotation: Annotation) -> None:
    settle(user, Kind.SUBMITTED, project=annotation.project)
    _emit(Event.APPROVED, annotation, user)


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
    _emit(Event.SENT_BACK, annotation, user, comment=reason)


def _emit(event: Event, annotation: Annotation, by: User, **more: str) -> None:
    image = annotation.image
    data = {
        "annotation": annotation.pk,
        "revision": annotation.revision,
        "image": {"id": image.pk, "name": image.name},
        "annotator": annotation.annotator.username,
        "by": by.username,
        **more,
    }
    webhooks.emit(annotation.project, event, data)


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
    data: dict[str, Any] = {
        "job": job.pk,
        "kind": job.kind,
        "state": job.state,
        "message": job.message,
        "by": job.created_by.username,
    }
    webhooks.emit(job.project, Event.JOB, data)
    if done and job.kind == Job.Kind.EXPORT:
        names = ("name", "bytes", "sha256", "release")
        file = {name: job.result[name] for name in names if name in job.result}
        download = f"/api/jobs/{job.pk}/download"
        webhooks.emit(job.project, Event.EXPORT, {**data, **file, "download": download})


def released(user, release: Release) -> None:
    """A release got its name."""
    data = {
        "release": release.pk,
        "name": release.name,
        "sha256": release.sha256,
        "images": release.images,
        "regions": release.regions,
        "by": user.username,
    }
    webhooks.emit(release.project, Event.RELEASE, data)


def joined(invitation: Invitation, user) -> None:
    """Who invited them is told."""
    project = invitation.project
    title = f"{user.username} joined {project.name} as {invitation.role}"
    tell([invitation.created_by], Kind.JOINED, title, project=project)
