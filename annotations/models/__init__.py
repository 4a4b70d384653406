"""Tables. Nothing here decides: rules live in services, access in `annotations.access`."""

from annotations.models.annotations import (
    Annotation,
    Comment,
    Dismissal,
    Region,
    RegionRevision,
    Review,
)
from annotations.models.audit import AuditEntry
from annotations.models.images import Image, ImageTally, StoredFile
from annotations.models.jobs import Job, JobItem, JobShare
from annotations.models.notifications import Notification
from annotations.models.people import Identity, Invitation, Scope, TokenGrant, User
from annotations.models.predictions import Prediction, Proposal
from annotations.models.projects import Batch, Category, Membership, Project, ReviewRule
from annotations.models.quality import (
    Gold,
    PairFact,
    RegionDay,
    RegionFact,
    Suspicion,
    WorkDay,
    WorkFact,
)
from annotations.models.releases import Release, ReleaseImage
from annotations.models.teams import ProjectTeam, Team, TeamMember
from annotations.models.webhooks import Delivery, Event, Webhook
from annotations.models.work import Lease, Opening

__all__ = [
    "Annotation",
    "AuditEntry",
    "Batch",
    "Category",
    "Comment",
    "Delivery",
    "Dismissal",
    "Event",
    "Gold",
    "Identity",
    "Image",
    "ImageTally",
    "Invitation",
    "Job",
    "JobItem",
    "JobShare",
    "Lease",
    "Membership",
    "Notification",
    "Opening",
    "PairFact",
    "Prediction",
    "Project",
    "ProjectTeam",
    "Proposal",
    "Region",
    "RegionDay",
    "RegionFact",
    "RegionRevision",
    "Release",
    "ReleaseImage",
    "Review",
    "ReviewRule",
    "Scope",
    "StoredFile",
    "Suspicion",
    "Team",
    "TeamMember",
    "TokenGrant",
    "User",
    "Webhook",
    "WorkDay",
    "WorkFact",
]
