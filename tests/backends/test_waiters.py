"""Waiters of a process, and their notifications."""

from __future__ import annotations

import gc
import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from django_redislock.backends.waiters import TaskWaiter, ThreadWaiter, Turn, Waiters
from django_redislock.clock import monotonic

TURN = Turn(7, 60.0)


def test_a_turn_that_arrives_on_two_connections_is_delivered_once() -> None:
    waiters, waiter, start = Waiters(60.0), ThreadWaiter(), threading.Barrier(2)
    waiters.enter("a", "token", waiter)
    notified: list[bool] = []

    def bring() -> None:
        start.wait()
        notified.append(waiters.notify("a", "token", TURN))

    threads = [threading.Thread(target=bring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notified == [True, True], "neither connection gives it back"
    assert waiter.wait_for_turn(1) == TURN
    assert waiter.wait_for_turn(0.01) is None


def test_a_turn_that_was_taken_is_recognized_while_it_may_be_unconfirmed() -> None:
    """Giving it back would end the hold."""
    waiters = Waiters(grant_lease := 60.0)
    waiters.enter("a", "token", ThreadWaiter())
    assert waiters.notify("a", "token", TURN)
    for fence in range(100, 1100):
        assert waiters.notify("a", "token", Turn(fence, 60.0))
    waiters.leave("a", "token")
    assert waiters.notify("a", "token", TURN)
    assert not waiters.notify("a", "token", Turn(8, 60.0)), "this turn has no waiter"
    assert len(waiters._seen) == 1001
    waiters.forget_turns(monotonic() + grant_lease)
    assert not waiters.notify("a", "token", TURN)
    assert not waiters._seen


def test_only_waiters_for_matching_names_are_asked_to_look() -> None:
    waiters, one, other = Waiters(60.0), ThreadWaiter(), ThreadWaiter()
    waiters.enter("a", "1", one)
    waiters.enter("b", "2", other)
    waiters.nudge_all(lambda name: name == "a")
    assert (one._notified.qsize(), other._notified.qsize()) == (1, 0)
    waiters.nudge_all()
    assert (one._notified.qsize(), other._notified.qsize()) == (2, 1)


def test_waiters_are_asked_to_look_in_turn() -> None:
    """One that does not look, as its thread is stuck, must not keep all others from it."""
    waiters, some = Waiters(60.0), [ThreadWaiter() for _ in range(3)]
    for token, waiter in enumerate(some):
        waiters.enter("a", str(token), waiter)
    for _ in some:
        waiters.nudge("a")
    assert [waiter._notified.qsize() for waiter in some] == [1, 1, 1]


async def test_a_task_that_leaves_while_it_is_notified_is_not_kept_for_ever() -> None:
    waiters = Waiters(60.0)

    class Leaving(TaskWaiter):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "notified_at":
                waiters.leave("a", "token")
            super().__setattr__(name, value)

    waiters.enter("a", "token", Leaving())
    waiters.nudge_all()
    assert waiters.reclaim_turns(monotonic()) == []
    assert waiters.check_in() == math.inf


@pytest.mark.parametrize(
    "look",
    [
        lambda waiters: waiters.forget_turns(0.0),
        lambda waiters: waiters.nudge("a"),
        lambda waiters: waiters.nudge_all(),
        lambda waiters: waiters.reclaim_turns(0.0),
    ],
    ids=["forget_turns", "nudge", "nudge_all", "reclaim_turns"],
)
def test_another_thread_may_add_waiters_and_turns_at_any_time(
    look: Callable[[Waiters], object],
) -> None:
    """Up to Python 3.11 the garbage collector may run between two items, and threads with it."""
    waiters = Waiters(2.0)
    new = itertools.count()

    def add(*_: object) -> None:
        key = ("a", str(next(new)))
        waiters._waiting[key] = waiters._notified[key] = Task()
        waiters._seen[key[1], 1] = math.inf

    class Task(TaskWaiter):
        def __init__(self) -> None:
            pass

        def has_seen_all(self) -> bool:
            return True

        def notify(self, turn: Turn | None) -> bool:
            return True

    # More of them than the garbage collector lets pass by default.
    for _ in range(2_000):
        add()
    gc.callbacks.append(add)
    try:
        look(waiters)
    finally:
        gc.callbacks.remove(add)
