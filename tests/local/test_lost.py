"""The event of a lost hold."""

from __future__ import annotations

import threading

import pytest

from django_redislock import lock
from django_redislock.local.lost import Lost
from tests.support.interruptions import Interruption
from tests.support.processes import wait_until


def test_an_interrupted_caller_still_wakes_all_waiters() -> None:
    held = lock("a", lease=60)
    held.acquire()
    woken: list[bool] = []
    waiters = [threading.Thread(target=lambda: woken.append(held.lost.wait(60))) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    wait_until(lambda: len(held.lost._wakers) == 3)

    caller = threading.get_ident()

    def interrupted() -> None:
        if threading.get_ident() == caller:
            raise Interruption

    held.lost._wakers.appendleft(interrupted)
    with pytest.raises(Interruption):
        held._hold.lose("a reason")
    for waiter in waiters:
        waiter.join(30)
    assert woken == [True] * 3
    held.backend.release("a", held.token)


def test_waiting_after_the_loss_returns_at_once() -> None:
    lost = Lost()
    lost.set("a reason")
    assert lost.wait(60)
    lost.set("another")
    assert lost.reason == "a reason"
