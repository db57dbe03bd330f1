"""Breaker for a hanging server: callers wait for one time-out, and go on when it is back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_redislock import LockUnavailable, lock, lock_backends
from django_redislock.backends.base import Extension
from django_redislock.local.background import background
from django_redislock.local.registry import registry
from django_redislock.testing.servers import EmbeddedServer
from tests.concurrency.away import PATIENCE, SLACK, find_out, is_open, refused
from tests.support.processes import frozen, wait_until
from tests.support.threads import our_threads

# An attempt that does not wait gives the server this long (seconds).
FIRST_ANSWER = 1.0


@pytest.fixture
def server(own_server: EmbeddedServer, use: Any) -> Iterator[EmbeddedServer]:
    use(own_server.url, entry={"PATIENCE": PATIENCE})
    with lock("warm"):
        pass
    yield own_server
    lock_backends["default"].close()


def seconds_of(function: Any, *arguments: Any, **options: Any) -> float:
    began = time.monotonic()
    function(*arguments, **options)
    return time.monotonic() - began


def in_threads(number: int, function: Any) -> None:
    threads = [threading.Thread(target=function) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fails() -> None:
    with pytest.raises(LockUnavailable):
        lock("a").acquire(wait=0)


async def afails() -> None:
    with pytest.raises(LockUnavailable):
        await lock("a").aacquire(wait=0)


def test_twenty_threads_wait_for_one_time_out_together_and_then_for_none(
    server: EmbeddedServer,
) -> None:
    with frozen(server.pid):
        assert seconds_of(in_threads, 20, fails) < FIRST_ANSWER + SLACK
        assert is_open()
        # Two hundred of them in less than one time-out.
        assert seconds_of(lambda: [refused() for _ in range(200)]) < FIRST_ANSWER
    wait_until(lambda: not is_open())
    with lock("a", wait=30):  # earlier requests are cancelled first
        pass


async def test_twenty_tasks_wait_for_one_time_out_together_and_then_for_none(
    server: EmbeddedServer,
) -> None:
    with frozen(server.pid):
        began = time.monotonic()
        await asyncio.gather(*(afails() for _ in range(20)))
        assert time.monotonic() - began < FIRST_ANSWER + SLACK
        assert is_open()
        began = time.monotonic()
        await asyncio.gather(*(afails() for _ in range(200)))
        assert time.monotonic() - began < FIRST_ANSWER
    await asyncio.to_thread(wait_until, lambda: not is_open())
    async with lock("a", wait=30):
        pass


def test_two_aliases_of_one_server_share_their_breaker(
    own_server: EmbeddedServer, settings: Any
) -> None:
    settings.LOCKS = {
        alias: {"LOCATION": own_server.url, "KEY_PREFIX": alias} for alias in ("default", "other")
    }
    with lock("warm", using="other"):
        pass
    with frozen(own_server.pid):
        find_out()
        with pytest.raises(LockUnavailable) as error:
            lock("a", using="other").acquire(wait=0)
        assert not error.value.asked
        assert is_open("other")
        waiter = lock("b", using="other", wait=30)
        thread = threading.Thread(target=waiter.acquire)
        thread.start()
    # Waiters of the other alias are woken, too.
    assert seconds_of(thread.join) < 5
    assert waiter.held
    waiter.release()


def test_the_error_of_a_refused_attempt_says_what_the_server_did(server: EmbeddedServer) -> None:
    with frozen(server.pid):
        find_out()
        error = refused()
    assert error.__cause__ is not None
    assert f"at 127.0.0.1:{server.port} accepted the connection and gave no answer" in str(error)
    assert error.name == "a"


def test_listing_extending_and_detaching_are_refused_at_once(server: EmbeddedServer) -> None:
    backend = lock_backends["default"]
    with lock("held", lease=60) as held, frozen(server.pid):
        find_out()
        calls = (
            *(backend.list, held.owned, held.extend),
            *(lambda: held.detach(lease=9), lambda: backend.listen("nobody waits yet", 9.0)),
        )
        for call in calls:
            with pytest.raises(LockUnavailable) as error:
                call()
            assert not error.value.asked
    wait_until(lambda: not is_open())


@pytest.mark.parametrize("verb", ["extend", "detach"])
def test_a_shorter_lease_that_was_not_sent_is_ignored(server: EmbeddedServer, verb: str) -> None:
    held = lock("a", lease=60)
    held.acquire()
    with frozen(server.pid):
        find_out()
        with pytest.raises(LockUnavailable):
            held.extend(1) if verb == "extend" else held.detach(lease=1)
        assert held.remaining() > 10
    wait_until(lambda: not is_open())
    held.release()


def test_a_refused_release_is_done_in_the_background(server: EmbeddedServer) -> None:
    held = lock("a", lease=300)
    held.acquire()
    with frozen(server.pid):
        find_out()
        with pytest.raises(LockUnavailable):
            held.release()
    with lock("a", wait=30) as again:
        assert again.fence > held.fence


def test_a_renewal_is_sent_while_the_server_is_away(server: EmbeddedServer) -> None:
    backend = lock_backends["default"]
    with lock("a", lease=60, renew=False) as held:
        other = Extension("b", "its token", 90)
        renewals = [other, Extension("a", held.token, 90, renewal=True)]
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.extend(backend.extend_all(renewals)))
        with frozen(server.pid):
            find_out()
            thread.start()
            refused()
            assert thread.is_alive()
        thread.join()
        assert answers[0] is None
        assert answers[1] > time.monotonic() + 60


def test_a_hold_survives_an_outage_shorter_than_its_lease(server: EmbeddedServer) -> None:
    with lock("a", lease=9) as held:
        with frozen(server.pid):
            find_out()
            # Until a renewal is due and has been sent.
            wait_until(lambda: held.remaining() < 5.5)
        wait_until(lambda: held.remaining() > 6)
        assert held.owned()


def test_an_attempt_that_sent_nothing_leaves_nothing_to_cancel(server: EmbeddedServer) -> None:
    def jobs() -> int:
        return sum(len(worker._jobs) for worker in background._workers.values())

    with frozen(server.pid):
        find_out()
        wait_until(lambda: not registry.attempts)
        before = jobs()
        for number in range(100):
            refused(f"name-{number}")
        wait_until(lambda: not registry.attempts)
        assert jobs() <= before


def test_the_probe_ends_when_the_server_is_back(server: EmbeddedServer) -> None:
    with frozen(server.pid):
        find_out()
        refused()
        wait_until(lambda: "django_redislock-probe" in our_threads())
    wait_until(lambda: "django_redislock-probe" not in our_threads())
