"""Waits for a grant: how long, and for what. There is no Redis here, and no sleep."""

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

# A request keeps a place in the queue for at most this long (seconds). A longer wait repeats its
# request well within this time.
LONGEST_STAY = 3600.0
SHORTEST_STAY = 0.001

# The first answer and joining the queue may take this long (seconds) together, even if the wait is
# shorter.
FIRST_ANSWER = 1.0
# The last request is sent this long (seconds) before the wait is over, so that it can be answered.
# If the latest answer is more recent than this, no other request is needed.
LAST_LOOK = 0.25
# An answer may come this long (seconds) after the deadline: a wait is exact to about 50 ms.
TOLERANCE = 0.04
# This close (seconds) to the deadline, no request is sent any more.
TOO_LATE = 0.02

# This long (seconds) after its expected end, a lease has certainly ended.
JUST_AFTER = 0.002

# How often (seconds) queued attempts try a server that cannot be reached, for as long as PATIENCE
# says. An attempt that has not queued yet raises the error instead, unless its request was refused
# because the server is known to be unreachable: then it waits as well.
ASK_ABSENT_EVERY = 0.25
# A backend that refuses requests probes the server itself, and notifies the attempts when it is
# back. They still look this often (seconds), since no notification is relied on.
LOOK_AT_ABSENT_EVERY = 10.0


# How an attempt ended: its grant, if any; and whether an unanswered request was repeated, so that
# the first one may still arrive.
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

    Time spent since ``began`` on other names of the same attempt counts as well. ``found_busy`` is
    called with each busy reply.

    The backend has the queue: first in, first out, by hand-over. A queued attempt sleeps until it
    is notified of its turn, until the lease in its way should have ended, or until just before its
    wait is over, when it asks once more.

    Raises ``LockUnavailable``, also if the server gave no answer by the deadline. When it raises or
    returns without a grant after a wait, the claim may still be held or queued: the caller cancels
    it, unless the error's ``sent`` is False.
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
    asked_again = sent = False
    last_look = deadline - LAST_LOOK
    answer_by = max(deadline + TOLERANCE, began + FIRST_ANSWER)
    while True:
        asked_at = monotonic()
        try:
            reply = await _ask(call, backend, claim, deadline, answer_by)
        except LockUnavailable as error:
            asked_again |= error.asked
            sent |= error.sent
            absent_since = absent_since or asked_at
            now = monotonic()
            is_first = absent_since == asked_at
            if is_first and now >= deadline and _was_late(asked_at, answer_by):
                return None, asked_again
            given_up_at = absent_since + backend.config.patience
            if now >= min(deadline, given_up_at):
                # The error is about all requests of this attempt, of which one may have arrived.
                error.asked = asked_again or busy is not None
                error.sent = sent or busy is not None
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
    """Get the grant, or else a place in the queue until the deadline."""
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
    """Whether the wait was nearly over when the request was sent.

    If so, the server answered a moment ago, perhaps for another of several names, and does not
    count as unavailable if it now misses the deadline.
    """
    return asked_at > answer_by - TOLERANCE - LAST_LOOK / 2


def _next_look(busy: Busy, asked_at: float, last_look: float, deadline: float) -> float:
    """When to ask again, unless the turn comes before."""
    now = monotonic()
    if asked_at < last_look:
        return min(now + busy.look_in, now + LONGEST_STAY / 2, last_look)
    # After the last request, only a lease that runs out is worth another one.
    lease_ends = now + busy.retry_in + JUST_AFTER
    return lease_ends if now < lease_ends < deadline else deadline


async def _notified(call: Call, waiter: ThreadWaiter | TaskWaiter, timeout: float) -> Turn | None:
    """Sleep until the waiter is notified, at most ``timeout`` seconds."""
    if isinstance(waiter, ThreadWaiter):
        return waiter.wait_for_turn(timeout)
    return await waiter.await_turn(max(0.0, timeout))


def _as_grant(
    backend: BaseLockBackend, claim: Claim, turn: Turn | None, busy: Busy | None
) -> Grant | None:
    """Return the turn as a grant, or None if this process was frozen for longer than it lasts."""
    if turn is None or busy is None or not backend.believes_turns:
        return None
    # The backend's clock may have been set since it was read: a turn is never trusted for longer
    # than the lease of a hand-over.
    now = monotonic()
    ends = min(busy.clock + turn.expires, now + min(claim.lease, backend.grant_lease))
    return Grant(turn.fence, ends, confirmed=False) if ends > now else None
