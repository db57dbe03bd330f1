"""The end of a process, as far as it can be had without ending one."""

from __future__ import annotations

import asyncio
import atexit
import threading
from typing import Any

import pytest

from django_redislock import lock
from django_redislock.local import shutdown
from django_redislock.local.shutdown import release_all


@pytest.mark.parametrize("using", ["default", "memory"])
def test_what_is_held_is_released(using: str) -> None:
    held: Any = lock("a", using=using)
    held.acquire()
    release_all()
    assert not held.held
    assert held.backend.inspect("a") == ([], [])


@pytest.mark.parametrize("using", ["default", "memory"])
def test_what_a_task_acquired_for_another_that_still_runs_is_lost_and_not_given_away(
    using: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to Python 3.11 ``wait_for()`` makes such a task, ``gather()`` always does."""
    monkeypatch.setattr(shutdown, "LAST_LEASE", 60.0)
    held: Any = lock("a", using=using, lease=600)

    async def work() -> None:
        await asyncio.gather(held.aacquire())
        await asyncio.to_thread(release_all)
        assert held.lost
        (hold,), _ = held.backend.inspect("a")
        assert hold.token == held.token
        assert hold.remaining <= 60

    asyncio.run(work())


def test_what_is_left_of_an_event_loop_that_has_ended_is_released() -> None:
    held: Any = lock("a")
    asyncio.run(held.aacquire())
    release_all()
    assert held.backend.inspect("a") == ([], [])


@pytest.mark.parametrize("using", ["default", "memory"])
def test_a_min_hold_lasts_all_the_same(using: str) -> None:
    held: Any = lock("a", using=using, lease=5, min_hold=60)
    held.acquire()
    release_all()
    assert not held.held
    (hold,), _ = held.backend.inspect("a")
    assert hold.detached
    assert hold.remaining > 40


def test_a_child_that_forgot_what_its_parent_had_registered_registers_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a child of multiprocessing does, from Python 3.13 on."""
    registered: list[Any] = []
    monkeypatch.setattr(shutdown, "_registered_pid", 1)
    monkeypatch.setattr(atexit, "unregister", lambda function: None)
    monkeypatch.setattr(atexit, "register", registered.append)

    def hold() -> None:
        with lock("a", using="memory"):
            pass

    for _ in range(2):
        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
    assert registered == [release_all]
