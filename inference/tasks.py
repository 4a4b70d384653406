"""What Celery workers of the queues `batch` and `interactive` do."""

from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from annotations.services import jobs
from inference.services import prelabel, prompting, training, weights


@shared_task
def run_prelabel(job_id: int) -> None:
    jobs.run(job_id, prelabel.run_prelabel, shared=True)


@shared_task
def run_train(job_id: int) -> None:
    jobs.run(job_id, training.run_train)


@shared_task(ignore_result=False, acks_late=False)
def segment(image_id: int, model_id: int, prompts: dict[str, Any]) -> dict[str, Any]:
    return prompting.answer_task(image_id, model_id, prompts)


@shared_task
def embed(image_id: int, model_id: int) -> None:
    prompting.embed_task(image_id, model_id)


@worker_ready.connect
def look_for_weights(**_: Any) -> None:
    """Files that were put into the models folder by hand are found when a worker starts."""
    weights.refresh()
