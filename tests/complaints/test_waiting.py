"""Waits: their order, their length, and waits in coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from django_redislock import lock
from tests.support.processes import wait_until
from tests.support.tries import best_of


def queued(name: str, number: int) -> None:
    wait_until(lambda: len(lock(name).backend.inspect(name)[1]) == number, what="they wait")


def test_a_waiter_gets_its_turn_when_its_wake_up_is_lost(own_server: Any, use: Any) -> None:
    """redisson#1763: a missed message left the waiter waiting for ever."""
    place = use(own_server.url)
    got = threading.Event()

    def wait() -> None:
        with lock("report", wait=60):
            got.set()

    with place.client() as client:
        held = lock("report", lease=5)
        held.acquire()
        waiter = threading.Thread(target=wait)
        waiter.start()
        queued("report", 1)
        assert client.client_kill_filter(_type="pubsub") == 1
        held.release()
        assert got.wait(20)
        waiter.join()


def test_no_attempt_jumps_the_queue() -> None:
    """python-redis-lock#58, #104: the last holder was served again before the waiters."""
    served: list[str] = []

    def wait() -> None:
        with lock("report", wait=60):
            served.append("who waited")

    first = lock("report")
    first.acquire()
    waiter = threading.Thread(target=wait)
    waiter.start()
    queued("report", 1)
    first.release()
    with lock("report", wait=60):
        served.append("who came back")
    waiter.join()
    assert served == ["who waited", "who came back"]


@pytest.mark.parametrize("wait", [0.05, 0.25])
def test_a_wait_lasts_as_long_as_requested(wait: float) -> None:
    """python-redis-lock#74: waits were rounded to whole seconds, or ended early."""

    def measure(attempt: int) -> float:
        began = time.monotonic()
        assert not lock("report").acquire(wait=wait)
        took = time.monotonic() - began
        assert took >= wait
        return took

    with lock("report"):
        assert best_of(measure, wait + 0.5) < wait + 0.5


def test_a_short_wait_is_long_enough_to_be_served() -> None:
    """python-redis-lock#74: with 0.05 seconds, redis-py asks just once."""
    held = lock("report")
    held.acquire()
    began = time.monotonic()
    threading.Timer(0.2, held.release).start()
    with lock("report", wait=40):
        assert 0.15 < time.monotonic() - began < 30


async def test_coroutines_hold_and_wait_without_blocking_the_loop() -> None:
    """django-redis#771, #552: there was nothing for asyncio."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    waiter = lock("report")
    async with lock("report") as held:
        waiting = asyncio.create_task(waiter.aacquire(wait=40))
        while not held.backend.inspect("report")[1]:
            await asyncio.sleep(0.001)
        ticks = 0
        while ticks < 5:
            await asyncio.sleep(0.001)
        assert not waiting.done()
    ticking.cancel()
    assert await waiting
    await waiter.arelease()
