"""What containers are asked: a worker in the middle of a long task is not to be killed."""

import runpy

import pytest
from celery.signals import task_postrun, task_prerun

from annotations.tasks import run_export
from labeler import celery
from tests.live import ROOT


@pytest.fixture
def healthy(monkeypatch):
    """`healthy()`, while the worker answers nobody."""
    monkeypatch.setattr(celery.app.control, "ping", lambda timeout: [])
    return runpy.run_path(str(ROOT / "deploy" / "healthy.py"))["worker"]


def test_a_worker_that_is_at_a_task_answers_nobody_and_is_well(healthy):
    assert not healthy()
    task_prerun.send(run_export, task=run_export)
    assert healthy()
    task_postrun.send(run_export, task=run_export)
    assert not healthy()


def test_a_process_that_died_at_a_task_is_not(healthy):
    left = celery.busy() / "999999999"  # a number that no process has
    left.parent.mkdir(parents=True)
    left.touch()
    assert not healthy()
    celery._nothing_yet()  # the next one may get the number of the dead
    assert not left.exists()
