"""`wait` is exact, also when the server hangs: no answer in time is LockUnavailable."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from django_redislock import Lock, LockUnavailable, MultiLock, lock
from tests.known_faults.witness import Witness
from tests.support.processes import wait_until
from tests.support.proxy import Proxy

# What a machine under load may add (seconds); a socket's own time-out is 5.
SLACK = 1.5


def took(handle: Lock | MultiLock, wait: float, kind: str) -> float:
    """How long an attempt takes that gets no answer."""
    began = time.monotonic()
    with pytest.raises(LockUnavailable):
        if kind == "thread":
            handle.acquire(wait=wait)
        else:
            asyncio.run(handle.aacquire(wait=wait))
    return time.monotonic() - began


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize("wait", [0, 0.3, 2.0])
def test_a_server_that_hangs_from_the_start(through_proxy: Proxy, kind: str, wait: float) -> None:
    """The first question may take a second, or as long as the wait."""
    with lock("warm"):
        pass
    through_proxy.hold()
    seconds = took(lock("a"), wait, kind)
    through_proxy.pass_through()
    assert seconds < max(1.0, wait) + SLACK


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_a_server_that_hangs_meanwhile(through_proxy: Proxy, witness: Witness, kind: str) -> None:
    wait = 1.5
    with witness.lock("a", lease=60):
        stopping = threading.Timer(wait / 3, through_proxy.hold)
        stopping.start()
        seconds = took(lock("a"), wait, kind)
        stopping.join()
        through_proxy.pass_through()
        # The first may have been answered late by a machine under load; never that late.
        assert wait - 0.1 < seconds < wait + SLACK


@pytest.mark.parametrize("kind", ["thread", "task"])
def test_a_server_that_hangs_while_one_of_several_is_held(
    through_proxy: Proxy, witness: Witness, kind: str
) -> None:
    """The first name is given back in the background."""
    wait = 1.5
    with witness.lock("b", lease=60):
        stopping = threading.Timer(wait / 3, through_proxy.hold)
        stopping.start()
        seconds = took(lock(["a", "b"]), wait, kind)
        stopping.join()
        through_proxy.pass_through()
        assert wait - 0.1 < seconds < wait + SLACK
        wait_until(lambda: not witness.holds("a"), what="the first name is free")
