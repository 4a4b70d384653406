"""The Celery app. Its messages only wake workers: what is to be done stands in the database."""

import contextlib
import gc
import logging.config
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

from billiard import active_children
from celery import Celery
from celery.signals import (
    before_task_publish,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_shutting_down,
)
from django.conf import settings

from labeler import broker
from labeler.logging import request_id

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")
broker.use()

app = Celery("labeler")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _log_as_the_settings_say(**_: object) -> None:
    """Celery itself would set another level."""
    logging.config.dictConfig(settings.LOGGING)


@before_task_publish.connect
def _name_the_request(headers: dict[str, Any], **_: object) -> None:
    headers["request_id"] = request_id.get()


@task_prerun.connect
def _log_under_its_name(task: Any, **_: object) -> None:
    request_id.set(getattr(task.request, "request_id", "-"))


def busy() -> Path:
    """A folder with a file for each process of this container that does a task, by its number."""
    return Path(settings.SPOOL_DIR) / f"busy-{socket.gethostname()}"


@worker_init.connect
def _nothing_yet(**_: object) -> None:
    """What an earlier process left, whose number this one may have."""
    shutil.rmtree(busy(), ignore_errors=True)


@task_prerun.connect
def _busy(**_: object) -> None:
    busy().mkdir(parents=True, exist_ok=True)
    (busy() / str(os.getpid())).touch()


@task_postrun.connect
def _free(**_: object) -> None:
    (busy() / str(os.getpid())).unlink(missing_ok=True)


@worker_shutting_down.connect
def _hand_jobs_back(**_: object) -> None:
    """SIGTERM came: what this worker and the processes of its pool do goes back to the queue."""
    from annotations.services import jobs

    jobs.stopping.set()
    for process in active_children():
        if process.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)


@worker_process_init.connect
def _listen_in_the_pool(**_: object) -> None:
    from annotations.services import jobs

    signal.signal(signal.SIGTERM, lambda *_: jobs.stopping.set())


@worker_init.connect
@worker_process_init.connect
def _keep_what_is_loaded(**_: object) -> None:
    """The garbage collector would look through it again and again: a fifth of an export's time."""
    gc.collect()
    gc.freeze()
