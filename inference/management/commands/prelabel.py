"""manage.py prelabel: run a model over a project's images."""

import sys
import time
from argparse import BooleanOptionalAction
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from annotations.errors import ServiceError
from annotations.models import Image, Job, Project, User
from annotations.models.projects import Role
from annotations.services import jobs
from inference.selectors import get_model
from inference.services.prelabel import ENDED, run_prelabel, start_prelabel


class Command(BaseCommand):
    help = "Queues a run of a model over a project's images; with --wait it is done here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="its name or number")
        parser.add_argument("--model", default="classic", help="its name, as in list_models")
        parser.add_argument("--status", default="", choices=["", *Image.Status.values])
        parser.add_argument("--min-score", type=float)
        parser.add_argument("--max-proposals", type=int)
        parser.add_argument("--user", help="who asks for it; default: an owner of the project")
        parser.add_argument("--wait", action=BooleanOptionalAction, default=False)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            project = _project(options["project"])
            job = start_prelabel(
                _user(project, options["user"]),
                project,
                get_model(options["model"], "detector", project),
                status=options["status"],
                min_score=options["min_score"],
                max_proposals=options["max_proposals"],
            )
        except ServiceError as error:
            raise CommandError(" ".join(filter(None, [error.detail, error.hint])))
        if not options["wait"]:
            self.stdout.write(f"Job {job.pk} is queued: {job.total} images.")
            return
        job = _wait(job)
        if job.state != Job.State.DONE:
            raise CommandError(f"Job {job.pk} is {job.get_state_display().lower()}: {job.message}")
        self.stdout.write(f"Job {job.pk} is done: {job.message}.")
        if job.result.get("failed"):
            raise CommandError(f"{job.result['failed']} images could not be done; see the job.")


def _wait(job: Job) -> Job:
    """Does the job here, or waits for the worker that was quicker."""
    with tqdm(
        total=job.total, unit="image", desc="prelabel", disable=not sys.stderr.isatty()
    ) as bar:

        def watch(done: int, total: int) -> None:
            bar.update(done - bar.n)

        while job.state not in ENDED:
            if jobs.run(job.pk, partial(run_prelabel, watch=watch)) is None:
                time.sleep(0.5)
            job.refresh_from_db()
            watch(job.done, job.total)
    return job


def _project(name: str) -> Project:
    rows = Project.objects.filter(name=name)
    if not rows and name.isdecimal():
        rows = Project.objects.filter(pk=int(name))
    found = list(rows[:2])
    if len(found) != 1:
        raise CommandError(
            f"There are several projects “{name}”: give the number."
            if found
            else f"There is no project “{name}”."
        )
    return found[0]


def _user(project: Project, username: str | None) -> User:
    if username:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no person “{username}”.")
        return user
    owner = project.memberships.filter(role=Role.OWNER).select_related("user").first()
    if owner is None:
        raise CommandError("The project has no owner: give --user.")
    return owner.user
