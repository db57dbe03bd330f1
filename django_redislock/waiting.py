"""Waits for a grant: how long, and for what. There is no Redis here, and no sleep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .backends.base import Grant
from .backends.waiters import TaskWaiter, ThreadWaiter
from .clock import monotonic
from .exceptions import LockUnavailable
from .twins import both

if TYPE_CHECKING:
    from .backends.base import BaseLockBackend, Busy, Claim
    from .backends.waiters import Turn
    from .twins import Call

__all__ = ["FIRST_ANSWER", "SHORTEST_STAY", "TOLERANCE", "wait_for_grant"]

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

# How often (seconds) queued attempts try a server that cannot be reached, for as long as PATIENCE
# says. An attempt that has not queued yet raises the error instead, unless its request was refused
# because the server is known to be unreachable: then it waits as well.
ASK_ABSENT_EVERY = 0.25
# A backend that refuses requests probes the server itself, and notifies the attempts when it is
# back. They still look this often (seconds), since no notification is relied on.
LOOK_AT_ABSENT_EVERY = 10.0


async def wait_for_grant(
    call: Call, backend: BaseLockBackend, claim: Claim, began: float, wait: float
) -> Grant | None:
    """Try to get the claim granted until ``wait`` seconds after ``began`` (monotonic).

    Time spent since ``began`` on other names of the same attempt counts as well. What was in the
    way is noted in ``claim.busy``.

    The backend has the queue: first in, first out, by hand-over. A queued attempt sleeps until it
    is notified of its turn, until the lease in its way should have ended, or until just before its
    wait is over, when it asks once more.

    Raises ``LockUnavailable``, also if the server gave no answer by the deadline. When it raises or
    returns without a grant after a wait, the claim may still be held or queued: the caller cancels
    it, unless the error's ``sent`` is False.
    """
    deadline = began + wait
    answer_by = max(deadline, began + FIRST_ANSWER)
    if wait <= 0 or not backend.listening(claim.name):
        asked_at = monotonic()
        first = max(answer_by - asked_at, SHORTEST_STAY + TOLERANCE)
        try:
            if call.blocking:
                reply = backend.acquire(claim, 0.0, first)
            else:
                reply = await backend.aacquire(claim, 0.0, first)
        except LockUnavailable as error:
            claim.unanswered |= error.sent
            if wait > 0 and _came_too_late(asked_at, deadline, answer_by):
                return None
            if wait <= 0 or error.asked:
                raise
        else:
            if isinstance(reply, Grant):
                return reply
            claim.busy = reply
            if monotonic() >= deadline:
                return None
    queued = _Queued(call, backend, claim, began, deadline)
    backend.waiters.enter(claim.name, claim.token, queued.waiter)
    try:
        return await queued.until_granted()
    finally:
        backend.waiters.leave(claim.name, claim.token)


class _Queued:
    """An attempt that queues: it asks, sleeps, and asks again until its deadline (monotonic)."""

    def __init__(
        self, call: Call, backend: BaseLockBackend, claim: Claim, began: float, deadline: float
    ) -> None:
        self.call = call
        self.backend = backend
        self.claim = claim
        self.deadline = deadline
        self.last_look = deadline - LAST_LOOK
        # When the next answer must have come.
        self.answer_by = max(deadline + TOLERANCE, began + FIRST_ANSWER)
        self.waiter = ThreadWaiter() if call.blocking else TaskWaiter()
        # Since when the server gives no answer (monotonic); infinite while it does.
        self.absent_since = math.inf

    async def until_granted(self) -> Grant | None:
        while True:
            asked_at = monotonic()
            try:
                reply = await self._ask()
            except LockUnavailable as error:
                if self._has_ended(error, asked_at):
                    return None
                look_at = self._look_after(error)
                if look_at is None:
                    raise
            else:
                if isinstance(reply, Grant):
                    return reply
                self.claim.busy, self.absent_since = reply, math.inf
                look_at = self._next_look(reply, asked_at)
            turn = await self._turn(min(look_at, self.deadline))
            self.answer_by = self.deadline + TOLERANCE
            is_last = asked_at >= self.last_look and self.deadline - monotonic() < TOO_LATE
            if turn is None and is_last:
                turn = await self._turn(self.deadline)
            grant = self._as_grant(turn)
            if grant is not None:
                return grant
            if monotonic() >= self.deadline and self.absent_since == math.inf:
                return None

    async def _ask(self) -> Grant | Busy:
        """Get the grant, or else a place in the queue until the deadline."""
        backend, claim = self.backend, self.claim
        if not backend.listening(claim.name):
            left = max(self.deadline - monotonic(), SHORTEST_STAY)
            within = min(left, LONGEST_STAY)
            await both(self.call, backend.listen, backend.alisten, claim.name, within)
        now = monotonic()
        stay = min(max(self.deadline - now, SHORTEST_STAY), LONGEST_STAY)
        within = max(self.answer_by - now, SHORTEST_STAY + TOLERANCE)
        return await both(self.call, backend.acquire, backend.aacquire, claim, stay, within)

    def _has_ended(self, error: LockUnavailable, asked_at: float) -> bool:
        """Note the error, and return whether it only means that the wait is over."""
        self.claim.unanswered |= error.sent
        is_first = self.absent_since == math.inf
        if self.claim.busy is None and error.asked:
            # An attempt that has not queued yet has no patience with a server that was asked.
            self.absent_since = -math.inf
        elif is_first:
            self.absent_since = asked_at
        return is_first and _came_too_late(asked_at, self.deadline, self.answer_by)

    def _look_after(self, error: LockUnavailable) -> float | None:
        """When to ask again after the error, or None to give up."""
        now, given_up_at = monotonic(), self.absent_since + self.backend.config.patience
        if now >= min(self.deadline, given_up_at):
            if self.claim.unanswered or self.claim.busy is not None:
                # The error is about all requests of this attempt, of which one may have arrived.
                error.asked = error.sent = True
            return None
        pause = ASK_ABSENT_EVERY if error.asked else LOOK_AT_ABSENT_EVERY
        return min(now + pause, given_up_at)

    def _next_look(self, busy: Busy, asked_at: float) -> float:
        """When to ask again, unless the turn comes before."""
        now = monotonic()
        until = self.last_look if asked_at < self.last_look else self.deadline
        return min(now + busy.look_in, now + LONGEST_STAY / 2, until)

    async def _turn(self, until: float) -> Turn | None:
        """Sleep until the turn is notified, or until a time (monotonic)."""
        timeout = until - monotonic()
        if isinstance(self.waiter, ThreadWaiter):
            return self.waiter.wait_for_turn(timeout)
        return await self.waiter.await_turn(max(0.0, timeout))

    def _as_grant(self, turn: Turn | None) -> Grant | None:
        """Return the turn as a grant, or None if it has ended while the process was frozen."""
        backend, busy = self.backend, self.claim.busy
        if turn is None or busy is None or not backend.believes_turns:
            return None
        # The backend's clock may have been set since it was read: a turn is never trusted for
        # longer than the lease of a hand-over.
        now = monotonic()
        ends = min(busy.clock + turn.expires, now + min(self.claim.lease, backend.grant_lease))
        return Grant(turn.fence, ends, confirmed=False) if ends > now else None


def _came_too_late(asked_at: float, deadline: float, answer_by: float) -> bool:
    """Whether the wait is over, and nearly was when the request was sent.

    If so, the server answered a moment ago, perhaps for another of several names, and does not
    count as unavailable because it has missed the deadline.
    """
    return monotonic() >= deadline and asked_at > answer_by - TOLERANCE - LAST_LOOK / 2
