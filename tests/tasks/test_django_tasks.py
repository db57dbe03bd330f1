"""Recipes for Django's tasks, from Django 6.0 on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_redislock import LockNotAcquired, lock
from django_redislock.testing import assert_locked, assert_not_locked, held_elsewhere

pytest.importorskip("django.tasks", reason="Django has tasks from 6.0 on")

BACKENDS = "django.tasks.backends"


@pytest.fixture
def tasks(settings: Any) -> Any:
    """The module of the tasks; they run where they are enqueued."""
    settings.TASKS = {"default": {"BACKEND": f"{BACKENDS}.immediate.ImmediateBackend"}}
    from tests.tasks import django_tasks

    django_tasks.imported.clear()
    return django_tasks


def test_the_lock_is_held_while_the_task_runs(tasks: Any, monkeypatch: Any) -> None:
    holders: list[str] = []

    def download(feed_id: int) -> str:
        holders.extend(hold.holder.what for hold in assert_locked(f"feed:{feed_id}"))
        return "done"

    monkeypatch.setattr(tasks, "download", download)
    result = tasks.fetch_feed.enqueue(7)
    assert result.return_value == "done"
    assert holders == ["tests.tasks.django_tasks.fetch_feed"]
    assert_not_locked("feed:7")


def test_a_busy_task_is_skipped(tasks: Any) -> None:
    with held_elsewhere("feed:7"):
        result = tasks.fetch_feed.enqueue(7)
    assert (result.status, result.return_value, tasks.imported) == ("SUCCESSFUL", None, [])
    assert tasks.fetch_feed.enqueue(7).return_value == "feed 7 done"


def test_a_busy_task_is_queued_again(tasks: Any, settings: Any) -> None:
    from django.tasks import default_task_backend

    settings.TASKS = {"default": {"BACKEND": f"{BACKENDS}.dummy.DummyBackend"}}
    with held_elsewhere("feed:7", lease=40):
        tasks.fetch_feed_later.call(7)
    (again,) = default_task_backend.results
    assert (again.task.name, again.args, tasks.imported) == ("fetch_feed_later", [7], [])
    in_time = again.task.run_after - timezone.now()
    assert timedelta(seconds=30) < in_time <= timedelta(seconds=48)
    assert tasks.fetch_feed_later.call(7) == "feed 7 done"


def test_a_hold_is_passed_to_its_task(tasks: Any) -> None:
    job = lock("feed:7")
    assert job.acquire(wait=0)
    token = job.detach(3600)
    result = tasks.fetch_queued_feed.enqueue(7, token)
    assert result.return_value == "feed 7 done"
    assert_not_locked("feed:7")


def test_the_hold_of_a_task_that_never_runs_ends_with_its_lease(tasks: Any, settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": f"{BACKENDS}.dummy.DummyBackend"}}
    job = lock("feed:7")
    assert job.acquire(wait=0)
    tasks.fetch_queued_feed.enqueue(7, job.detach(2))
    assert not lock("feed:7").acquire(wait=0)
    with lock("feed:7", wait=40):
        assert tasks.imported == []


def test_a_task_whose_hold_has_ended_acquires_the_lock_again(tasks: Any) -> None:
    job = lock("feed:7")
    assert job.acquire(wait=0)
    token = job.detach(0.2)
    with lock("feed:7", wait=40):
        result = tasks.fetch_queued_feed.enqueue(7, token)
        assert result.status == "FAILED"
        assert result.errors[0].exception_class is LockNotAcquired
    assert tasks.fetch_queued_feed.enqueue(7, token).return_value == "feed 7 done"
    assert_not_locked("feed:7")
