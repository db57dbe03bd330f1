"""Connections of an event loop that are used by one request at a time."""

from __future__ import annotations

import asyncio

import pytest

from django_redislock.backends.redis.errors import NotAsked
from django_redislock.backends.redis.wire.exclusive import AT_ONCE, Exclusive


async def all_taken() -> tuple[Exclusive[object], list[object]]:
    exclusive = Exclusive(asyncio.get_running_loop(), object)
    return exclusive, [await exclusive.take(0) for _ in range(AT_ONCE)]


async def begin_to_wait(exclusive: Exclusive[object]) -> asyncio.Task[object]:
    waiting = asyncio.create_task(exclusive.take(2))
    await asyncio.sleep(0)
    return waiting


async def test_a_waiter_is_served_before_later_attempts() -> None:
    exclusive, taken = await all_taken()
    waiting = await begin_to_wait(exclusive)
    for connection in taken[:2]:
        exclusive.give_back(connection)
        later = await begin_to_wait(exclusive)
        assert await waiting is connection
        waiting = later
    exclusive.give_back(taken[2])
    assert await waiting is taken[2]


async def test_a_cancelled_waiter_passes_its_connection_on() -> None:
    exclusive, taken = await all_taken()
    cancelled, waiting = await begin_to_wait(exclusive), await begin_to_wait(exclusive)
    exclusive.give_back(taken[0])
    cancelled.cancel()
    assert await waiting is taken[0]
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    alone = await begin_to_wait(exclusive)
    alone.cancel()
    exclusive.give_back(taken[1])
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert await exclusive.take(0) is taken[1]


async def test_a_waiter_whose_time_is_over_takes_no_connection() -> None:
    exclusive, taken = await all_taken()
    with pytest.raises(NotAsked, match="32 connections"):
        await exclusive.take(0.01)
    exclusive.give_back(taken[0])
    assert await exclusive.take(0) is taken[0]
