"""Which submitted annotations are reviewed, and which of them are looked at first."""

import hashlib
from statistics import fmean

from django.db.models import Count

from annotations.models import Annotation, Region, Review, ReviewRule
from annotations.prepared import Prepared

UNSURE = 0.5
"""The risk of a region that no model proposed."""
Verdict = Review.Verdict
_VERDICTS = Prepared(
    lambda project, annotator: (
        Review.objects.filter(annotation__project=project, annotation__annotator=annotator)
        .order_by()
        .values("verdict")
        .annotate(number=Count("pk"))
        .values_list("verdict", "number")
    )
)
_SCORES = Prepared(
    lambda annotation: (
        Region.objects.filter(annotation=annotation, deleted_at=None)
        .order_by()
        .values_list("proposal__score")
    )
)


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
    verdicts = dict(_VERDICTS(annotation.project_id, annotation.annotator_id))
    back, good = verdicts.get(Verdict.SEND_BACK, 0), verdicts.get(Verdict.APPROVE, 0)
    sent_back = (back + 1) / (back + good + 2)
    scores = [UNSURE if score is None else 1 - score for (score,) in _SCORES(annotation.pk)]
    return (sent_back + (fmean(scores) if scores else UNSURE)) / 2
