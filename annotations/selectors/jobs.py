"""Reading jobs and their items."""

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from annotations.access import MAX_ID, require
from annotations.errors import NotFound
from annotations.models import Job, JobItem, Project, User
from annotations.models.jobs import JobQuerySet
from annotations.models.projects import Role
from annotations.prepared import Prepared

ACTIVE = (Job.State.QUEUED, Job.State.RUNNING)


def list_jobs(user, project: Project, *, kind: str = "", state: str = "") -> JobQuerySet:
    """Managers: the project's jobs; others: their own. Each with `failed_items`."""
    require(user, project, Role.ANNOTATOR)
    rows = with_failed(Job.objects.visible_to(user).filter(project=project))
    if kind:
        rows = rows.filter(kind=kind)
    if state:
        rows = rows.filter(state=state)
    return rows


_ONE_ACTIVE = Prepared(
    lambda project: Job.objects.filter(project=project, state__in=ACTIVE).values_list("pk")[:1]
)


def active_jobs(user, project: Project, most: int) -> list[Job]:
    """The newest of `list_jobs` that wait or run; mostly there are none."""
    if not _ONE_ACTIVE(project.pk):
        return []
    return list(list_jobs(user, project).filter(state__in=ACTIVE)[:most])


_JOB = Prepared(
    lambda user, pk: (
        with_failed(Job.objects.visible_to(User(pk=user)))
        .select_related("project")
        .filter(pk=pk)
        .order_by()
    )
)


def get_job(user, pk: int) -> Job:
    """One job that `user` may see, with its project and `failed_items`; or NotFound."""
    found: Job | None = _JOB.instance(user.pk or 0, pk) if pk <= MAX_ID else None
    if found is None:
        raise NotFound("job")
    return found


def with_failed(rows: JobQuerySet) -> JobQuerySet:
    """Each with the number of its items that failed, as `failed_items`."""
    failed = JobItem.objects.filter(job=OuterRef("pk"), state=Job.State.FAILED).order_by()
    number = Subquery(failed.values("job").annotate(number=Count("pk")).values("number"))
    return rows.select_related("created_by").annotate(failed_items=Coalesce(number, 0))


def list_items(job: Job, *, state: str = "") -> QuerySet[JobItem]:
    """The job's items with their images."""
    rows = JobItem.objects.filter(job=job).select_related("image")
    return rows.filter(state=state) if state else rows
