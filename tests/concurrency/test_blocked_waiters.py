"""Blocked or vanished waiters, which must not hold up others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from django_redislock import LockError, LockLost, lock, lock_backends
from django_redislock.backends.base import Claim, Extension, Grant
from django_redislock.backends.redis.wakeups import connection
from django_redislock.backends.waiters import Turn
from tests.concurrency import jobs
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.threads import no_thread_can_start


class BlockedLoop:
    """An event loop that is blocked while a task in it waits for `a`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        before = jobs.queue_length("a")
        self.task = self.loop.create_task(lock("a").aacquire(wait=60))
        self.loop.run_until_complete(self._until_queued(before + 1))

    async def _until_queued(self, number: int) -> None:
        while jobs.queue_length("a") < number:
            await asyncio.sleep(0.001)

    def end(self) -> None:
        if self.loop.is_closed():
            self.task._log_destroy_pending = False
            with suppress(RuntimeError):  # raised by asyncio, whose loop is closed
                self.task.get_coro().close()
            return
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self.task)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture
def blocked_loop(place: Place, request: pytest.FixtureRequest, use: UsePlace) -> Iterator[Any]:
    """A blocked loop with the first waiter for `a`, the held lock, and the second waiter."""
    use(place.url, prefix=place.prefix, entry={"OPTIONS": {"grant_lease": request.param}})
    held = lock("a", lease=60)
    held.acquire()
    blocked = BlockedLoop()
    waiter = lock("a", lease=60)
    thread = threading.Thread(target=waiter.acquire, args=(60,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 2)
    yield blocked, held, thread
    thread.join()
    waiter.release()
    blocked.end()


@pytest.mark.parametrize("blocked_loop", [1.0], indirect=True)
def test_a_waiter_with_a_blocked_loop_delays_others_by_the_grant_lease(blocked_loop: Any) -> None:
    _, held, thread = blocked_loop
    held.release()
    thread.join(30)
    assert not thread.is_alive()


def test_five_waiters_with_a_blocked_loop_delay_others_no_longer_than_one(
    use: UsePlace, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first turn was taken back, the other turns are taken back at once."""
    monkeypatch.setattr(connection, "LINGER", 60.0)  # or the thread would look that often anyway
    use(place.url, prefix=place.prefix, entry={"OPTIONS": {"grant_lease": 20.0}})
    held, waiter = lock("a", lease=60), lock("a", lease=60)
    held.acquire()
    blocked = [BlockedLoop()]
    loop = blocked[0].loop
    others = [loop.create_task(lock("a").aacquire(wait=60)) for _ in range(4)]
    loop.run_until_complete(blocked[0]._until_queued(5))
    thread = threading.Thread(target=waiter.acquire, args=(60,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 6)
    began = time.monotonic()
    held.release()
    thread.join(40)
    took = time.monotonic() - began
    try:
        assert waiter.held
        assert took < 15, "each of them has taken a grant lease"
    finally:
        for task in others:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
        blocked[0].end()
        waiter.release()


def test_the_next_look_is_due_when_the_granted_lease_ends(place: Place) -> None:
    """The holder may let the lease end, of which the server sends no message."""
    backend = lock_backends["default"]
    before = time.monotonic()
    granted = backend.acquire(Claim("a", "0" * 32, 1, 0.5, ""), 10)
    assert isinstance(granted, Grant)
    assert before < backend.wakeups._looks.earliest() < time.monotonic() + 0.5
    backend.release("a", "0" * 32)


def test_waiters_notice_when_another_hold_of_the_semaphore_ends_first(place: Place) -> None:
    """As if both holders were killed: the second lease ends soon after the first."""
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


def test_leases_that_end_by_themselves_are_all_noticed(place: Place) -> None:
    def take() -> None:
        handle = lock("a", lease=0.2, renew=False)
        # On a busy machine the lease may be over before the waiter learns of it.
        with suppress(LockLost):
            assert handle.acquire(wait=40)
            handle.detach()

    threads = [threading.Thread(target=take) for _ in range(10)]
    with lock("a", lease=60):
        for thread in threads:
            thread.start()
        wait_until(lambda: jobs.queue_length("a") == 10)
    for thread in threads:
        thread.join(50)
    assert not any(thread.is_alive() for thread in threads)


def test_many_waiters_with_a_blocked_loop_are_not_asked_to_look_one_by_one(place: Place) -> None:
    """No message reports the end of the lease, so one waiter has to look for all."""
    backend, waiter = lock_backends["default"], lock("a", lease=60)
    assert isinstance(backend.acquire(Claim("a", "0" * 32, 1, 60.0, "")), Grant)
    blocked = BlockedLoop()
    others = [blocked.loop.create_task(lock("a").aacquire(wait=60)) for _ in range(79)]
    blocked.loop.run_until_complete(blocked._until_queued(80))
    thread = threading.Thread(target=waiter.acquire, args=(60,))
    thread.start()
    wait_until(lambda: jobs.queue_length("a") == 81)
    assert backend.extend(Extension("a", "0" * 32, 0.1))
    thread.join(20)
    was_asked = not thread.is_alive()
    for task in others:
        task.cancel()
    blocked.loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
    blocked.end()
    thread.join()
    waiter.release()
    assert was_asked


@pytest.mark.parametrize("blocked_loop", [40.0], indirect=True)
@pytest.mark.parametrize("closed", ["before its turn", "with its turn"])
def test_a_waiter_with_a_closed_loop_does_not_delay_others(blocked_loop: Any, closed: str) -> None:
    blocked, held, thread = blocked_loop
    blocked.loop.run_until_complete(blocked.loop.shutdown_asyncgens())
    if closed == "before its turn":
        blocked.loop.close()
    held.release()
    if closed == "with its turn":
        blocked.loop.close()
    thread.join(30)
    assert not thread.is_alive()


def test_a_listening_thread_that_failed_to_start_is_started_for_the_next_waiter(
    place: Place,
) -> None:
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


def test_a_turn_is_never_held_for_longer_than_the_grant_lease(place: Place) -> None:
    """The server's clock may be set forward between the acquire and the turn."""
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
