"""Locks on servers that Sentinel watches, before and after a failover."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.processes import wait_until
from tests.support.sentinel import SentinelSet

T = TypeVar("T")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def servers(use: UsePlace) -> Iterator[SentinelSet]:
    with SentinelSet() as servers:
        use("", cache=servers.cache)
        yield servers
        lock_backends["default"].close()


def sure(question: Callable[[], T]) -> T:
    """Repeat the question until the server is available; return the answer."""
    while True:
        with suppress(LockUnavailable):
            return question()


def take(name: str, **options: object) -> int:
    """Take and release the lock; return the fence."""

    def taken() -> int:
        with lock(name, **options) as held:
            return held.fence

    return sure(taken)


def test_a_hold_survives_a_failover(servers: Any) -> None:
    """The hold was copied before, so it is renewed on the other server."""
    with lock("a", lease=60) as held:
        servers.copied()
        servers.lose_primary()
        left = held.remaining()
        wait_until(lambda: held.remaining() > left)
        assert sure(held.owned)
        assert not sure(lambda: lock("a").acquire(wait=0))
    assert take("a") > held.fence


def test_fences_rise_when_the_last_one_was_never_copied(servers: Any) -> None:
    assert take("a")
    servers.copied()
    servers.replica.kill(signal.SIGSTOP)
    forgotten = take("a")
    servers.primary.kill()
    servers.replica.kill(signal.SIGCONT)
    servers.wait_for_promotion()
    assert take("a") > forgotten


def test_a_waiter_is_notified_of_its_turn_by_the_new_primary(servers: Any) -> None:
    held, waiter = lock("a", lease=30), lock("a", wait=60)
    held.acquire()
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 1)
    servers.copied()
    servers.lose_primary()
    with suppress(LockUnavailable):  # then it is released as soon as it can be
        held.release()
    thread.join(60)
    assert waiter.held
    assert waiter.fence > held.fence
    waiter.release()


async def test_coroutines_find_the_new_primary(servers: Any) -> None:
    async with lock("a", lease=60) as held:
        await asyncio.to_thread(servers.copied)
        await asyncio.to_thread(servers.lose_primary)
        left = held.remaining()
        await asyncio.to_thread(wait_until, lambda: held.remaining() > left)
        async with lock("b", wait=30) as other:
            assert other.fence
