"""Simulations of events for tests of users, on both backends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from django_redislock import Lock, LockLost, LockNotAcquired, lock, lock_backends
from django_redislock.testing import (
    assert_locked,
    assert_not_locked,
    expire,
    held_elsewhere,
    lose,
)
from tests.support.processes import WITHIN, Workers, context, wait_until


@pytest.fixture(params=["memory", "default"])
def using(request: pytest.FixtureRequest) -> str:
    """The backend in memory, and the one in Redis."""
    alias: str = request.param
    return alias


@contextmanager
def waiting(name: str, using: str) -> Iterator[Future[float]]:
    """Let a thread of this process wait for the name; the result is the time of its grant."""

    def wait() -> float:
        with lock(name, using=using, wait=WITHIN):
            return time.monotonic()

    with ThreadPoolExecutor() as pool:
        granted = pool.submit(wait)
        wait_until(lambda: lock_backends[using].inspect(name)[1], what="the thread waits")
        yield granted


def test_a_lock_held_elsewhere_is_busy_here(using: str) -> None:
    with held_elsewhere("feed:7", using=using, lease=40) as other:
        with pytest.raises(LockNotAcquired, match="for elsewhere") as caught:
            lock("feed:7", using=using, wait=0).__enter__()
        assert 30 < caught.value.retry_after <= 48
        assert (caught.value.holder and caught.value.holder.label) == "elsewhere"
        assert other.fence > 0
    assert_not_locked("feed:7", using=using)


def test_a_lock_held_elsewhere_is_handed_over_to_the_waiter(using: str) -> None:
    with held_elsewhere("feed:7", using=using) as other:
        with waiting("feed:7", using) as granted:
            released_at = time.monotonic()
            other.release()
            assert granted.result(WITHIN) - released_at < 20


def test_a_lock_held_elsewhere_ends_with_its_lease(using: str) -> None:
    with held_elsewhere("feed:7", using=using, lease=0.2):
        with lock("feed:7", using=using, wait=WITHIN):
            pass


def test_a_lock_may_be_held_elsewhere_several_times(using: str) -> None:
    with held_elsewhere("api", using=using, limit=2), held_elsewhere("api", using=using, limit=2):
        assert len(assert_locked("api", using=using)) == 2
        assert not lock("api", using=using, limit=2).acquire(wait=0)
    with held_elsewhere("api", using=using, shared=True):
        with lock("api", using=using, shared=True, wait=0):
            assert not lock("api", using=using).acquire(wait=0)


def test_a_held_lock_cannot_be_held_elsewhere(using: str) -> None:
    with lock("feed:7", using=using, what="shop.views.buy"):
        with pytest.raises(AssertionError, match=r"held already, by shop\.views\.buy"):
            held_elsewhere("feed:7", using=using).acquire()


@pytest.mark.parametrize(
    ("options", "says"),
    [({"limit": 0}, "limit must be a whole"), ({"limit": 2, "shared": True}, "exclude each other")],
)
def test_what_makes_no_sense_cannot_be_held_elsewhere(options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        held_elsewhere("feed:7", **options)


def test_failed_assertions_name_the_locks_that_are_held(using: str) -> None:
    with pytest.raises(AssertionError, match="'feed:7' is not locked; nothing is"):
        assert_locked("feed:7", using=using)
    with held_elsewhere("feed:8", using=using, what="shop.views.buy"):
        with pytest.raises(AssertionError, match="not locked; held are 'feed:8'"):
            assert_locked("feed:7", using=using)
        with pytest.raises(AssertionError, match=r"'feed:8' is locked, by shop\.views\.buy"):
            assert_not_locked("feed:8", using=using)
        (hold,) = assert_locked("feed:8", using=using)
        assert hold.name == "feed:8"
        assert_not_locked("feed:7", using=using)


@pytest.mark.parametrize("call", [assert_locked, assert_not_locked, expire, lose, held_elsewhere])
def test_what_is_no_name_is_refused(using: str, call: Any) -> None:
    """An assertion that looked at no lock would pass for ever."""
    for wrong in (None, 7, ["feed:7"]):
        with pytest.raises(TypeError, match="A lock's name must be a string"):
            call(wrong, using=using)
    with pytest.raises(ValueError, match="must not be empty"):
        call("", using=using)


@pytest.mark.parametrize(
    ("end", "reason"), [(expire, "its lease ran out"), (lose, "it was released by force")]
)
def test_a_simulated_loss_is_reported_to_the_holder(using: str, end: Any, reason: str) -> None:
    reported: list[Lock] = []
    held = lock("feed:7", using=using, on_lost=reported.append)
    held.acquire()
    assert not held.lost
    end("feed:7", using=using)
    assert not held.held
    assert held.lost.reason == reason
    assert reported == [held]
    with pytest.raises(LockLost, match=reason):
        held.release()
    assert_not_locked("feed:7", using=using)


def test_an_expired_hold_has_no_time_left(using: str) -> None:
    held = lock("feed:7", using=using)
    held.acquire()
    assert held.remaining() > 1
    expire("feed:7", using=using)
    assert held.remaining() == 0


@pytest.mark.parametrize("end", [expire, lose])
def test_a_waiter_gets_the_lost_lock(using: str, end: Any) -> None:
    held = lock("feed:7", using=using, lease=60)
    held.acquire()
    with waiting("feed:7", using) as granted:
        ended_at = time.monotonic()
        end("feed:7", using=using)
        assert granted.result(WITHIN) - ended_at < 20
    assert held.lost


@pytest.mark.parametrize("end", [expire, lose])
def test_all_holders_lose_the_lock(using: str, end: Any) -> None:
    with held_elsewhere("api", using=using, limit=2):
        held = lock("api", using=using, limit=2)
        held.acquire()
        end("api", using=using)
        assert_not_locked("api", using=using)
        assert held.lost


@pytest.mark.parametrize("end", [expire, lose])
def test_a_free_lock_cannot_be_lost(using: str, end: Any) -> None:
    with pytest.raises(AssertionError, match="is not locked"):
        end("feed:7", using=using)


def hold_until_lost(prefix: str, held: Any) -> str:
    from django.test import override_settings

    with override_settings(LOCKS={"default": {"KEY_PREFIX": prefix, "LEASE": 3}}):
        handle = lock("feed:7")
        handle.acquire()
        held.set()
        assert handle.lost.wait(WITHIN)
        return handle.lost.reason


@pytest.mark.parametrize("end", [expire, lose])
def test_a_loss_is_reported_to_a_holder_in_another_process(key_prefix: str, end: Any) -> None:
    held = context.Event()
    with Workers() as workers:
        other = workers.start(hold_until_lost, key_prefix, held)
        assert held.wait(WITHIN)
        end("feed:7")
        assert "released by force" in other.result()


def test_a_loss_is_reported_to_a_thread_that_holds_the_lock(using: str) -> None:
    held, seen = threading.Event(), []

    def work() -> None:
        with pytest.raises(LockLost), lock("feed:7", using=using) as handle:
            held.set()
            seen.append(handle.lost.wait(WITHIN))

    worker = threading.Thread(target=work)
    worker.start()
    assert held.wait(WITHIN)
    expire("feed:7", using=using)
    worker.join(WITHIN)
    assert seen == [True]


def test_a_lost_lock_may_be_held_elsewhere(alias: str) -> None:
    other = held_elsewhere("feed:7", using=alias)
    for _ in range(2):
        with other:
            assert_locked("feed:7", using=alias)
        assert_not_locked("feed:7", using=alias)
    other.acquire()
    with other:
        assert_locked("feed:7", using=alias)
    assert_not_locked("feed:7", using=alias)
