"""Errors that hide others, releases that are lost, and tokens that belong to a thread."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock
from django_redislock.testing import lose
from tests.support.another_thread import in_thread, is_free


def test_an_error_of_the_release_does_not_hide_that_of_the_body() -> None:
    """redbeat#223: the only visible error was "no longer owned"."""
    with pytest.raises(KeyError, match="mine") as caught:
        with lock("report"):
            lose("report")
            raise KeyError("mine")
    notes = getattr(caught.value, "__notes__", None) or [str(caught.value.__context__)]
    assert "was lost" in " ".join(notes)


def test_a_release_that_fails_does_not_strand_the_lock(proxy: Any, use: Any) -> None:
    """redis-py#3847: the token was forgotten before the release was sent."""
    use(proxy.url, cache={"OPTIONS": {"SOCKET_TIMEOUT": 1.5}})
    held = lock("report", lease=600)
    held.acquire()
    proxy.black_hole()
    with pytest.raises(LockUnavailable):
        held.release()
    proxy.pass_through()
    with lock("report", wait=20):
        pass


async def test_a_release_that_is_cancelled_does_not_strand_the_lock() -> None:
    """redis-py#3847, for coroutines."""

    async def work() -> None:
        async with lock("report", lease=600):
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # arrives at the first await: that of the release

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())
    async with lock("report", wait=20):
        pass


def test_a_lock_may_be_released_by_another_thread() -> None:
    """redis-py#656: the token was in a thread-local."""
    held = lock("report")
    in_thread(held.acquire)
    assert held.held
    held.release()
    assert is_free("report")


async def test_a_lock_may_be_released_by_another_task_or_thread() -> None:
    """aioredis-py#1040: all the tasks of a thread had one token."""
    first, second = lock("first"), lock("second")
    await asyncio.gather(first.aacquire(), second.aacquire())
    assert first.token != second.token
    await asyncio.create_task(first.arelease())
    await asyncio.to_thread(second.release)
    assert await asyncio.to_thread(is_free, "first")
    assert await asyncio.to_thread(is_free, "second")


async def test_two_tasks_of_one_thread_exclude_each_other() -> None:
    """aioredis-py#1040: the second task counted as the first."""
    async with lock("report"):
        assert not await asyncio.create_task(lock("report").aacquire(wait=0))
