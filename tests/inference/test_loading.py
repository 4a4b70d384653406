"""Which models are in a process's memory."""

import gc
import time

import pytest

from inference.models import ModelVersion
from inference.services import loading
from tests.inference.conftest import FakeDetector

GIB = 2**30


@pytest.fixture
def memory(monkeypatch, settings, fake) -> list[int]:
    """Free bytes, by host and GPU; nothing is loaded yet."""
    settings.MODELS_FREE_BYTES = GIB
    free = [8 * GIB, 8 * GIB]
    monkeypatch.setattr(loading, "_free_memory", lambda: free)
    monkeypatch.setattr(loading, "_watch", lambda: None)
    for kept in (loading._loaded, loading._used, loading._alive):
        kept.clear()
    return free


@pytest.fixture
def second(fake) -> ModelVersion:
    return ModelVersion.objects.create(name="second", engine="fake", sha256="e" * 64)


def names() -> list[str]:
    return [ModelVersion.objects.get(pk=pk).name for pk, _ in loading._loaded]


def test_several_stay_while_there_is_room_and_the_one_used_longest_ago_leaves(
    memory, fake, second, monkeypatch
):
    first = loading.engine_of(fake)
    loading.engine_of(second)
    assert loading.engine_of(fake) is first
    assert names() == ["second", "fake"]
    third = ModelVersion.objects.create(name="third", engine="fake", sha256="d" * 64)
    dropped: list[loading.Key] = []

    def drop(key: loading.Key, real=loading._drop) -> None:
        real(key)
        dropped.append(key)
        memory[1] = 2 * GIB

    monkeypatch.setattr(loading, "_drop", drop)
    memory[1] = GIB - 1  # the GPU's
    loading.engine_of(third)
    assert dropped == [(second.pk, second.sha256)]
    assert names() == ["fake", "third"]


def test_where_memory_is_short_there_is_one(memory, fake, second):
    memory[0] = GIB - 1
    loading.engine_of(fake)
    loading.engine_of(second)
    assert names() == ["second"]


def test_what_is_idle_leaves_and_sooner_where_memory_is_short(memory, fake, second, settings):
    loading.engine_of(fake)
    loading.engine_of(second)
    loading._used[fake.pk, fake.sha256] -= loading.SHORT_IDLE_SECONDS
    assert loading.unload_idle() == []
    memory[0] = 0
    assert loading.unload_idle() == [(fake.pk, fake.sha256)]
    assert names() == ["second"]
    memory[0] = 8 * GIB
    loading._used[second.pk, second.sha256] -= settings.MODELS_IDLE_SECONDS
    loading.unload_idle()
    assert names() == []
    gc.collect()
    assert not loading._alive


def test_an_engine_that_a_job_works_with_is_found_again(memory, fake, settings):
    held: FakeDetector | None = loading.engine_of(fake)
    settings.MODELS_IDLE_SECONDS = 0
    assert loading.unload_idle()
    assert loading.engine_of(fake) is held


def test_a_thread_looks_after_what_is_idle(settings, monkeypatch):
    settings.MODELS_IDLE_SECONDS = 0
    monkeypatch.setattr(loading, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(loading, "_watcher", None)
    monkeypatch.setitem(loading._loaded, (0, "x"), object())
    monkeypatch.setitem(loading._used, (0, "x"), 0.0)
    loading._watch()
    until = time.monotonic() + 5
    while loading._loaded and time.monotonic() < until:
        time.sleep(0.01)
    assert not loading._loaded


def test_free_memory_of_this_machine():
    found = list(loading._free_memory())
    assert found
    assert all(2**20 < free < 2**45 for free in found)
