"""Exact waits, even if the server hangs: no answer in time raises LockUnavailable."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from django_redislock import Lock, LockUnavailable, MultiLock, lock
from tests.known_faults.witness import Witness
from tests.support.processes import wait_until
from tests.support.proxy import Proxy

# Additional time (seconds) on a machine under load; a socket's own time-out is 5.
SLACK = 1.5


def took(handle: Lock | MultiLock, wait: float, kind: str) -> float:
    """Return how long an attempt without an answer takes."""
    began = time.monotonic()
    with pytest.raises(LockUnavailable):
        if kind == "thread":
            handle.acquire(wait=wait)
        else:
            asyncio.run(handle.aacquire(wait=wait))
    return time.monotonic() - began


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize("wait", [0, 0.3, 2.0])
def test_a_wait_is_exact_while_the_server_hangs(
    through_proxy: Proxy, kind: str, wait: float
) -> None:
    """The first request may take a second, or as long as the wait."""
    with lock("warm"):
        pass
    through_proxy.hold()
    seconds = took(lock("a"), wait, kind)
    through_proxy.pass_through()
    assert seconds < max(1.0, wait) + SLACK


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize("names", ["b", ["a", "b"]], ids=["one name", "several"])
def test_a_wait_is_exact_when_the_server_hangs_later(
    through_proxy: Proxy, witness: Witness, names: Any, kind: str
) -> None:
    """The first of several names is given back in the background."""
    wait = 1.5
    with witness.lock("b", lease=60):
        stopping = threading.Timer(wait / 3, through_proxy.hold)
        stopping.start()
        seconds = took(lock(names), wait, kind)
        stopping.join()
        through_proxy.pass_through()
        # A machine under load may answer the first request late, but not this late.
        assert wait - 0.1 < seconds < wait + SLACK
        wait_until(lambda: not witness.holds("a"), what="the first name is free")
