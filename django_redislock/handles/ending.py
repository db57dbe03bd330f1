"""End of a hold: released, kept for a transaction, or found to be lost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import events
from ..backends.base import TICK, Extension
from ..clock import monotonic
from ..conf import SHORTEST_LEASE
from ..exceptions import LockError, LockLost, LockUnavailable
from ..local.registry import LATE, RELEASED_BY_ANOTHER, Attempt, cancel_in_background, registry
from ..local.renewal import renewal
from ..process import process
from ..twins import both

if TYPE_CHECKING:
    from ..local.hold import LocalHold, Need
    from ..twins import Call

__all__ = ["FORKED", "end_need", "extend_hold", "lost_error"]

# Also for a signal handler that forks while an answer is awaited, and carries on in the child.
FORKED = "{} the parent process, not this forked child of it"


async def end_need(
    call: Call, handle: Any, hold: LocalHold, need: Need | None, within: float | None = None
) -> None:
    """End ``need``, and the hold if this was its last need.

    ``need``: None if the hold stands for one of another handle, which has its token.
    ``within``: how many seconds the answer may take; by default the socket's time-out.

    Raises ``LockLost`` or ``LockUnavailable``. Whatever it raises, ``need`` is over; if it was the
    last one, the background finishes the release.
    """
    attempt = Attempt(call, [(hold, need)])
    try:
        # Only once the attempt is registered: the sweep drops holds that no handle needs.
        if handle._need is need:
            handle._need = None
        if hold.leave(need):
            await _end(call, handle, hold, within)
        elif hold.lost_reason and need is not None and not need.is_transaction:
            raise lost_error(hold)
    except LockLost:
        attempt.registered.pop(attempt, None)
        raise
    except BaseException:
        renewal.finish(attempt)
        raise
    # A statement, not a call: no asynchronous exception can come between it and the return.
    del attempt.registered[attempt]


async def _end(call: Call, handle: Any, hold: LocalHold, within: float | None) -> None:
    now = monotonic()
    # How many seconds ``min_hold`` keeps the name held after the release.
    kept = max(hold.keep_until - now, SHORTEST_LEASE) if hold.keep_until > now else 0.0
    # The condition is that of linked(), which most releases need not call.
    if registry.given or hold.is_given:
        # Whatever their fences: the release ends what the token holds by then.
        _mark_lost(registry.linked(hold))
    if kept:
        extension = Extension(hold.name, hold.token, kept, detached=True)
        ended = await both(call, hold.backend.extend, hold.backend.aextend, extension) is not None
    elif call.blocking:
        ended = hold.backend.release(hold.name, hold.token, within)
    else:
        ended = await hold.backend.arelease(hold.name, hold.token, within)
    if hold.pid != process.pid:
        raise LockError.of(hold.name, FORKED.format("is released by"))
    registry.holds.pop(hold, None)
    if not ended:
        # The caller that ends a hold has to report its loss: the renewal thread ignores it by now.
        hold.handles_at_loss = hold.handles_at_loss or [handle]
        error = lost_error(hold)
        if hold.began:
            registry.lost[hold] = None
            renewal.wake()
        raise error
    if registry.given or hold.is_given:
        # Also handles that acquired it during the release, but not after it. Without a fence of its
        # own, a release by token cannot tell these apart.
        linked = registry.linked(hold)
        _mark_lost(one for one in linked if one.fence == hold.fence or not hold.began)
    if hold.unanswered and not kept:
        cancel_in_background(hold, LATE)
    await events.released(call, handle, now + kept - hold.since if hold.began else None)


def _mark_lost(holds: Iterable[LocalHold]) -> None:
    for hold in holds:
        renewal.mark_lost(hold, RELEASED_BY_ANOTHER)


async def extend_hold(
    call: Call, hold: LocalHold, length: float, *, detached: bool = False
) -> None:
    """Set the lease to end in ``length`` seconds. Raises ``LockLost`` or ``LockUnavailable``.

    ``detached``: no handle needs the hold any more; listings show this.
    """
    # Assume a shorter lease before asking for it, so that no code relies on the longer one.
    sent_at, holds = monotonic(), [hold, *registry.linked(hold)]
    for one in holds:
        one.expect(call, sent_at + length - TICK)
    extension = Extension(hold.name, hold.token, length, detached=detached)
    try:
        if detached:
            hold.due = math.inf  # no renewal falls due from here on: it would undo a shorter lease
        ends = await both(call, hold.backend.extend, hold.backend.aextend, extension)
    except BaseException as error:
        _not_extended(call, holds, length, error)
        raise
    if hold.pid != process.pid:
        raise LockError.of(hold.name, FORKED.format("is held by"))
    if ends is None:
        raise lost_error(hold)
    if detached:
        return
    for one in holds:
        one.answered(call, ends)
    if any(one.due < renewal.wake_at for one in holds):
        renewal.wake()


def _not_extended(
    call: Call, holds: Iterable[LocalHold], length: float, error: BaseException
) -> None:
    for one in holds:
        if isinstance(error, LockUnavailable) and not error.sent:
            one.not_sent(call)
        else:
            one.not_answered(call, length)


def lost_error(hold: LocalHold, reason: str = "") -> LockLost:
    """Return the error for a hold that was found to be over, and notify its handles."""
    reason = reason or hold.why_over
    if not hold.began:
        return LockLost.of(hold.name, f"is not held with this token: {reason}")
    if not hold.inherited:
        renewal.mark_lost(hold, reason)
    return LockLost.of(hold.name, f"was lost: {hold.lost_reason or reason}")


def _notify_lost(hold: LocalHold) -> None:
    """Notify the handles of a lost hold. This calls user code, in a thread of its own."""
    # Its thread keeps the hold for some time, which must not keep the handles.
    handles, hold.handles_at_loss = hold.handles_at_loss, ()
    # One lost hold is one event: if several handles share it, the first is reported.
    for handle in handles[:1]:
        events.lost(handle, hold.lost_reason)
    for handle in handles:
        handle._call_on_lost()


renewal.notify_lost = _notify_lost
