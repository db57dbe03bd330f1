"""Faults that the model of the protocol has found in the real code."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_redislock import LockLost, LockUnavailable, lock, lock_backends
from django_redislock.backends.base import (
    BaseLockBackend,
    Busy,
    Claim,
    Extended,
    Extension,
    Grant,
    Within,
)
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.holder import Holder
from tests.support.another_thread import in_thread
from tests.support.places import Place
from tests.support.processes import wait_until
from tests.support.settled import settle

HOLDER = Holder(host="test").pack()
WITHIN = 20.0  # seconds; a deadline for a machine under load


@pytest.fixture
def backend(place: Place) -> BaseLockBackend:
    return lock_backends["default"]


class Unanswered:
    """The first acquire that queues gets no answer in time. It arrives at `arrive()`."""

    def __init__(self, backend: BaseLockBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.acquire, self.late = backend.acquire, list[tuple[Claim, float]]()
        monkeypatch.setattr(backend, "acquire", self.acquire_late)

    def acquire_late(self, claim: Claim, stay: float = 0.0, within: Within = None) -> Grant | Busy:
        if stay and not self.late:
            self.late.append((claim, stay))
            raise LockUnavailable("no answer in time", name=claim.name)
        return self.acquire(claim, stay, within)

    def arrive(self) -> Grant | Busy:
        (late,) = self.late
        return self.acquire(*late)


def test_a_late_claim_of_an_attempt_whose_wait_is_over_is_refused(
    backend: BaseLockBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    unanswered = Unanswered(backend, monkeypatch)
    with lock("gap", reentrant=False):
        other = lock("gap", reentrant=False)
        assert in_thread(lambda: other.acquire(wait=0.8)) is False
    settle()
    assert isinstance(unanswered.arrive(), Busy)
    assert backend.inspect("gap") == ([], [])


def test_a_late_claim_of_a_released_hold_is_refused(
    backend: BaseLockBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    unanswered = Unanswered(backend, monkeypatch)
    before, held = lock("gap", lease=60), lock("gap")
    before.acquire()  # so that the attempt queues

    def release() -> None:
        wait_until(lambda: unanswered.late)
        before.release()

    with ThreadPoolExecutor(1) as pool:
        released = pool.submit(release)
        assert held.acquire(wait=WITHIN)
        released.result(WITHIN)
    held.release()
    settle()
    assert isinstance(unanswered.arrive(), Busy)
    assert backend.inspect("gap") == ([], [])


def test_a_late_claim_does_not_shorten_a_hold(backend: BaseLockBackend) -> None:
    claim = Claim("gap", "1" * 32, 1, 5.0, HOLDER)
    backend.acquire(claim)
    backend.extend(Extension("gap", claim.token, 60.0))
    backend.acquire(claim)
    (hold,), _ = backend.inspect("gap")
    assert hold.remaining > 30


def test_a_shorter_lease_without_an_answer_counts_at_once(
    backend: BaseLockBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    extend = backend.extend

    def extend_in_silence(extension: Extension) -> float | None:
        extend(extension)
        raise LockUnavailable("no answer in time", name="gap")

    with lock("gap", lease=60, renew=False) as held:
        with monkeypatch.context() as patch, pytest.raises(LockUnavailable):
            patch.setattr(backend, "extend", extend_in_silence)
            held.extend(5)
        (hold,), _ = backend.inspect("gap")
        assert held.remaining() <= hold.remaining < 6


class Overtaken:
    """The first renewal is carried out before an extension, and answered after it."""

    def __init__(self, backend: BaseLockBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        self._extend, self._extend_all = backend.extend, backend.extend_all
        self._renewals = 0
        self._renewed, self._extended = threading.Event(), threading.Event()
        monkeypatch.setattr(backend, "extend", self.extend)
        monkeypatch.setattr(backend, "extend_all", self.renew)

    def extend(self, extension: Extension) -> float | None:
        assert self._renewed.wait(WITHIN)
        return self._extend(extension)

    def renew(self, extensions: Sequence[Extension]) -> Sequence[Extended]:
        self._renewals += 1
        if self._renewals > 1:
            raise LockUnavailable("no answer in time", name="gap")
        results = self._extend_all(extensions)
        self._renewed.set()
        assert self._extended.wait(WITHIN)
        return results

    def answer(self) -> None:
        self._extended.set()


def test_a_renewal_overtaken_by_an_extension_is_ignored(
    backend: BaseLockBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.suppress(LockLost), lock("gap", lease=3) as held:
        overtaken = Overtaken(backend, monkeypatch)
        held.extend(1.5)
        overtaken.answer()
        while backend.inspect("gap")[0]:
            pass
        assert not held.held


def test_a_turn_that_arrives_twice_is_kept(
    backend: RedisLockBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver, received = backend.wakeups._deliver, list[Any]()

    def deliver_and_note(message: Any) -> None:
        received.append(message)
        deliver(message)

    monkeypatch.setattr(backend.wakeups, "_deliver", deliver_and_note)
    claim = Claim("gap", "1" * 32, 1, 60.0, HOLDER)
    backend.acquire(claim)
    waiter = lock("gap", lease=60)
    thread = threading.Thread(target=waiter.acquire, args=(WITHIN,))
    thread.start()
    while not backend.inspect("gap")[1]:
        assert thread.is_alive()
    # Released by another process, so that the turn arrives in a message, not with the reply.
    stranger = RedisLockBackend(backend.config)
    stranger.release("gap", claim.token)
    stranger.close()
    thread.join(WITHIN)
    (turn,) = [one for one in received if isinstance(one[2], bytes) and b"turn" in one[2]]
    deliver(turn)
    holds, _ = backend.inspect("gap")
    with contextlib.suppress(LockLost):
        waiter.release()
    assert [hold.token for hold in holds] == [waiter.token]
