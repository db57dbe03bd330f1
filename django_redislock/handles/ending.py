"""End of a hold, however it comes: released, kept for a transaction, or found to be lost."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .. import events
from ..backends.base import TICK, Extension
from ..clock import monotonic
from ..conf import SHORTEST_LEASE
from ..exceptions import LockError, LockLost, LockUnavailable
from ..local.registry import LATE, RELEASED_BY_ANOTHER, Attempt, registry, take_back
from ..local.renewal import renewal
from ..twins import both

if TYPE_CHECKING:
    from ..local.hold import LocalHold, Need
    from ..twins import Call

__all__ = ["GONE", "extend_hold", "let_go", "lost_error", "untie"]

logger = logging.getLogger("django_redislock")

GONE = "its lease ran out, or it was released by force"


async def let_go(
    call: Call, handle: Any, hold: LocalHold, need: Need, within: float | None = None
) -> None:
    """``need`` is over; if it was the last, the hold ends.

    ``within``: how many seconds the answer may take, by default the socket's time-out.

    Raises ``LockLost`` or ``LockUnavailable``. Whatever it raises, the hold is not needed any more
    by ``need``; where that was the last, the background finishes what was begun here.
    """
    attempt = Attempt(call, hold, need, releases=True)
    registry.attempts[attempt] = None
    try:
        # Not before the attempt is written down: what no handle needs is swept.
        if handle._need is need:
            handle._need = None
        if hold.leave(need):
            await _end(call, handle, hold, within)
    except LockLost:
        registry.attempts.pop(attempt, None)
        raise
    except BaseException:
        renewal.finish(attempt)
        raise
    # As a statement: an exception from outside does not come in between this and the return.
    del registry.attempts[attempt]


async def _end(call: Call, handle: Any, hold: LocalHold, within: float | None) -> None:
    now = monotonic()
    # How many seconds ``min_hold`` keeps the name held without a handle.
    kept = max(hold.keep_until - now, SHORTEST_LEASE) if hold.keep_until > now else 0.0
    if hold.is_linked:
        _tell_linked(hold)
    if kept:
        ended = await _extended(call, hold, kept, detached=True)
    elif call.blocking:
        ended = hold.backend.release(hold.name, hold.token, within)
    else:
        ended = await hold.backend.arelease(hold.name, hold.token, within)
    if not ended:
        raise _lost_at_end(handle, hold)
    if hold.is_linked:
        _tell_linked(hold)  # also those who came meanwhile
    registry.holds.pop(hold, None)
    if hold.asked_again and not kept:
        take_back(hold, LATE)
    await events.released(call, handle, now + kept - hold.since)


def _tell_linked(hold: LocalHold) -> None:
    for other in registry.linked(hold):
        if other.fence == hold.fence:
            renewal.mark_lost(other, RELEASED_BY_ANOTHER)


def _lost_at_end(handle: Any, hold: LocalHold) -> LockLost:
    # Whoever ends a hold has to report its loss: nobody else looks at it any more.
    hold.lose(hold.why_over)
    registry.holds.pop(hold, None)
    events.lost(handle, hold.lost_reason)
    return LockLost.of(hold.name, f"was lost: {hold.lost_reason}")


async def extend_hold(
    call: Call, hold: LocalHold, length: float, *, detached: bool = False
) -> None:
    """Let the lease end ``length`` seconds from now. Raises ``LockLost`` or ``LockUnavailable``.

    ``detached``: no handle needs the hold any more, and listings show that.
    """
    if not await _extended(call, hold, length, detached=detached):
        raise lost_error(hold, hold.why_over if hold.pid else GONE)


async def _extended(call: Call, hold: LocalHold, length: float, *, detached: bool) -> bool:
    # A shorter lease is believed before it is asked for: nobody may come in between.
    sent_at, believers = monotonic(), [hold, *registry.linked(hold)]
    older = [one.expect(call, sent_at + length - TICK) for one in believers]
    extension = Extension(hold.name, hold.token, length, detached=detached)
    try:
        (ends,) = await both(call, hold.backend.extend, hold.backend.aextend, [extension])
    except BaseException as error:
        for one in believers:
            if isinstance(error, LockUnavailable) and not error.asked:
                one.not_sent(call)
            else:
                one.not_answered(call, length)
        raise
    if ends is None:
        return False
    for one, replaced in zip(believers, older, strict=True):
        one.answered(call, ends, replaced)
    if any(one.due < renewal.wake_at for one in believers):
        renewal.wake()
    return True


def lost_error(hold: LocalHold, reason: str) -> LockLost:
    """The error of a hold that was found to be over; those who need it are told so."""
    if not hold.pid:
        return LockLost.of(hold.name, f"is not held with this token: {reason}")
    if not hold.inherited:
        renewal.mark_lost(hold, reason)
    return LockLost.of(hold.name, f"was lost: {hold.lost_reason or reason}")


def _notify_lost(hold: LocalHold) -> None:
    """Tell the handles of the hold. This runs their users' code, in a thread of its own."""
    handles = hold.handles_at_loss
    for handle in handles:
        handle.call_on_lost()
    # One hold was lost, so that is told once, of the handle that came first if there are several.
    for handle in handles[:1]:
        events.lost(handle, hold.lost_reason)


renewal.notify_lost = _notify_lost


async def untie(call: Call, handle: Any, hold: LocalHold, need: Need) -> None:
    """A transaction is over that needed the hold; ``handle`` was used in it."""
    if hold.inherited:
        return
    try:
        await let_go(call, handle, hold, need)
    except LockError as error:
        logger.warning("At the end of a transaction: %s", error)
