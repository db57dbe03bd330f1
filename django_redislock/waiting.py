"""How long to wait and what to wait for. No Redis here, and no sleep."""

from __future__ import annotations

from time import monotonic
from typing import Any, NamedTuple

from .backends.base import BaseLockBackend, Busy, Claim, Grant
from .backends.waiters import TaskWaiter, ThreadWaiter, Turn
from .exceptions import LockUnavailable
from .steps import Step, Steps

__all__ = ["Outcome", "attempt"]

# An endless wait keeps its place by asking again well within this time (seconds).
LONGEST_STAY = 3600.0

# For so long (seconds) a server that went away may come back before those who queue give up; this
# often they ask. One that cannot be reached at the first question is not waited for.
ABSENCE = 5.0
ASK_ABSENT_EVERY = 0.25

SHORTEST_STAY = 0.001


class Outcome(NamedTuple):
    """How an attempt ended: with a grant or without; and what was in its way, if anything."""

    grant: Grant | None
    busy: Busy | None


def attempt(backend: BaseLockBackend, claim: Claim, wait: float) -> Steps[Outcome]:
    """Try for ``wait`` seconds to get the claim granted; afterwards it does not wait any more.

    The queue is the backend's: first in, first out, by hand-over. A queued attempt sleeps until it
    hears of its turn, the backend asks it to look again, or the wait is over.

    Raises ``LockUnavailable``. When it raises anything, the claim may be held or queued: the caller
    cancels it.
    """
    deadline = monotonic() + wait
    if wait <= 0 or not backend.listening(claim.name):
        reply: Grant | Busy = yield Step(backend.acquire, backend.aacquire, (claim,))
        if isinstance(reply, Grant):
            return Outcome(reply, None)
        if wait <= 0:
            return Outcome(None, reply)
    waiter = yield Step(ThreadWaiter, _task_waiter)
    backend.enlist(claim, waiter)
    try:
        outcome = yield from _queue(backend, claim, deadline, waiter)
        if outcome.grant is None:
            yield Step(backend.cancel, backend.acancel, (claim.name, claim.token))
        return outcome
    finally:
        backend.dismiss(claim)


def _queue(backend: BaseLockBackend, claim: Claim, deadline: float, waiter: Any) -> Steps[Outcome]:
    busy: Busy | None = None
    absent: LockUnavailable | None = None
    absent_since = 0.0
    while (left := deadline - monotonic()) > 0:
        try:
            yield Step(backend.listen, backend.alisten, (claim.name, min(left, LONGEST_STAY)))
            stay = min(max(deadline - monotonic(), SHORTEST_STAY), LONGEST_STAY)
            reply: Grant | Busy = yield Step(backend.acquire, backend.aacquire, (claim, stay))
        except LockUnavailable as error:
            now = monotonic()
            absent_since = now if absent is None else absent_since
            if now - absent_since > ABSENCE:
                raise
            absent, pause = error, ASK_ABSENT_EVERY
        else:
            if isinstance(reply, Grant):
                return Outcome(reply, busy)
            absent, busy, pause = None, reply, min(reply.look_in, LONGEST_STAY / 2)
        pause = max(0.0, min(pause, deadline - monotonic()))
        turn: Turn | None = yield Step(ThreadWaiter.hear, TaskWaiter.ahear, (waiter, pause))
        if turn is not None and busy is not None:
            # The backend's clock may have been set since it was read: it is not believed for longer
            # than a hand-over holds.
            longest = monotonic() + min(claim.lease, backend.grant_lease)
            ends = min(busy.clock + turn.expires, longest)
            grant = Grant(turn.fence, ends, confirmed=False)
            # Otherwise this process stood still for longer than a hand-over holds: it queues anew.
            if grant.ends > monotonic():
                return Outcome(grant, busy)
    if absent is not None:
        raise absent
    return Outcome(None, busy)


async def _task_waiter() -> TaskWaiter:
    return TaskWaiter()
