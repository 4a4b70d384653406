"""Tables. Nothing here decides: rules live in services, access in `annotations.access`."""

from annotations.models.annotations import (
    Annotation,
    Comment,
    Dismissal,
    Region,
    RegionRevision,
    Review,
)
from annotations.models.images import Image, StoredFile
from annotations.models.jobs import Job, JobItem
from annotations.models.people import User
from annotations.models.predictions import Prediction, Proposal
from annotations.models.projects import Batch, Category, Membership, Project, ReviewRule
from annotations.models.releases import Release, ReleaseImage
from annotations.models.work import Lease

__all__ = [
    "Annotation",
    "Batch",
    "Category",
    "Comment",
    "Dismissal",
    "Image",
    "Job",
    "JobItem",
    "Lease",
    "Membership",
    "Prediction",
    "Project",
    "Proposal",
    "Region",
    "RegionRevision",
    "Release",
    "ReleaseImage",
    "Review",
    "ReviewRule",
    "StoredFile",
    "User",
]
