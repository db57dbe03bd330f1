"""Waits for a grant: how long, and for what. No Redis here, and no sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from .backends.base import Busy, Grant
from .backends.waiters import TaskWaiter, ThreadWaiter
from .clock import monotonic
from .exceptions import LockUnavailable
from .twins import both

if TYPE_CHECKING:
    from collections.abc import Callable

    from .backends.base import BaseLockBackend, Claim
    from .backends.waiters import Turn
    from .twins import Call

__all__ = ["FIRST_ANSWER", "SHORTEST_STAY", "TOLERANCE", "Outcome", "wait_for_grant"]

# An endless wait keeps its place by asking again well within this time (seconds).
LONGEST_STAY = 3600.0
SHORTEST_STAY = 0.001

# The first answer, and the place in the queue, may take this long (seconds) together even if the
# wait is shorter.
FIRST_ANSWER = 1.0
# The last one is asked this long (seconds) before the wait is over, so that it can be answered. An
# answer that is fresher than this needs no other one.
LAST_LOOK = 0.25
# An answer may come this much (seconds) after the deadline: a wait is exact to some 50 ms.
TOLERANCE = 0.04
# So shortly (seconds) before the deadline nothing is asked any more.
TOO_LATE = 0.02

# A lease has surely ended this long (seconds) after it should have.
JUST_AFTER = 0.002

# How often (seconds) queued attempts ask a server that cannot be reached, for the time that
# PATIENCE gives it. An attempt that has not queued yet raises the error that it meets; one that was
# refused because the server is known to be away waits as well.
ASK_ABSENT_EVERY = 0.25
# Where the backend refuses to ask, and probes the server itself, they are notified when it is back.
# They look this often (seconds) all the same: no notification is relied on.
LOOK_AT_ABSENT_EVERY = 10.0


# How an attempt ended: with a grant or without; and whether a request was not answered, and so was
# repeated: the first may come late.
Outcome: TypeAlias = "tuple[Grant | None, bool]"


async def wait_for_grant(
    call: Call,
    backend: BaseLockBackend,
    claim: Claim,
    began: float,
    wait: float,
    found_busy: Callable[[Busy], object],
) -> Outcome:
    """Try to get the claim granted until ``wait`` seconds after ``began`` (monotonic).

    Other names may have been taken since ``began``, which count as well. ``found_busy`` is told
    what is in its way.

    The queue is the backend's: first in, first out, by hand-over. A queued attempt sleeps until it
    is notified of its turn, until the lease in its way should have ended, or until just before its
    wait is over, when it asks once more.

    Raises ``LockUnavailable``, also where the server gave no answer by the deadline. When it raises
    or returns without a grant after a wait, the claim may still be held or queued: the caller
    cancels it, unless nothing was asked.
    """
    deadline = began + wait
    answer_by = max(deadline, began + FIRST_ANSWER)
    busy: Busy | None = None
    if wait <= 0 or not backend.listening(claim.name):
        asked_at = monotonic()
        first = max(answer_by - asked_at, SHORTEST_STAY + TOLERANCE)
        try:
            if call.blocking:
                reply = backend.acquire(claim, 0.0, first)
            else:
                reply = await backend.aacquire(claim, 0.0, first)
        except LockUnavailable as error:
            if wait > 0 and _was_late(asked_at, answer_by):
                return None, error.asked
            if wait <= 0 or error.asked:
                raise
        else:
            if isinstance(reply, Grant):
                return reply, False
            found_busy(reply)
            if monotonic() >= deadline:
                return None, False
            busy = reply
    waiter = ThreadWaiter() if call.blocking else TaskWaiter()
    backend.enlist(claim, waiter)
    try:
        return await _queue_for(call, backend, claim, began, deadline, waiter, busy, found_busy)
    finally:
        backend.dismiss(claim.name, claim.token)


async def _queue_for(
    call: Call,
    backend: BaseLockBackend,
    claim: Claim,
    began: float,
    deadline: float,
    waiter: ThreadWaiter | TaskWaiter,
    busy: Busy | None,
    found_busy: Callable[[Busy], object],
) -> Outcome:
    absent_since: float | None = None
    asked_again = False
    last_look = deadline - LAST_LOOK
    answer_by = max(deadline + TOLERANCE, began + FIRST_ANSWER)
    while True:
        asked_at = monotonic()
        try:
            reply = await _ask(call, backend, claim, deadline, answer_by)
        except LockUnavailable as error:
            asked_again |= error.asked
            absent_since = absent_since or asked_at
            now = monotonic()
            is_first = absent_since == asked_at
            if is_first and now >= deadline and _was_late(asked_at, answer_by):
                return None, asked_again
            given_up_at = absent_since + backend.config.patience
            if now >= min(deadline, given_up_at):
                error.asked = asked_again or busy is not None
                raise
            pause = ASK_ABSENT_EVERY if error.asked else LOOK_AT_ABSENT_EVERY
            look_at = min(now + pause, given_up_at)
        else:
            if isinstance(reply, Grant):
                return reply, asked_again
            busy, absent_since = reply, None
            found_busy(busy)
            look_at = _next_look(busy, asked_at, last_look, deadline)
        turn = await _notified(call, waiter, min(look_at, deadline) - monotonic())
        answer_by = deadline + TOLERANCE
        if turn is None and asked_at >= last_look and deadline - monotonic() < TOO_LATE:
            turn = await _notified(call, waiter, deadline - monotonic())
        grant = _as_grant(backend, claim, turn, busy)
        if grant is not None:
            return grant, asked_again
        if monotonic() >= deadline and absent_since is None:
            return None, asked_again


async def _ask(
    call: Call, backend: BaseLockBackend, claim: Claim, deadline: float, answer_by: float
) -> Grant | Busy:
    """Keep the place in the queue until the deadline, or get the grant."""
    if not backend.listening(claim.name):
        left = max(deadline - monotonic(), SHORTEST_STAY)
        await both(call, backend.listen, backend.alisten, claim.name, min(left, LONGEST_STAY))
    now = monotonic()
    stay = min(max(deadline - now, SHORTEST_STAY), LONGEST_STAY)
    within = max(answer_by - now, SHORTEST_STAY + TOLERANCE)
    if call.blocking:
        return backend.acquire(claim, stay, within)
    return await backend.aacquire(claim, stay, within)


def _was_late(asked_at: float, answer_by: float) -> bool:
    """Whether the wait was nearly over when this was asked.

    The server has answered a moment ago, then, if only about another of several names: it is not
    blamed if it does not answer in time.
    """
    return asked_at > answer_by - TOLERANCE - LAST_LOOK / 2


def _next_look(busy: Busy, asked_at: float, last_look: float, deadline: float) -> float:
    """When to ask again, unless a turn comes before."""
    now = monotonic()
    if asked_at < last_look:
        return min(now + busy.look_in, now + LONGEST_STAY / 2, last_look)
    # After the last look only a lease that ends by itself is worth another question.
    lease_ends = now + busy.retry_in + JUST_AFTER
    return lease_ends if now < lease_ends < deadline else deadline


async def _notified(call: Call, waiter: ThreadWaiter | TaskWaiter, timeout: float) -> Turn | None:
    """Sleep until the waiter is notified, ``timeout`` seconds at most."""
    if isinstance(waiter, ThreadWaiter):
        return waiter.wait_for_turn(timeout)
    return await waiter.await_turn(max(0.0, timeout))


def _as_grant(
    backend: BaseLockBackend, claim: Claim, turn: Turn | None, busy: Busy | None
) -> Grant | None:
    """The grant that a turn is; None if this process stood still for longer than it holds."""
    if turn is None or busy is None or not backend.believes_turns:
        return None
    # The backend's clock may have been set since it was read: a turn is not believed for longer
    # than a hand-over holds.
    now = monotonic()
    ends = min(busy.clock + turn.expires, now + min(claim.lease, backend.grant_lease))
    return Grant(turn.fence, ends, confirmed=False) if ends > now else None
