"""What waits for a reviewer, and what was said about an annotation."""

from functools import cache
from typing import Any

from django.db.models import Q, QuerySet

from annotations.access import require
from annotations.models import Annotation, Comment, Project, Review, ReviewRule
from annotations.models.annotations import AnnotationQuerySet
from annotations.models.projects import Role
from annotations.prepared import Prepared
from annotations.selectors.annotations import judges_own
from annotations.selectors.previews import with_region_count

MANY = 1000


def review_queue(user, project: Project) -> AnnotationQuerySet:
    """Submitted annotations of the sample that `user` may judge, in the order of the rule."""
    require(user, project, Role.REVIEWER)
    return queue_of(project.pk, not_by(user, project), project.review_rule)


def not_by(user, project: Project) -> int:
    """Whose work `user` may not judge; 0 is nobody."""
    return 0 if judges_own(user, project) else user.pk


def queue_of(project: int, but: int, rule: str) -> AnnotationQuerySet:
    """What waits in a project, in the order of the rule, but what the person `but` made."""
    rows = _submitted(project, True).exclude(annotator=but)
    riskiest = ["-risk"] if rule == ReviewRule.RISKIEST else []
    return rows.select_related("annotator", "image").order_by(*riskiest, "submitted_at", "id")


def queue_rows(user, project: Project, last: Annotation | None, most: int) -> list[Annotation]:
    """The first of the review queue, or of what comes after `last`, as its page shows them.

    Each has the number of its regions as `region_count`.
    """
    require(user, project, Role.REVIEWER)
    asked = (project.pk, not_by(user, project))
    if last is None:
        return _first_rows(project.review_rule, most).instances(*asked)
    rows = queue_after(queue_of(*asked, project.review_rule), project, last)
    return list(_shown(rows)[:most])


def _shown(rows: AnnotationQuerySet) -> AnnotationQuerySet:
    names = ("image", "annotator", "seconds_spent", "submitted_at")
    return with_region_count(rows).only(*names, "image__name", "annotator__username")


@cache
def _first_rows(rule: str, most: int) -> Prepared:
    return Prepared(lambda project, but: _shown(queue_of(project, but, rule))[:most])


def queue_after(rows: AnnotationQuerySet, project: Project, last: Annotation) -> AnnotationQuerySet:
    """What comes after `last` in the review queue `rows`. The cost does not grow with how far."""
    at = last.submitted_at
    later = Q(submitted_at__gt=at) | Q(submitted_at=at, pk__gt=last.pk)
    if project.review_rule == ReviewRule.RISKIEST:
        return rows.filter(Q(risk__lt=last.risk) | Q(risk=last.risk) & later, risk__lte=last.risk)
    # The second condition says where the walk of the index begins.
    return rows.filter(later, submitted_at__gte=at)


def _submitted(project: int, sampled: bool) -> AnnotationQuerySet:
    rows = Annotation.objects.filter(project=project, status=Annotation.Status.SUBMITTED)
    return rows.filter(sampled=sampled).order_by()


_UNSAMPLED = Prepared(lambda project: _submitted(project, False).values_list("pk")[:MANY])
_WAITING = Prepared(
    lambda project, but: _submitted(project, True).exclude(annotator=but).values_list("pk")[:MANY]
)


def unsampled(project: Project) -> int:
    """How many were submitted outside of the sample; MANY stands for so many and more."""
    return len(_UNSAMPLED(project.pk))


def waiting(user, project: Project) -> int:
    """How many annotations wait for `user`; MANY stands for so many and more."""
    require(user, project, Role.REVIEWER)
    return len(_WAITING(project.pk, not_by(user, project)))


def comments_of(annotation: Annotation) -> QuerySet[Comment]:
    return annotation.comments.select_related("author", "region")


def reviews_of(annotation: Annotation) -> QuerySet[Review]:
    """All verdicts, the newest first."""
    return annotation.reviews.select_related("reviewer")


def comment_values(comment: Comment) -> dict[str, Any]:
    return {
        "id": comment.pk,
        "text": comment.text,
        "x": comment.x,
        "y": comment.y,
        "region": str(comment.region.uuid) if comment.region else None,
        "author": comment.author.username,
        "at": comment.at,
        "reply_to": comment.parent_id,
        "resolved": comment.resolved_at is not None,
        "stale": comment.stale_at is not None,
    }


def review_values(review: Review) -> dict[str, Any]:
    return {
        "verdict": review.verdict,
        "fixed": review.fixed,
        "comment": review.comment,
        "reviewer": review.reviewer.username,
        "at": review.at,
        "revision": review.revision,
    }
