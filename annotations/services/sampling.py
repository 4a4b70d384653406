"""Which submitted annotations are reviewed, and which of them are looked at first."""

import hashlib
from statistics import fmean

from django.db.models import Count, Q

from annotations.models import Annotation, Review, ReviewRule

UNSURE = 0.5
"""The risk of a region that no model proposed."""


def judge(annotation: Annotation) -> None:
    """Sets `sampled` and `risk` of an annotation that is being submitted; saves nothing.

    What was judged before is always reviewed again. The draw follows from the annotation's UUID, so
    that submitting again changes nothing.
    """
    project = annotation.project
    draw = int(hashlib.sha256(annotation.uuid.bytes).hexdigest()[:8], 16) % 100
    annotation.sampled = (
        project.review_rule != ReviewRule.SHARE
        or draw < project.review_share
        or annotation.reviews.exists()
    )
    annotation.risk = risk(annotation)


def risk(annotation: Annotation) -> float:
    """0…1: the mean of how often the person's work is sent back and how unsure the models were.

    The first is a share of the person's verdicts in the project, smoothed by one of each kind
    (Laplace's rule); the second the mean over regions of 1 − the score of their proposals.
    """
    verdicts = Review.objects.filter(
        annotation__project=annotation.project_id, annotation__annotator=annotation.annotator_id
    ).aggregate(
        back=Count("pk", filter=Q(verdict=Review.Verdict.SEND_BACK)),
        good=Count("pk", filter=Q(verdict=Review.Verdict.APPROVE)),
    )
    sent_back = (verdicts["back"] + 1) / (verdicts["back"] + verdicts["good"] + 2)
    regions = annotation.regions.filter(deleted_at=None)
    scores = [
        UNSURE if score is None else 1 - score
        for score in regions.values_list("proposal__score", flat=True)
    ]
    return (sent_back + (fmean(scores) if scores else UNSURE)) / 2
