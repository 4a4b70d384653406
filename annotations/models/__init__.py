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
from annotations.models.projects import Category, Membership, Project
from annotations.models.releases import Release, ReleaseImage

__all__ = [
    "Annotation",
    "Category",
    "Comment",
    "Dismissal",
    "Image",
    "Job",
    "JobItem",
    "Membership",
    "Prediction",
    "Project",
    "Proposal",
    "Region",
    "RegionRevision",
    "Release",
    "ReleaseImage",
    "Review",
    "StoredFile",
    "User",
]
