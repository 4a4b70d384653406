"""A job that kills its worker: settings under which every import is one, and its Celery task."""

import os
import signal

from celery import shared_task

from labeler.settings import *  # noqa: F403

JOB_TASKS["import"] = ("tests.jobs.poison.crash", "io")  # noqa: F405
CELERY_INCLUDE = ["tests.jobs.poison"]


@shared_task
def crash(job_id: int) -> None:
    from annotations.services import jobs

    if jobs.claim(job_id):
        os.kill(os.getpid(), signal.SIGSEGV)
