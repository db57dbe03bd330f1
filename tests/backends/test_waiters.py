"""Waiters of a process, and their notifications."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from django_redislock.backends.waiters import (
    ASK_AFTER,
    CHECK_EVERY,
    STILL_AFTER,
    TaskWaiter,
    ThreadWaiter,
    Turn,
    Waiters,
)
from django_redislock.clock import monotonic
from tests.support.processes import wait_until

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
    waiters.forget_turns(monotonic() + grant_lease / 2)
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


async def test_a_turn_is_taken_back_only_from_a_loop_that_does_not_answer() -> None:
    """The loop of this test is blocked until the first `await`."""
    waiters, waiter = Waiters(60.0), TaskWaiter()
    waiters.enter("a", "token", waiter)
    assert waiters.check_in() == CHECK_EVERY
    assert waiters.notify("a", "token", TURN)
    assert waiters.check_in() == ASK_AFTER
    asked_at = waiter.notified_at + ASK_AFTER + 0.01
    late = asked_at + STILL_AFTER + 0.01
    assert waiters.reclaim_turns(asked_at - 0.02) == []
    assert waiters.reclaim_turns(late) == [], "the loop is asked now, however late it is"
    assert waiters.reclaim_turns(late + STILL_AFTER - 0.01) == []
    assert waiters.reclaim_turns(late + STILL_AFTER + 0.01) == [("a", "token")]
    assert waiters.reclaim_turns(late + STILL_AFTER + 0.01) == []
    assert await waiter.await_turn(0) is None
    await asyncio.sleep(0)

    assert waiters.notify("a", "token", Turn(8, 60.0))
    assert waiters.reclaim_turns(late + 100) == [], "the loop has answered, and is asked again"
    assert await waiter.await_turn(60) == Turn(8, 60.0)
    waiting = asyncio.create_task(waiter.await_turn(60))
    await asyncio.sleep(0.01)
    assert not waiting.done(), "there is no other turn"
    waiting.cancel()
    assert waiters.reclaim_turns(late + 200) == []
    assert (waiters.check_in(), waiters._probed) == (CHECK_EVERY, {})
    waiters.leave("a", "token")
    assert waiters.check_in() == math.inf


async def test_a_loop_that_does_not_answer_gets_no_turn_and_is_asked_last() -> None:
    waiters, blocked, other = Waiters(60.0), TaskWaiter(), ThreadWaiter()
    waiters.enter("a", "blocked", blocked)
    waiters.nudge("a")
    waiters.reclaim_turns(monotonic() + 2 * ASK_AFTER)
    waiters.enter("a", "other", other)
    other.notified_at = math.inf
    wait_until(lambda: not waiters.notify("a", "blocked", TURN))
    assert blocked.take_back()
    waiters.nudge("a")
    assert other._notified.qsize() == 1
    assert await blocked.await_turn(0) is None, "it looks again, and must queue again"


def test_a_loop_that_was_closed_is_not_kept_for_ever() -> None:
    async def wait() -> None:
        waiters.enter("a", "token", TaskWaiter())

    waiters, loop = Waiters(60.0), asyncio.new_event_loop()
    loop.run_until_complete(wait())
    waiters.nudge("a")
    waiters.reclaim_turns(monotonic() + 2 * ASK_AFTER)
    assert [*waiters._probed] == [loop]
    loop.close()
    waiters.reclaim_turns(monotonic() + 2 * ASK_AFTER)
    assert not waiters._probed


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
