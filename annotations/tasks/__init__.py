"""What Celery workers of the queue `io` do. A message names a job; the job's row says the rest."""

from celery import shared_task

from annotations.services import (
    consensus,
    exports,
    facts,
    imports,
    jobs,
    releases,
    suspects,
    uploads,
    webhooks,
)


@shared_task
def run_ingest(job_id: int) -> None:
    jobs.run(job_id, uploads.run_ingest)


@shared_task
def run_import(job_id: int) -> None:
    jobs.run(job_id, imports.run_import)


@shared_task
def run_export(job_id: int) -> None:
    jobs.run(job_id, exports.run_export)


@shared_task
def run_release(job_id: int) -> None:
    jobs.run(job_id, releases.run_release)


@shared_task
def run_consensus(job_id: int) -> None:
    jobs.run(job_id, consensus.run_consensus)


@shared_task
def run_suspects(job_id: int) -> None:
    jobs.run(job_id, suspects.run_suspects)


@shared_task
def measure() -> None:
    """Measures what was submitted or judged since. Wakes itself where more is left."""
    if facts.measure_due(200) >= 200:
        facts.wake()


@shared_task
def deliver() -> None:
    """Sends what is due to webhooks. Wakes itself where more may be left."""
    if webhooks.deliver_due() >= webhooks.AT_ONCE:
        webhooks.wake()
