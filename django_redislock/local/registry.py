"""Registry of the holds of this process, and of every attempt in progress."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from ..backends.base import Extension
from ..clock import monotonic
from ..process import process
from .background import background

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..twins import Call
    from .hold import LocalHold, Need
    from .owners import LockId

__all__ = [
    "LATE",
    "RELEASED_BY_ANOTHER",
    "Attempt",
    "Registry",
    "cancel_in_background",
    "end",
    "registry",
]

# Why a hold is lost that another handle with the same token has released.
RELEASED_BY_ANOTHER = "it was released by another handle that had its token"

# How long (seconds) the request of an abandoned acquire may take to arrive.
LATE = 60.0


class Attempt:
    """An acquire or a release in progress, with what has to be cleaned up after an interruption.

    It registers itself before anything is sent, and is removed as the last step of its call. An
    attempt that is over and still registered was interrupted, perhaps more than once. Only our own
    thread, which is never interrupted, finishes it then: a caller might be interrupted once more.
    One without a ``call`` is over. One that has failed gives up its call, which may go on.

    ``parts``: the holds that it acquires, shares or releases, and their needs. Several names have
    an attempt in common, beside one for each. ``new_since``: holds that began since then
    (monotonic) are its own, and nothing was done under them; infinite unless it acquires.
    """

    __slots__ = ("call", "new_since", "parts", "registered")

    def __init__(
        self,
        call: Call | None,
        parts: Sequence[tuple[LocalHold, Need | None]],
        new_since: float = math.inf,
    ) -> None:
        self.call = call
        self.parts = parts
        self.new_since = new_since
        # Not looked up at the end: a child that was forked meanwhile has another dictionary.
        self.registered = registry.attempts
        self.registered[self] = None

    @property
    def is_over(self) -> bool:
        return self.call is None or self.call.is_over

    def finish(self) -> None:
        """Clean up after the interruption. Doing so twice is harmless."""
        done = [self._finish(hold, need) for hold, need in list(self.parts)]
        if all(done):
            self.registered.pop(self, None)

    def _finish(self, hold: LocalHold, need: Need | None) -> bool:
        is_acquired = self.new_since < math.inf
        if hold.since >= self.new_since:
            hold.keep_until = 0.0
        if hold.began or not is_acquired:
            # A hold with a token that the user has given may not be ours to end.
            return _leave(hold, need, release=not (is_acquired and hold.is_given))
        hold.decide()
        if hold.inherited:
            return True
        if hold.is_given:
            leave = partial(_leave_queue, hold)
            background.until_done(hold.server, leave, monotonic() + hold.length)
        else:
            hold.backend.waiters.leave(hold.name, hold.token)
            # It is unknown whether it was granted; a cancel by token is right in both cases.
            cancel_in_background(hold, LATE)
        return True


def _leave(hold: LocalHold, need: Need | None, *, release: bool) -> bool:
    """End the need of an interrupted call, and the hold unless it is needed.

    Return False if another call in progress may be ending the hold. It is not known whether that
    one or the interrupted one has decided to, so look again when it is over.
    """
    is_last = need is not None and hold.leave(need)
    if not is_last:
        if hold.is_needed():
            return True
        if hold in registry.in_use():
            return False
    # A caller that had decided to end it may have been interrupted right afterwards.
    hold.decide()
    registry.holds.pop(hold, None)
    if not release:
        return True
    for other in registry.linked(hold):
        other.lose(RELEASED_BY_ANOTHER)
    until = hold.ends if hold.began else monotonic() + hold.length
    background.until_done(hold.server, partial(end, hold), until)
    return True


def _leave_queue(hold: LocalHold) -> None:
    """Give up the place in the queue of a token that the user has given."""
    others = registry.in_use()
    # Another attempt with the same token may need the place by now.
    if not any((one.lock_id, one.token) == (hold.lock_id, hold.token) for one in others):
        hold.backend.waiters.leave(hold.name, hold.token)
        hold.backend.cancel(hold.name, hold.token, keep_hold=True)


def end(hold: LocalHold) -> None:
    """End the hold at its backend: by a release, or an extension up to its ``min_hold``."""
    kept = hold.keep_until - monotonic()
    if kept <= 0:
        hold.backend.release(hold.name, hold.token)
    else:
        hold.backend.extend(Extension(hold.name, hold.token, kept, detached=True))


class Registry:
    """The only set of holds and attempts. Each change is a single dictionary operation."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start empty. A forked child holds nothing that its parent holds."""
        self.holds: dict[LocalHold, None] = {}
        self.attempts: dict[Attempt, None] = {}
        # Lost holds whose handles have to be notified.
        self.lost: dict[LocalHold, None] = {}
        # Holds that were acquired with a token given by the user: other holds may have it too.
        self.given: dict[LocalHold, None] = {}

    @property
    def interrupted(self) -> bool:
        """Whether an attempt is over and has not been finished."""
        return any(attempt.is_over for attempt in list(self.attempts))

    def sweep(self) -> None:
        """Finish the attempts that were interrupted, and drop the holds that are not needed."""
        for attempt in list(self.attempts):
            # Checked after ``is_over``: a successful attempt is removed before its call is over.
            if attempt.is_over and attempt in self.attempts:
                attempt.finish()
        for hold in list(self.holds):
            # The need first: a release registers its attempt before it ends its need.
            if hold.is_needed() or hold in self.in_use():
                continue
            over = [
                (hold, need)
                for need in list(hold.needs)
                if need.is_transaction and need.handle is None
            ]
            if over:
                # Its last transaction has ended without its callbacks. They may be about to be
                # called, so the next sweep ends it.
                Attempt(None, over)
            else:
                # Its handle was dropped: the lease ends it. Or it ended while it was registered. No
                # need is left to name, so the registry leaves in its place.
                hold.leave(self)
                if not hold.undecided:
                    self.holds.pop(hold, None)
        for hold in list(self.given):
            if hold.is_over:
                self.given.pop(hold, None)

    def in_use(self) -> set[LocalHold]:
        """The holds that calls in progress acquire, share or release."""
        running = [one for one in list(self.attempts) if not one.is_over]
        return {hold for one in running for hold, _ in list(one.parts)}

    def find(self, lock_id: LockId, token: str) -> list[LocalHold]:
        """The holds of this lock with this token; several handles may have acquired with it."""
        return [
            hold for hold in list(self.holds) if hold.token == token and hold.lock_id == lock_id
        ]

    def linked(self, hold: LocalHold) -> list[LocalHold]:
        """The other holds of this lock with the same token. If one is released, all end."""
        if not (self.given or hold.is_given):
            return []
        found = self.find(hold.lock_id, hold.token)
        return [one for one in found if one is not hold and not one.lost_reason]

    def __bool__(self) -> bool:
        return bool(self.holds or self.attempts or self.lost)


def cancel_in_background(hold: LocalHold, late: float) -> None:
    """Cancel the claim in the background, whether it waits or holds.

    ``late``: for how many seconds a request of the claim is refused if it arrives late.
    """
    cancel = partial(hold.backend.cancel, hold.name, hold.token, late)
    background.until_done(hold.server, cancel, monotonic() + hold.length)


registry = Registry()
process.in_child(registry.reset)
