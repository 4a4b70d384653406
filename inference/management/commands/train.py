"""manage.py train: teach a model from a project's approved annotations."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations.errors import ServiceError
from annotations.management.cli import existing_project, person, plain, progress_bar
from annotations.models import Job
from annotations.services import jobs
from inference.models import TrainingRun
from inference.registry import ENGINES
from inference.services.prelabel import run_prelabel
from inference.services.training import run_train, start_training


class Command(BaseCommand):
    help = "Queues a training on what is approved; with --wait it is done here."

    def add_arguments(self, parser: CommandParser) -> None:
        able = [name for name, spec in ENGINES.items() if spec.trainer]
        parser.add_argument("--project", required=True, help="its name")
        parser.add_argument("--engine", default="", choices=["", *able])
        parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=NUMBER")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--user", default="", help="who asks for it; else an owner")
        parser.add_argument("--no-prelabel", action="store_true", help="leave the rest as it is")
        parser.add_argument("--wait", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        project = existing_project(options["project"])
        try:
            training = start_training(
                person(options["user"], project),
                project,
                engine=options["engine"],
                options=_numbers(options["set"]),
                seed=options["seed"],
                prelabel=not options["no_prelabel"],
            )
        except ServiceError as error:
            raise plain(error)
        if not options["wait"]:
            self.stdout.write(f"Job {training.job_id} is queued.")
            return
        bar, move = progress_bar("Learning", "%")
        with bar:
            jobs.run(training.job_id, run_train)
            move(100, 100)
        training = TrainingRun.objects.select_related("job").get(pk=training.pk)
        self._told(training.job)
        if after := training.job.result.get("prelabel"):
            self._told(jobs.run(after, run_prelabel) or Job.objects.get(pk=after))

    def _told(self, job: Job) -> None:
        words = f"{job.get_kind_display()} {job.pk} is {job.get_state_display().lower()}: "
        if job.state != Job.State.DONE:
            raise CommandError(words + job.message)
        self.stdout.write(words + job.message)


def _numbers(given: list[str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, _, value in (one.partition("=") for one in given)}
    except ValueError:
        raise CommandError("--set takes OPTION=NUMBER, such as minutes=5.")
