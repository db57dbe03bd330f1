"""Requests that arrive after their attempt has ended."""

from __future__ import annotations

import asyncio

import pytest

from django_redislock import lock, lock_backends
from django_redislock.backends.base import Claim, Grant, Holder
from django_redislock.backends.redis.scripts import ACQUIRE
from tests.support.fixtures import UsePlace
from tests.support.proxy import Proxy
from tests.support.settled import settle


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize("wait", [0, 0.3])
def test_the_first_of_two_requests_is_refused_after_a_busy_reply_to_the_second(
    proxy: Proxy, use: UsePlace, wait: float, kind: str
) -> None:
    use(proxy.url)
    backend, handle = lock_backends["default"], lock("a", lease=30)
    with lock("a", lease=30):
        assert not lock("a").acquire(wait=0)  # so that the server has the script
        proxy.drop_next_request(ACQUIRE.sha)
        if kind == "thread":
            assert not handle.acquire(wait=wait)
        else:
            assert not asyncio.run(handle.aacquire(wait=wait))
        settle()
    late = Claim("a", handle.token, 1, 30, Holder().pack())
    assert not isinstance(backend.acquire(late), Grant)


@pytest.mark.parametrize("alias", ["default", "memory"])
def test_a_hold_kept_by_its_min_hold_is_not_cancelled_because_of_its_first_request(
    alias: str,
) -> None:
    held = lock("a", using=alias, min_hold=60)
    held.acquire()
    held._hold.unanswered = True
    held.release()
    settle()
    assert len(held.backend.inspect("a")[0]) == 1
