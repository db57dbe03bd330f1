"""End of a hold, however it comes: released, kept for a transaction, or found to be lost."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from .. import events
from ..backends.base import Extension
from ..conf import SHORTEST_LEASE
from ..exceptions import LockError, LockLost
from ..local.registry import Attempt, registry
from ..local.renewal import renewal
from ..transactions import tie_to_transactions
from ..twins import both

if TYPE_CHECKING:
    from ..local.hold import LocalHold, Need
    from ..twins import Call

__all__ = ["GONE", "extend_hold", "let_go", "lost_error", "tell_lost", "tie", "untie"]

logger = logging.getLogger("django_redislock")

GONE = "its lease ran out, or it was released by force"


async def let_go(call: Call, handle: Any, hold: LocalHold, need: Need) -> None:
    """``need`` is over; if it was the last, the hold ends.

    Raises ``LockLost`` or ``LockUnavailable``. Whatever it raises, the hold is not needed any more
    by ``need``; where that was the last, the background finishes what was begun here.
    """
    attempt = Attempt(call, hold, need, releases=True)
    registry.attempts[attempt] = None
    try:
        if hold.leave(need):
            await _end(call, handle, hold)
    except LockLost:
        registry.attempts.pop(attempt, None)
        raise
    except BaseException:
        attempt.abandon()
        raise
    registry.attempts.pop(attempt, None)


async def _end(call: Call, handle: Any, hold: LocalHold) -> None:
    now = monotonic()
    if hold.ends <= now:
        raise _lost_at_end(handle, hold, "its lease ran out")
    if (left := hold.keep_until - now) > 0:
        await extend_hold(call, handle, hold, max(left, SHORTEST_LEASE))
        registry.holds.pop(hold, None)
        return
    released = await both(call, hold.backend.release, hold.backend.arelease, hold.name, hold.token)
    if not released:
        raise _lost_at_end(handle, hold, GONE)
    registry.holds.pop(hold, None)
    await events.released(call, handle, now - hold.since)


def _lost_at_end(handle: Any, hold: LocalHold, reason: str) -> LockLost:
    # Whoever ends a hold has to report its loss: nobody else looks at it any more.
    hold.lost.set(reason)
    registry.holds.pop(hold, None)
    events.lost(handle, hold.lost.reason)
    return LockLost.of(hold.name, f"was lost: {hold.lost.reason}")


async def extend_hold(call: Call, handle: Any, hold: LocalHold, length: float) -> None:
    """Let the lease end ``length`` seconds from now. Raises ``LockLost`` or ``LockUnavailable``."""
    # The answer to a renewal that is under way is about the lease before this one.
    hold.extensions += 1
    count = hold.extensions
    # A shorter lease is believed before it is asked for: nobody may come in between.
    hold.set_end(min(hold.ends, monotonic() + length))
    extension = Extension(hold.name, hold.token, length)
    (ends,) = await both(call, hold.backend.extend, hold.backend.aextend, [extension])
    if ends is None:
        raise lost_error(hold, GONE)
    # Of two that extend at the same time, nobody knows which the server heard last.
    hold.renewed(ends if hold.extensions == count else min(ends, hold.ends))
    renewal.watch(hold)


def lost_error(hold: LocalHold, reason: str) -> LockLost:
    """The error of a hold that was found to be over; those who need it are told so."""
    if not hold.pid:
        return LockLost.of(hold.name, f"is not held with this token: {reason}")
    if not hold.inherited:
        renewal.mark_lost(hold, reason)
    return LockLost.of(hold.name, f"was lost: {hold.lost.reason or reason}")


def tell_lost(hold: LocalHold) -> None:
    """Tell the handles of the hold. This runs their users' code, in a thread of its own."""
    handles = hold.handles_at_loss
    for handle in handles:
        handle.call_on_lost()
    # One hold was lost, so that is told once, of the handle that came first if there are several.
    for handle in handles[:1]:
        events.lost(handle, hold.lost.reason)


def tie(handle: Any, hold: LocalHold, *, whole: bool) -> None:
    """Let the hold last until the transactions that are open now are over."""
    tie_to_transactions(handle, hold, untie, whole=whole)


async def untie(call: Call, handle: Any, hold: LocalHold, need: Need) -> None:
    """A transaction is over that needed the hold; ``handle`` was used in it."""
    if hold.inherited:
        return
    try:
        await let_go(call, handle, hold, need)
    except LockError as error:
        logger.warning("At the end of a transaction: %s", error)
