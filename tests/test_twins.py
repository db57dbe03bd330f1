"""Blocking and awaiting twins of one coroutine."""

from __future__ import annotations

from django_redislock.twins import Call, aperform, perform


async def both_ways(call: Call, first: int, second: int) -> tuple[bool, int, int]:
    return call.blocking, first, second


def test_a_thread_passes_on_all_arguments() -> None:
    assert perform(both_ways, 1, 2) == (True, 1, 2)


async def test_a_task_passes_on_all_arguments() -> None:
    assert await aperform(both_ways, 1, 2) == (False, 1, 2)
