"""Registry of what this process holds, and of every attempt under way."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ..backends.base import Extension
from ..clock import monotonic
from ..exceptions import LockUnavailable
from ..process import NoThread, process
from .background import background

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set

    from ..twins import Call
    from .hold import LocalHold, Need
    from .owners import LockId

__all__ = [
    "LATE",
    "RELEASED_BY_ANOTHER",
    "Attempt",
    "AttemptOnSeveral",
    "Registry",
    "end_of",
    "registry",
    "take_back",
]

# What a handle is told that must not believe any more in what was given away.
RELEASED_BY_ANOTHER = "it was released by another handle that had its token"

# How long (seconds) an acquire that nobody waits for any more may still be on its way.
LATE = 60.0


class Attempt:
    """An acquire or a release under way: what has to be put right if it is interrupted.

    It is registered before anything is sent, and taken out as its last act. One that is still there
    when it is over was interrupted, perhaps more than once. Only our own thread, which nobody
    interrupts, finishes it then: what a caller did at the same time would be half done again.
    """

    __slots__ = ("call", "failed", "hold", "is_ours", "joining", "need", "releases")

    def __init__(
        self,
        call: Call,
        hold: LocalHold,
        need: Need | None,
        *,
        releases: bool,
        is_ours: bool = True,
    ) -> None:
        self.call = call
        self.hold = hold
        self.need = need
        self.releases = releases
        # A token that was given may be that of a hold which is not ours to end.
        self.is_ours = is_ours
        # Another hold that the handle is about to share.
        self.joining: LocalHold | None = None
        self.failed = False

    @property
    def is_over(self) -> bool:
        return self.failed or self.call.is_over

    @property
    def holds(self) -> list[LocalHold]:
        """The holds that it acquires, shares or releases."""
        return [self.hold] if self.joining is None else [self.hold, self.joining]

    def finish(self, under_way: Set[LocalHold]) -> None:
        """Put right what it may have left half done. Doing so twice does no harm.

        ``under_way``: holds that others acquire, join or release just now.
        """
        hold, joining = self.hold, self.joining
        if not self.releases:
            hold.keep_until = 0.0  # nothing was done under it
        if joining is not None:
            _leave(joining, self.need, joining in under_way, True)
        if self.releases or hold.pid:
            _leave(hold, self.need, hold in under_way, self.releases or self.is_ours)
        if not self.releases and not hold.pid:
            hold.backend.dismiss(hold.name, hold.token)
            hold.decide()
            if self.is_ours:
                # Whether it was granted is unknown: cancelled by token, it is not in any case.
                take_back(hold, LATE)
        registry.attempts.pop(self, None)


class AttemptOnSeveral:
    """An acquire or release of several names under way; each has an attempt of its own beside it.

    ``parts()``: the holds to leave if it is interrupted, and what needs them. Nothing was done
    under those that were acquired since ``began`` (monotonic).
    """

    __slots__ = ("began", "call", "parts")

    def __init__(
        self,
        call: Call,
        parts: Callable[[], Sequence[tuple[LocalHold, Need]]],
        began: float = math.inf,
    ) -> None:
        self.call = call
        self.parts = parts
        self.began = began

    @property
    def is_over(self) -> bool:
        return self.call.is_over

    @property
    def holds(self) -> list[LocalHold]:
        """The holds to leave if it is interrupted."""
        return [hold for hold, _ in self.parts()]

    def finish(self, under_way: Set[LocalHold]) -> None:
        """Leave them all."""
        for hold, need in self.parts():
            if hold.since >= self.began:
                hold.keep_until = 0.0
            _leave(hold, need, hold in under_way, True)
        registry.attempts.pop(self, None)


def _leave(hold: LocalHold, need: Need | None, others: bool, may_release: bool) -> None:
    """End the need of an interrupted attempt; ``others`` may still acquire or release the hold."""
    if need is not None:
        hold.leave(need)
    if hold.is_needed() or others:
        return
    # Whoever had decided to end it may not have got any further.
    hold.decide()
    registry.holds.pop(hold, None)
    if not may_release:
        return
    for other in registry.linked(hold):
        other.lose(RELEASED_BY_ANOTHER)
    until_done(hold, end_of(hold), hold.ends if hold.pid else monotonic() + hold.length)


def end_of(hold: LocalHold) -> Callable[[], object]:
    """What ends the hold at its backend: the release, or its extension up to its ``min_hold``."""
    kept = hold.keep_until - monotonic()
    if kept <= 0:
        return partial(hold.backend.release, hold.name, hold.token)
    return partial(hold.backend.extend, [Extension(hold.name, hold.token, kept, detached=True)])


class Registry:
    """The only set of holds and attempts. Each change is a single operation of a dictionary."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Hold nothing of what the parent holds, in a forked child."""
        self.holds: dict[LocalHold, None] = {}
        self.attempts: dict[Attempt | AttemptOnSeveral, None] = {}
        # The holds that were acquired with a token that was given.
        self.given: dict[LocalHold, None] = {}

    @property
    def interrupted(self) -> bool:
        """Whether an attempt is over and has not been finished."""
        return any(attempt.is_over for attempt in list(self.attempts))

    def sweep(self) -> None:
        """Finish the attempts that were interrupted, and drop the holds that nobody needs."""
        # The holds first: one whose acquire ends meanwhile has its need by then.
        holds, attempts = list(self.holds), list(self.attempts)
        over = [attempt for attempt in attempts if attempt.is_over]
        under_way = {hold for one in set(attempts).difference(over) for hold in one.holds}
        for attempt in over:
            # In this order: one that ends well is taken out before its call is over.
            if attempt in self.attempts:
                attempt.finish(under_way)
        for hold in holds:
            if hold not in under_way and not hold.is_needed() and hold.leave(self):
                # Its handle was dropped: it ends with its lease.
                self.holds.pop(hold, None)

    def find(self, lock_id: LockId, token: str) -> list[LocalHold]:
        """The holds of this lock with this token; several handles may have acquired with it."""
        return [
            hold for hold in list(self.holds) if hold.token == token and hold.lock_id == lock_id
        ]

    def link(self, hold: LocalHold, *, given: bool) -> None:
        """Note which holds have the same token: when one is released, the others are over, too."""
        if given:
            self.given[hold] = None
        for one in list(self.given):
            if one not in self.holds:
                self.given.pop(one, None)
        found = self.find(hold.lock_id, hold.token)
        if len(found) > 1:
            for one in found:
                one.is_linked = True

    def linked(self, hold: LocalHold) -> list[LocalHold]:
        """The other holds of this lock with the same token."""
        if hold.pid and not hold.is_linked:
            return []
        return [one for one in self.find(hold.lock_id, hold.token) if one is not hold]

    def __bool__(self) -> bool:
        return bool(self.holds or self.attempts)


def take_back(hold: LocalHold, late: float) -> None:
    """Take the claim back in the background, whether it waits or holds.

    ``late``: for how many seconds a request of it may still arrive, and is refused then.
    """
    cancel = partial(hold.backend.cancel, hold.name, hold.token, late)
    until_done(hold, cancel, monotonic() + hold.length)


def until_done(hold: LocalHold, run: Callable[[], object], until: float) -> None:
    """Tell the backend in the background; at once where no thread can be started for that."""
    try:
        background.until_done(hold.server, run, until)
    except NoThread:
        # As at the end of a process. A server that does not answer is not asked again: the lease
        # ends.
        with suppress(LockUnavailable):
            run()


registry = Registry()
process.in_child(registry.reset)
