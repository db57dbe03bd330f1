"""A waiter that stands still, or has gone without a word, does not hold up others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from django_redislock import LockError, lock, lock_backends
from django_redislock.backends.base import Claim, Grant
from django_redislock.backends.waiters import Turn
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.threads import no_thread_can_start


class StillLoop:
    """An event loop in which a task waits for `a`, and which does not run any more."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        before = jobs.queue_length("a")
        self.task = self.loop.create_task(lock("a").aacquire(wait=60))
        self.loop.run_until_complete(self._until_queued(before + 1))

    async def _until_queued(self, number: int) -> None:
        while jobs.queue_length("a") < number:
            await asyncio.sleep(0.001)

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def end(self) -> None:
        if self.loop.is_closed():
            self.task._log_destroy_pending = False
            with suppress(RuntimeError):  # asyncio's own, which finds its loop closed
                self.task.get_coro().close()
            return
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.task)
        self.close()


@pytest.fixture
def still_loop(place: Place, request: pytest.FixtureRequest, use: UsePlace) -> Iterator[Any]:
    """It is the first who waits for `a`; `lock("a")` is held."""
    use(place.url, prefix=place.prefix, entry={"OPTIONS": {"grant_lease": request.param}})
    held = lock("a", lease=60)
    held.acquire()
    still = StillLoop()
    waiter = lock("a", lease=60)
    thread = threading.Thread(target=waiter.acquire, args=(60,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 2)
    yield still, held, thread
    thread.join()
    waiter.release()
    still.end()


@pytest.mark.parametrize("still_loop", [1.0], indirect=True)
def test_a_waiter_whose_loop_is_blocked_costs_the_others_the_grant_lease(still_loop: Any) -> None:
    _, held, thread = still_loop
    held.release()
    thread.join(30)
    assert not thread.is_alive()


def test_five_whose_loop_is_blocked_cost_no_more_than_one(use: UsePlace, place: Place) -> None:
    """Their turns are taken back, the later ones at once."""
    use(place.url, prefix=place.prefix, entry={"OPTIONS": {"grant_lease": 20.0}})
    held, waiter = lock("a", lease=60), lock("a", lease=60)
    held.acquire()
    still = [StillLoop()]
    loop = still[0].loop
    others = [loop.create_task(lock("a").aacquire(wait=60)) for _ in range(4)]
    loop.run_until_complete(still[0]._until_queued(5))
    thread = threading.Thread(target=waiter.acquire, args=(60,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 6)
    began = time.monotonic()
    held.release()
    thread.join(40)
    took = time.monotonic() - began
    try:
        assert waiter.held
        assert took < 15, "each of them has cost a grant lease"
    finally:
        for task in others:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
        still[0].end()
        waiter.release()


def test_the_next_look_is_due_when_the_lease_ends_that_a_look_was_granted(place: Place) -> None:
    """Whoever got it may leave it to its end, and the server tells nobody of that."""
    backend = lock_backends["default"]
    before = time.monotonic()
    granted = backend.acquire(Claim("a", "0" * 32, 1, 0.5, ""), 10)
    assert isinstance(granted, Grant)
    assert before < backend.wakeups._looks.earliest() < time.monotonic() + 0.5
    backend.release("a", "0" * 32)


def test_another_hold_of_a_semaphore_may_end_before_the_one_that_a_look_was_granted(
    place: Place,
) -> None:
    """Both holders were killed, and the second lease ends soon after the first."""
    backend = lock_backends["default"]
    for token, lease in (("1" * 32, 1.0), ("2" * 32, 1.5)):
        assert isinstance(backend.acquire(Claim("a", token, 2, lease, "")), Grant)
    waiters = [lock("a", limit=2, lease=60) for _ in range(2)]
    threads = [threading.Thread(target=waiter.acquire, args=(40,)) for waiter in waiters]
    for thread in threads:
        thread.start()
    wait_until(lambda: jobs.queue_length("a") == 2)
    began = time.monotonic()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    for waiter in waiters:
        waiter.release()
    assert took < 20, "the second has waited for the lease of the first"


def test_leases_that_end_by_themselves_follow_each_other(place: Place) -> None:
    def take() -> None:
        handle = lock("a", lease=0.2, renew=False)
        assert handle.acquire(wait=40)
        with suppress(LockError):  # it may be over already
            handle.detach()

    threads = [threading.Thread(target=take) for _ in range(10)]
    with lock("a", lease=60):
        for thread in threads:
            thread.start()
        wait_until(lambda: jobs.queue_length("a") == 10)
    for thread in threads:
        thread.join(50)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("still_loop", [40.0], indirect=True)
def test_a_waiter_whose_loop_was_closed_costs_the_others_nothing(still_loop: Any) -> None:
    still, held, thread = still_loop
    still.close()
    held.release()
    thread.join(30)
    assert not thread.is_alive()


def test_a_thread_that_could_not_be_started_to_listen_is_started_for_the_next(place: Place) -> None:
    with lock("a", lease=60):
        with no_thread_can_start():
            with pytest.raises(LockError, match="thread"):
                lock("a").acquire(wait=60)
        waiter = lock("a")
        thread = threading.Thread(target=waiter.acquire, args=(60,))
        thread.start()
        wait_until(lambda: jobs.queue_length("a") == 1)
    thread.join()
    waiter.release()


def test_a_hand_over_holds_for_no_more_than_its_lease_whatever_the_server_says_of_the_time(
    place: Place,
) -> None:
    """Its clock was set forward between what the waiter asked and its turn."""
    backend = lock_backends["default"]
    with lock("a", lease=60):
        waiter = lock("a", lease=60)
        thread = threading.Thread(target=waiter.acquire, args=(60,))
        thread.start()
        wait_until(lambda: jobs.queue_length("a") == 1)
        (waiting,) = backend.inspect("a")[1]
        in_an_hour = jobs.server_time(place) + 3600
        assert backend.waiters.notify("a", waiting.token, Turn(1, in_an_hour))
        thread.join()
        assert waiter.remaining() <= backend.grant_lease
    with suppress(LockError):
        waiter.release()
