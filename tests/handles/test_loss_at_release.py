"""Losses that are noticed only by the release, which are reported like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Thread, current_thread
from typing import Any

import pytest
from django.db import transaction

from django_redislock import LockLost, MultiLock
from django_redislock.handles import attempts
from django_redislock.local.registry import registry
from django_redislock.signals import lock_lost
from tests.support.processes import wait_until
from tests.support.settled import settle


@pytest.fixture(params=["sync", "async"])
def received(request: pytest.FixtureRequest) -> Iterator[list[tuple[Any, str]]]:
    """The locks and reasons that a receiver of ``lock_lost`` got, perhaps a coroutine function."""
    losses: list[tuple[Any, str]] = []

    def receive(lock: Any, reason: str, **named: Any) -> None:
        losses.append((lock, reason))

    async def areceive(lock: Any, reason: str, **named: Any) -> None:
        losses.append((lock, reason))

    receiver = receive if request.param == "sync" else areceive
    lock_lost.connect(receiver)
    yield losses
    lock_lost.disconnect(receiver)


class Lost:
    """A held handle whose hold has already ended in the backend."""

    def __init__(self, make: Any) -> None:
        self.threads: list[str] = []
        self.handle = make(on_lost=lambda held: self.threads.append(current_thread().name))
        self.handle.acquire()
        backend, hold = self.handle.backend, self.handle._hold
        # No message arrives, as while the wake-up connection is down.
        backend.on_force_release = lambda *gone: None
        assert backend.force_release("a", hold.token)

    def judge(self, losses: list[tuple[Any, str]]) -> None:
        # A loss in the test before this one may be reported only now.
        wait_until(lambda: self.handle in [lock for lock, _ in losses] and self.threads)
        (reason,) = [reason for lock, reason in losses if lock is self.handle]
        assert "released by force" in reason
        assert self.threads == ["django_redislock-lost"], "user code may take long"
        assert self.handle._hold not in registry.holds


@pytest.mark.parametrize("several", [False, True], ids=["one name", "several"])
def test_a_release_that_reports_a_loss_ends_no_later_hold_of_the_token(
    make: Any, monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    """Unlike a release without an answer, it is not repeated in the background."""
    sweep = registry.sweep
    monkeypatch.setattr(registry, "sweep", lambda: None)  # of our own thread
    first, later = make(token="0" * 32), make(token="0" * 32)
    first.acquire()
    assert first.backend.release("a", first.token)
    with pytest.raises(LockLost):
        (MultiLock([first], wait=0) if several else first).release()
    later.acquire()
    sweep()
    settle()
    assert later.owned()
    later.release()


def test_a_release_by_a_thread_reports_the_loss_once(
    make: Any, received: list[tuple[Any, str]]
) -> None:
    lost = Lost(make)
    with pytest.raises(LockLost, match="released by force"):
        lost.handle.release()
    lost.judge(received)


async def test_a_release_by_a_task_reports_the_loss_once(
    make: Any, received: list[tuple[Any, str]]
) -> None:
    lost = Lost(make)
    with pytest.raises(LockLost, match="released by force"):
        await lost.handle.arelease()
    await asyncio.to_thread(lost.judge, received)


def test_a_loss_is_raised_if_another_thread_notices_it_during_the_release(
    make: Any, received: list[tuple[Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is frozen after the release has found the lease intact."""

    def pause(handle: Any, hold: Any, *, whole: bool) -> None:
        if whole:
            wait_until(lambda: not hold.undecided)

    monkeypatch.setattr(attempts, "tie_to_transactions", pause)
    handle = make(renew=False)
    handle.acquire()
    handle.extend(0.3)
    with pytest.raises(LockLost, match="its lease ran out"):
        handle.release()
    assert handle.lost
    wait_until(lambda: handle in [lock for lock, _ in received])
    assert [reason for lock, reason in received if lock is handle] == ["its lease ran out"]


@pytest.mark.django_db(transaction=True)
def test_a_loss_is_not_logged_again_at_the_end_of_the_transaction(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # A name of its own, since the loss of "a" in the test before this one may be logged only now.
    handle = make("late", renew=False)
    with transaction.atomic():
        handle.acquire()
        handle.extend(0.3)
        wait_until(lambda: [record for record in caplog.records if "Lost 'late'" in record.message])
    assert not [record for record in caplog.records if "At the end" in record.message]


def test_a_release_that_finds_the_loss_starts_no_thread(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to Python 3.11 an exception that is set in a thread may kill one that it is starting.

    ``Thread.start()`` then waits for ever.
    """
    start, started_by = Thread.start, []

    def note(thread: Thread) -> None:
        started_by.append(current_thread())
        start(thread)

    lost = Lost(make)
    monkeypatch.setattr(Thread, "start", note)
    with pytest.raises(LockLost, match="released by force"):
        lost.handle.release()
    wait_until(lambda: lost.threads)
    assert started_by
    assert current_thread() not in started_by
