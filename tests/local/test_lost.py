"""The event of a lost hold."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from django_redislock import Lock, LockLost, lock
from django_redislock.local.background import background
from django_redislock.local.lost import Lost
from django_redislock.local.renewal import renewal
from tests.support.interruptions import Interruption, handle_signal, places_in
from tests.support.processes import wait_until
from tests.support.threads import no_thread_can_start


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


def test_a_signal_handler_that_loses_it_at_any_moment_of_a_wait() -> None:
    """Nothing that the waiting thread has in hand may be needed to wake it."""

    def wait(at: int) -> None:
        lost = Lost()
        handle_signal(lambda: lost.wait(0.001), lambda: lost.set("a reason"), at=at)
        ended.append(at)

    ended: list[int] = []
    number = places_in(lambda: Lost().wait(0.001))
    waiting = threading.Thread(target=lambda: [wait(at) for at in range(number)], daemon=True)
    waiting.start()
    wait_until(lambda: len(ended) == number)


def test_on_lost_that_hangs_keeps_no_other_from_being_called() -> None:
    def hang(handle: Lock) -> None:
        called.append(handle.name)
        go_on.wait(30)

    called: list[str] = []
    go_on = threading.Event()
    handles = [lock(name, lease=60, on_lost=hang) for name in "abc"]
    for handle in handles:
        handle.acquire()
        handle._hold.lose("a reason")
    renewal.wake()
    try:
        wait_until(lambda: sorted(called) == ["a", "b", "c"])
    finally:
        go_on.set()
    for handle in handles:
        handle.backend.release(handle.name, handle.token)


def test_on_lost_that_hangs_keeps_no_hold_from_being_renewed_when_no_thread_can_start() -> None:
    called, go_on = threading.Event(), threading.Event()

    def hang(handle: Lock) -> None:
        called.set()
        go_on.wait(30)

    lost, renewed = lock("a", lease=60, on_lost=hang), lock("b", lease=2)
    lost.acquire()
    renewed.acquire()
    background.now(renewed._hold.server, threading.Event)
    assert background.flush(30)  # the thread that sends renewals is running
    try:
        with no_thread_can_start():
            lost._hold.lose("a reason")
            renewal.wake()
            assert not renewed.lost.wait(3)
        assert called.wait(30)
    finally:
        go_on.set()
    renewed.release()
    lost.backend.release("a", lost.token)


def test_a_handle_whose_hold_was_lost_is_not_kept() -> None:
    reported = threading.Event()
    held = lock("a", lease=60, on_lost=lambda handle: reported.set())
    held.acquire()
    held._hold.lose("a reason")
    renewal.wake()
    assert reported.wait(30)
    held.backend.release("a", held.token)
    with pytest.raises(LockLost):
        held.release()
    dropped = weakref.ref(held)
    del held
    wait_until(lambda: gc.collect() >= 0 and dropped() is None)


def test_waiting_after_the_loss_returns_at_once() -> None:
    lost = Lost()
    lost.set("a reason")
    assert lost.wait(60)
    lost.set("another")
    assert lost.reason == "a reason"


def test_the_event_shows_why_the_hold_was_lost() -> None:
    lost = Lost()
    assert repr(lost) == "<Lost: not lost>"
    lost.set("its lease ran out")
    assert repr(lost) == "<Lost: its lease ran out>"
