"""One hold of one name, as this process knows it."""

from __future__ import annotations

import math
from os import getpid
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import monotonic
from ..process import process
from .lost import Lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..backends.base import BaseLockBackend, Grant
    from .background import Server
    from .owners import LockId, Owner

__all__ = ["LocalHold", "Need", "pause_of"]

# A lease is renewed when a third of it has passed, so that two renewals may fail.
RENEW_AT = 1 / 3
# A hold with a long lease is renewed often enough (seconds) to notice a forced release.
LONGEST_PAUSE = 10.0

# Whose answer the first end of a lease is.
_GRANT = "grant"


def pause_of(lease: float) -> float:
    """How long after its lease has begun a hold is renewed."""
    return min(lease * RENEW_AT, LONGEST_PAUSE)


class Need(Protocol):
    """What needs a hold: a handle or a transaction."""

    is_transaction: bool

    @property
    def handle(self) -> Any:
        """The handle, or None if the need is over, even if nobody could say so."""


class LocalHold:
    """A name held with one token. It sends nothing and starts nothing.

    It has no mutex either: an exception, a signal handler or another thread may come in between
    any two steps. So each change below is a single operation of a dictionary or a list, and those
    who change it in opposite ways first write and then look: a handle that joins writes its need
    and then looks whether the hold is being left; who leaves notes that and then looks for needs.

    Times are in seconds on the monotonic clock of this process. ``ends`` is counted from before the
    request left, so it is never later than the backend's own.

    ``tests/models/test_process.py`` explores this in all orders that are possible.
    """

    __slots__ = (
        *("__weakref__", "_answered", "asked_again", "_confirmed", "_ends", "_leavers", "_lost"),
        *("backend", "due", "fence", "handles_at_loss", "is_linked", "keep_until", "length"),
        *("limit", "lock_id", "lost_reason", "max_hold", "name", "needs"),
        *("owner", "pid", "renew", "since", "token", "undecided"),
    )

    def __init__(
        self,
        backend: BaseLockBackend,
        name: str,
        token: str,
        limit: int,
        *,
        lease: float,
        renew: bool,
        max_hold: float | None,
    ) -> None:
        self.backend = backend
        self.name = name
        self.token = token
        self.limit = limit
        self.length = lease
        self.renew = renew
        self.max_hold = math.inf if max_hold is None else max_hold
        self.lock_id: LockId = (backend.place, name)
        # Why it was lost; the event of that is made for who asks for it.
        self.lost_reason = ""
        self._lost: dict[str, Lost] = {}
        self.handles_at_loss: Sequence[Any] = ()
        self.owner: Owner | None = None
        self.fence = self.pid = 0
        # A request for it was repeated: the first one may still be on its way.
        self.asked_again = False
        # Other holds of this process may have the same token; see the registry.
        self.is_linked = False
        self.due = self.since = -math.inf
        # Earliest end (monotonic). Released sooner, the lease runs on until then.
        self.keep_until = 0.0
        self.needs: dict[Need, None] = {}
        self._leavers: dict[Any, None] = {}
        # One item: whoever takes it decides how the hold ends.
        self.undecided = [True]
        self._confirmed = True
        # When the lease ends, by who asked for that; and whose request was answered.
        self._ends: dict[object, float] = {}
        self._answered: dict[object, None] = {}

    @property
    def server(self) -> Server:
        """The backend, and the one of its servers that has the name now."""
        return self.backend, self.backend.node_of(self.name)

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child, which holds nothing of what its parent holds."""
        return self.pid not in (0, process.look())

    @property
    def alive(self) -> bool:
        """Whether it is held, by its own clock."""
        return bool(
            self.undecided
            and not self.lost_reason
            and self.pid == getpid()
            and min(list(self._ends.values()), default=-math.inf) > monotonic()
        )

    @property
    def is_over(self) -> bool:
        """Whether it was released, dropped or lost."""
        return not self.undecided or bool(self.lost_reason)

    @property
    def lost(self) -> Lost:
        """The event of its loss."""
        lost = self._lost.get("event") or self._lost.setdefault("event", Lost())
        if self.lost_reason:
            lost.set(self.lost_reason)
        return lost

    def begin(self, grant: Grant, owner: Owner, need: Need) -> bool:
        """It was granted. Returns False if the answer came too late."""
        self.fence = grant.fence
        self.owner = owner
        self.since = monotonic()
        self._confirmed = grant.confirmed
        self.needs[need] = None
        self._ends[_GRANT] = grant.ends
        self._answered[_GRANT] = None
        self._set_due()
        self.pid = process.pid
        return grant.ends > self.since

    # Who needs it.

    def join(self, need: Need) -> bool:
        """Need it, too. If this returns False it is being left: ``leave`` it again."""
        self.needs[need] = None
        return not self._leavers and self.alive

    def leave(self, need: Any) -> bool:
        """``need`` is over. Returns True if it was the last: then the caller ends the hold.

        Of several who leave at once, one gets True.
        """
        self.needs.pop(need, None)
        while not self.needs or not self.is_needed():
            self._leavers[need] = None
            if not self.needs or not self.is_needed():
                is_ours = self.undecided and self.decide()
                # Nobody joins what is decided: the mark is not needed any more.
                self._leavers.pop(need, None)
                return bool(is_ours)
            self._leavers.pop(need, None)
        # An interrupted attempt to leave may have left its mark, and then nobody could join.
        self._leavers.pop(need, None)
        return False

    def is_needed(self) -> bool:
        return any(need.handle is not None for need in list(self.needs))

    @property
    def is_tied(self) -> bool:
        """Whether a transaction needs it."""
        return any(need.is_transaction for need in list(self.needs))

    @property
    def is_kept_by_transactions(self) -> bool:
        """Whether it is needed, and by transactions alone."""
        needed = [need for need in list(self.needs) if need.handle is not None]
        return bool(needed) and all(need.is_transaction for need in needed)

    def decide(self) -> bool:
        """End it here and now; nobody but the one who gets True does anything about that."""
        try:
            return self.undecided.pop()
        except IndexError:
            return False

    @property
    def is_decided(self) -> bool:
        """Whether somebody ends it, or has ended it, and finds out what became of it."""
        return not self.undecided

    @property
    def handles(self) -> list[Any]:
        """The handles that need it, or are used in a transaction that does."""
        return [handle for need in list(self.needs) if (handle := need.handle) is not None]

    def lose(self, reason: str) -> None:
        """It is over, though nobody here ended it."""
        # They are told in another thread, and may be dropped before that.
        self.handles_at_loss = self.handles_at_loss or self.handles
        self.lost_reason = self.lost_reason or reason
        self.lost.set(self.lost_reason)

    @property
    def why_over(self) -> str:
        """Why it is not held any more, as far as its own clock can tell."""
        now = monotonic()
        if now < self.ends:
            return "it was released by force, or its server lost it"
        if self.renew and now - self.since >= self.max_hold:
            return f"it was held for longer than its max_hold of {self.max_hold:g} s"
        return "its lease ran out"

    # Its lease.

    @property
    def ends(self) -> float:
        """When the lease ends, as far as is certain: the earliest of what was asked for."""
        return min(list(self._ends.values()), default=-math.inf)

    def expect(self, who: object, ends: float) -> list[object]:
        """``who`` asks for another end of the lease: it is not believed to end later than that.

        Returns whose answers the one to ``who`` is going to replace. Requests that are under way at
        the same time replace none of each other: nobody knows which the server hears last.
        """
        older = list(self._answered)
        self._ends[who] = ends
        return older

    def answered(self, who: object, ends: float, older: list[object]) -> None:
        """The backend granted what ``who`` had asked for, and named the end."""
        self._ends[who] = ends
        self._answered[who] = None
        self._confirmed = True
        for one in older:
            self._answered.pop(one, None)
            self._ends.pop(one, None)
        self._set_due()

    def not_answered(self, who: object, length: float) -> None:
        """Whether the backend granted ``length`` seconds to ``who`` is unknown."""
        if length >= self.length:
            # If it comes late, it does not make the lease shorter than any renewal does.
            self._ends.pop(who, None)
        self._set_due()

    def not_sent(self, who: object) -> None:
        """The request of ``who`` never left, and changes nothing."""
        self._ends.pop(who, None)
        self._set_due()

    def _set_due(self) -> None:
        now, ends = monotonic(), min(list(self._ends.values()), default=-math.inf)
        if ends == -math.inf:
            return  # it never began: that of another handle was to be extended, by its token
        if self._confirmed and (not self.renew or now - self.since >= self.max_hold):
            self.due = ends
        else:
            span = min(self.length, ends - now)
            self.due = ends - span + pause_of(span)

    def postpone(self, delay: float) -> None:
        """A renewal failed: it is due again after ``delay``, or when the lease is over."""
        self.due = min(monotonic() + delay, self.ends)

    def next_length(self, now: float) -> float | None:
        """To how many seconds from ``now`` the lease should be extended; None: let it run out."""
        if self.renew and now - self.since < self.max_hold:
            return self.length
        if not self._confirmed:
            return max(0.0, self.since + self.length - now)
        return None

    def remaining(self) -> float:
        return max(0.0, self.ends - monotonic())

    def held_for(self) -> float:
        return monotonic() - self.since
