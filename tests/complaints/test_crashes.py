"""Holders that are gone, and failovers."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

import pytest

from django_redislock import LockLost, LockNotAcquired, lock
from tests.support.processes import context

from .elsewhere import hold


def test_a_killed_holder_does_not_block_for_ever(place: Any, workers: Any) -> None:
    """celery-once#147, celery-singleton#40: stuck after a kill -9."""
    holds = context.Queue()
    holder = workers.start(hold, place, "report", holds, 1.0)
    holds.get()
    holder.kill()
    with lock("report", wait=20):
        pass


def test_a_deploy_frees_the_lock_at_once(place: Any, workers: Any) -> None:
    """celery-once#147: stuck after the workers were replaced."""
    holds = context.Queue()
    holder = workers.start(hold, place, "report", holds, 600.0)
    holds.get()
    os.kill(holder.pid, signal.SIGTERM)
    with lock("report", wait=20):
        pass


def test_the_holder_is_shown(place: Any, workers: Any) -> None:
    """redisson#2116: the owner was a number."""
    holds = context.Queue()
    holder = workers.start(hold, place, "report", holds, 600.0)
    holds.get()
    with pytest.raises(LockNotAcquired) as caught, lock("report", wait=0):
        pass
    seen = caught.value.holder
    assert seen is not None
    assert (seen.pid, seen.host, seen.label) == (holder.pid, socket.gethostname(), "nightly")
    assert "elsewhere.hold" in str(caught.value)


def test_after_a_failover_that_lost_the_lock_the_new_fence_is_higher(
    own_server: Any, use: Any
) -> None:
    """redisson#2669: the new master knows nothing of the lock, and it has two holders.

    No lock in one Redis can prevent that. But the second has the higher fence, so that storage can
    refuse the first, to which the loss is reported.
    """
    place = use(own_server.url)
    first, second = lock("report", lease=1), lock("report")
    first.acquire()
    with place.client() as client:
        client.flushall()
    assert second.acquire(wait=0)
    assert second.fence > first.fence
    assert first.lost.wait(20)
    with pytest.raises(LockLost):
        first.check()
    second.release()
