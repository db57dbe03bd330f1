"""Leases that never end or end too soon, and renewals that cannot be stopped."""

from __future__ import annotations

import time
from typing import Any

import pytest

from django_redislock import LockLost, lock, lock_backends
from tests.support.another_thread import is_free
from tests.support.processes import wait_until


def test_a_lock_expires_by_default(place: Any) -> None:
    """redis-py#962, django-redis#194: without a timeout the lock stays for ever."""
    held = lock("report")
    assert held.acquire(wait=0)
    with place.client() as client:
        left = [client.pttl(key) for key in client.scan_iter(f"{place.prefix}:*report*")]
    held.release()
    assert left
    assert all(0 < milliseconds < 600_000 for milliseconds in left), left


def test_a_vanished_holder_frees_the_lock_within_its_lease() -> None:
    """redis-py#962: the lock had to be removed by hand."""
    gone = lock("report", lease=1.2, renew=False)
    gone.acquire()
    with lock("report", wait=20):
        assert not gone.held


def test_work_that_outlasts_the_lease_keeps_the_lock() -> None:
    """redis-py#2604, pottery#371: it expired in the middle of long work."""
    with lock("report", lease=2) as held:
        assert not lock("report").acquire(wait=3)
        held.check()


def test_a_failed_renewal_is_reported(proxy: Any, use: Any) -> None:
    """python-redis-lock#85: the thread died without an error."""
    use(proxy.url, cache={"OPTIONS": {"SOCKET_TIMEOUT": 1.5}})
    reported: list[str] = []
    with pytest.raises(LockLost):
        with lock("report", lease=2, on_lost=lambda held: reported.append(held.name)) as held:
            proxy.black_hole()
            assert held.lost.wait(20)
            with pytest.raises(LockLost):
                held.check()
    wait_until(lambda: reported == ["report"])
    proxy.pass_through()


def test_a_hung_holder_is_not_renewed_for_ever() -> None:
    """redisson#1626: the watchdog kept a hung thread's lock alive."""
    hung = lock("report", lease=1.2, max_hold=1)
    hung.acquire()
    with lock("report", wait=20):
        assert hung.lost.wait(20)


def test_a_renewal_does_not_outlive_the_release() -> None:
    """redisson#7272: it went on after unlock(), and extended the hold of another."""
    with lock("report", lease=1.2):
        pass
    with lock("report", lease=30, renew=False):
        time.sleep(0.5)  # when a renewal of the first would have come
        (hold,), _ = lock_backends["default"].inspect("report")
        assert hold.remaining > 20
    assert is_free("report")
