"""Driver of the contract suite: the verbs of a backend, and a waiter that is notified."""

# ruff: noqa: S101 - these are tests

from __future__ import annotations

import asyncio
import itertools
import queue
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from django_redislock.backends.base import (
    BaseLockBackend,
    Busy,
    Claim,
    Extension,
    Grant,
    Holder,
)
from django_redislock.backends.waiters import Turn, Waiter

from ..clock import monotonic
from ..queues import take_within

__all__ = ["LONG", "SHORT", "Recorder", "Verbs", "outlive", "wait_until"]

T = TypeVar("T")

# Seconds; deadlines for a machine under load, not expectations.
WITHIN = 30.0
LONG = 30.0
TRIES = 20
# A lease that a test waits out. On a busy machine it may end before the next line runs, so a hold
# that must exist first starts with a LONG lease and is shortened later.
SHORT = 0.1


class Recorder(Waiter):
    """A waiter that records its notifications."""

    def __init__(self) -> None:
        self._turns: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()

    def notify(self, turn: Turn | None) -> bool:
        self._turns.put(turn)
        return True

    def turn(self) -> Turn:
        """Wait for a turn and return it. Fails if none comes."""
        try:
            while (turn := take_within(self._turns, WITHIN)) is None:
                pass  # a notification without a turn: try again
        except queue.Empty:
            pytest.fail(f"no turn came within {WITHIN:g} s")
        return turn

    @property
    def notified(self) -> bool:
        """Whether a notification has come that ``turn()`` has not read."""
        return not self._turns.empty()


class Verbs:
    """The verbs of a backend, called from a thread or, with a loop, as coroutines."""

    def __init__(self, backend: BaseLockBackend, loop: asyncio.AbstractEventLoop | None) -> None:
        self.backend = backend
        self._loop = loop
        self._tokens = (f"token-{number}" for number in itertools.count(1))

    def claim(
        self, name: str = "a", *, token: str = "", limit: int = 1, lease: float = LONG
    ) -> Claim:
        token = token or next(self._tokens)
        return Claim(name, token, limit, lease, Holder(what=token).pack())

    def acquire(self, claim: Claim, stay: float = 0.0) -> Grant | Busy:
        return self._call(self.backend.acquire, self.backend.aacquire, claim, stay)

    def release(self, claim: Claim) -> bool:
        return self._call(self.backend.release, self.backend.arelease, claim.name, claim.token)

    def extend(self, extension: Extension) -> float | None:
        return self._call(self.backend.extend, self.backend.aextend, extension)

    def cancel(self, claim: Claim, late: float = 0.0, *, keep_hold: bool = False) -> None:
        self.backend.cancel(claim.name, claim.token, late, keep_hold=keep_hold)

    def hold(self, claim: Claim) -> Grant:
        """Acquire a name that is free."""
        grant = self.acquire(claim)
        assert isinstance(grant, Grant)
        return grant

    def hold_and_extend(self, lease: float, longer: float) -> tuple[Claim, float | None]:
        """Extend a hold before it ends, and return its claim and its new end.

        Repeated if the lease had ended by then, as happens when the machine is suspended.
        """
        for _ in range(TRIES):
            claim = self.claim(lease=lease)
            known_to_end = self.hold(claim).ends
            ends = self.extend(Extension(claim.name, claim.token, longer))
            if ends is not None or monotonic() < known_to_end:
                break
        return claim, ends

    def shorten(self, claim: Claim) -> None:
        """Shorten the lease of a hold to SHORT from now."""
        ends = self.extend(Extension(claim.name, claim.token, SHORT))
        assert ends is not None

    def is_busy(self, claim: Claim) -> bool:
        return isinstance(self.acquire(claim), Busy)

    def position(self, claim: Claim, stay: float = 0.0) -> int:
        """Try to acquire a busy name, and return the place in its queue."""
        if stay:
            self.backend.waiters.enter(claim.name, claim.token, Recorder())
        busy = self.acquire(claim, stay)
        assert isinstance(busy, Busy)
        return busy.position

    def queue_up(self, claim: Claim, stay: float = LONG) -> Recorder:
        """Add the claim to the queue of a busy name."""
        recorder = Recorder()
        self.backend.waiters.enter(claim.name, claim.token, recorder)
        self._call(self.backend.listen, self.backend.alisten, claim.name, WITHIN)
        assert isinstance(self.acquire(claim, stay), Busy)
        return recorder

    def holders(self, name: str = "a") -> list[str]:
        holds, _ = self._call(self.backend.inspect, self.backend.ainspect, name)
        return [hold.token for hold in holds]

    def waiting(self, name: str = "a") -> list[str]:
        _, waiting = self._call(self.backend.inspect, self.backend.ainspect, name)
        return [one.token for one in waiting]

    def _call(
        self, verb: Callable[..., T], twin: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> T:
        if self._loop is None:
            return verb(*args)
        return self._loop.run_until_complete(twin(*args))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + WITHIN
    while not condition():
        assert monotonic() < deadline, f"not within {WITHIN:g} s"
        time.sleep(0.002)


def outlive() -> None:
    """Sleep until a SHORT lease has ended on the backend's clock, too."""
    time.sleep(SHORT + 0.02)
