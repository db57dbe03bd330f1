"""Blocking pools, which do not hold up locks when they are used up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches

from django_redislock import LockUnavailable, lock
from tests.known_faults.witness import Witness, put
from tests.support.places import Place
from tests.support.processes import wait_until

LONGEST = 2  # connections
TIMEOUT = 6  # seconds for which the pool blocks
LEASE = 1.0


@pytest.fixture
def pool(place: Place, settings: Any, witness: Witness) -> Any:
    blocking = place.pool(max_connections=LONGEST, timeout=TIMEOUT)
    put(settings, Witness.settings(place, blocking))
    cache: Any = caches["default"]
    return cache.client.get_client().connection_pool


@contextlib.contextmanager
def used_up(pool: Any) -> Iterator[None]:
    """Let other users of the cache have all of its connections."""
    connections = [pool.get_connection() for _ in range(LONGEST)]
    try:
        yield
    finally:
        for connection in connections:
            pool.release(connection)


def test_a_hold_is_renewed_while_the_pool_is_used_up(pool: Any, witness: Witness) -> None:
    held = lock("a", lease=LEASE)
    held.acquire()
    fence = held.fence
    with used_up(pool):
        lost = held.lost.wait(3 * LEASE)
    assert not lost
    assert [hold.fence for hold in witness.holds("a")] == [fence]
    held.release()


def test_an_attempt_without_a_wait_is_answered_at_once_while_the_pool_is_used_up(pool: Any) -> None:
    with used_up(pool):
        began = time.monotonic()
        with contextlib.suppress(LockUnavailable):
            handle = lock("a")
            if handle.acquire(wait=0):
                handle.release()
        took = time.monotonic() - began
    assert took < TIMEOUT / 2


def test_a_release_is_done_at_once_while_the_pool_is_used_up(pool: Any, witness: Witness) -> None:
    held = lock("a", lease=60)
    held.acquire()
    with used_up(pool):
        began = time.monotonic()
        held.release()
        took = time.monotonic() - began
    wait_until(lambda: not witness.holds("a"))
    assert took < TIMEOUT / 2
