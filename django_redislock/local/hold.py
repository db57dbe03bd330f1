"""One hold of one name, as this process knows it."""

from __future__ import annotations

import math
from operator import itemgetter
from os import getpid, urandom
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
# A long lease is renewed at least this often (seconds), to notice a forced release.
LONGEST_PAUSE = 10.0

# Stands for the grant among the requests that have set the end of the lease.
_GRANT = "grant"
# The end of a lease that no request has asked for.
_NEVER = (-math.inf, None)
# Requests are compared by it alone: two may have asked for the same end.
_end = itemgetter(0)


def pause_of(lease: float) -> float:
    """How many seconds after the start of its lease a hold is renewed."""
    return min(lease * RENEW_AT, LONGEST_PAUSE)


class Need(Protocol):
    """Anything that needs a hold: a handle or a transaction."""

    is_transaction: bool

    @property
    def handle(self) -> Any:
        """The handle, or None if the need is over, even if its end was not recorded."""


class LocalHold:
    """A name held with one token. It sends nothing and starts nothing.

    It has no mutex either, since an exception, a signal handler or another thread may come between
    any two steps. So each change below is a single operation of a dictionary or a list, and
    opposite changes first write and then check: a handle that joins adds its need and then checks
    whether the hold is being left; a handle that leaves marks this and then checks for needs.

    Times are in seconds on the monotonic clock of this process. ``ends`` is counted from before the
    request was sent, so it is never later than the backend's own.

    ``tests/models/test_process.py`` explores this in all possible orders.
    """

    __slots__ = (
        *("__weakref__", "_claims", "_confirmed", "_leavers", "_lost", "backend"),
        *("began", "due", "fence", "handles_at_loss", "is_given", "keep_until"),
        *("length", "limit", "lock_id", "lost_reason", "max_hold", "name", "needs"),
        *("owner", "pid", "renew", "since", "token", "unanswered", "undecided"),
    )

    def __init__(
        self,
        backend: BaseLockBackend,
        name: str,
        token: str | None,
        limit: int,
        *,
        lease: float,
        renew: bool,
        max_hold: float | None,
    ) -> None:
        self.backend = backend
        self.name = name
        # Whether the user gave the token: then other holds here may have it too, see the registry,
        # and another attempt may use it again.
        self.is_given = token is not None
        self.token = token or urandom(16).hex()
        self.limit = limit
        self.length = lease
        self.renew = renew
        self.max_hold = math.inf if max_hold is None else max_hold
        self.lock_id: LockId = (backend.place, name)
        # Why it was lost. The event of the loss is only created when it is asked for.
        self.lost_reason = ""
        self._lost: dict[str, Lost] = {}
        self.handles_at_loss: Sequence[Any] = ()
        # The thread or task that has attempted it. The next attempt needs another token.
        self.owner: Owner | None = None
        # The process whose token it is. Children that are forked from it need tokens of their own,
        # because the backend grants a name to the same token as often as it asks.
        self.pid = process.pid
        self.began = False
        self.fence = 0
        # Whether a request for it was not answered, and may still arrive.
        self.unanswered = False
        self.due = self.since = -math.inf
        # Earliest end (monotonic). Released sooner, the lease runs on until then.
        self.keep_until = 0.0
        self.needs: dict[Need, None] = {}
        self._leavers: dict[Any, None] = {}
        # A list of one item, since taking it is a single operation. The caller that takes it
        # decides how the hold ends.
        self.undecided = [True]
        self._confirmed = True
        # The end of the lease that each request has asked for, and until it is answered, the older
        # requests that its answer replaces: the grant, and each extension that is not replaced yet.
        self._claims: dict[object, tuple[float, list[object] | None]] = {}

    @property
    def server(self) -> Server:
        """The backend, and the server that currently has the name."""
        return self.backend, self.backend.node_of(self.name)

    @property
    def inherited(self) -> bool:
        """Whether this process was forked since it was made, and so must not use its token."""
        return self.pid != process.look()

    @property
    def alive(self) -> bool:
        """Whether it is held, according to the local clock. Once it is not, it never is again."""
        if not self.began or not self.undecided or self.lost_reason or self.pid != getpid():
            return False
        if min(list(self._claims.values()), key=_end, default=_NEVER)[0] > monotonic():
            return True
        # An answer that is on its way could bring a later end, after the caller has given up.
        self.lose(self.why_over)
        return False

    @property
    def is_over(self) -> bool:
        """Whether it was released, dropped or lost."""
        return not self.undecided or bool(self.lost_reason)

    @property
    def lost(self) -> Lost:
        """The event that is set when the hold is lost."""
        lost = self._lost.get("event") or self._lost.setdefault("event", Lost())
        if self.lost_reason:
            lost.set(self.lost_reason)
        return lost

    def begin(self, grant: Grant, need: Need) -> bool:
        """Start the hold that was granted. Return False if the answer came too late."""
        self.fence = grant.fence
        self.since = monotonic()
        self._confirmed = grant.confirmed
        self.needs[need] = None
        self._claims[_GRANT] = grant.ends, None
        self._set_due(grant.ends)
        self.began = True
        return grant.ends > self.since

    # Needs.

    def join(self, need: Need) -> bool:
        """Add a need. If this returns False, the hold is being left: ``leave`` it again."""
        self.needs[need] = None
        return not self._leavers and self.alive

    def leave(self, need: Any) -> bool:
        """Remove a need. Return True if it was the last: then the caller must end the hold.

        If several callers leave at once, one of them gets True.
        """
        self.needs.pop(need, None)
        while not self.needs or not self.is_needed():
            self._leavers[need] = None
            if not self.needs or not self.is_needed():
                is_ours = self.undecided and self.decide()
                # A decided hold cannot be joined, so the mark is not needed any more.
                self._leavers.pop(need, None)
                return bool(is_ours)
            self._leavers.pop(need, None)
        # An interrupted call may have left its mark, which would keep all others from joining.
        self._leavers.pop(need, None)
        return False

    def is_needed(self) -> bool:
        needs = list(self.needs)
        while not any(need.handle is not None for need in needs):
            before, needs = needs, list(self.needs)
            if needs == before:
                return False
            # While they were read, a release may have left the hold to a transaction, say.
        return True

    @property
    def is_kept_by_transactions(self) -> bool:
        """Whether it is needed by transactions only."""
        needed = [need for need in list(self.needs) if need.handle is not None]
        return bool(needed) and all(need.is_transaction for need in needed)

    def decide(self) -> bool:
        """Claim the ending of the hold. One caller gets True, and only that one acts on it."""
        try:
            return self.undecided.pop()
        except IndexError:
            return False

    @property
    def handles(self) -> list[Any]:
        """The handles that need it, or are used in a transaction that does."""
        return [handle for need in list(self.needs) if (handle := need.handle) is not None]

    def lose(self, reason: str) -> None:
        """Mark the hold as lost, unless it is already."""
        if not self.lost_reason:
            # The handles are notified in another thread, and may be dropped before that.
            self.handles_at_loss = self.handles_at_loss or self.handles
            self.lost_reason = reason
        self.lost.set(self.lost_reason)

    @property
    def why_over(self) -> str:
        """Why it is not held any more, judging by the local clock."""
        if not self.began:
            return "its lease ran out, or it was released by force"
        now = monotonic()
        if now < self.ends:
            return "it was released by force, or its server lost it"
        if self.renew and now - self.since >= self.max_hold:
            return f"it was held for longer than its max_hold of {self.max_hold:g} s"
        return "its lease ran out"

    # Lease.

    @property
    def ends(self) -> float:
        """The earliest end that was asked for: until then the lease certainly lasts."""
        return min(list(self._claims.values()), key=_end, default=_NEVER)[0]

    def expect(self, request: object, ends: float) -> None:
        """Note that ``request`` asks for this end of the lease: no later one is certain any more.

        Its answer replaces those that have come by now. Requests sent at the same time do not
        replace each other: it is unknown which one arrives last.
        """
        older = [one for one, (_, awaits) in self._claims.copy().items() if awaits is None]
        self._claims[request] = ends, older

    def answered(self, request: object, ends: float) -> None:
        """Note that the backend granted ``request``, and when the lease ends now."""
        _, older = self._claims.get(request, _NEVER)
        self._claims[request] = ends, None
        self._confirmed = True
        for one in older or ():
            self._claims.pop(one, None)
        self._set_due(self.ends)

    def not_answered(self, request: object, length: float) -> None:
        """Note that it is unknown whether ``request``, for ``length`` seconds, was granted."""
        asked = self._claims.get(request, _NEVER)[0]
        if length < self.length:
            # It may arrive after any renewal, so the hold ends at that time at the latest.
            self.renew = False
        elif asked == self.ends > -math.inf:
            # If it was granted, it has made a longer lease shorter. Count it as answered, so that
            # the next renewal replaces it: arriving late, it asks for no less than that does.
            self._claims[request] = asked, None
        else:
            self._claims.pop(request, None)
        self._set_due(self.ends)

    def not_sent(self, request: object) -> None:
        """Forget ``request``: it was never sent, and changes nothing."""
        self._claims.pop(request, None)
        self._set_due(self.ends)

    def _set_due(self, ends: float) -> None:
        now = monotonic()
        if self._confirmed and (not self.renew or now - self.since >= self.max_hold):
            self.due = ends
        else:
            self.due = now + pause_of(min(self.length, ends - now))

    def next_length(self, now: float) -> float | None:
        """The seconds from ``now`` to extend the lease to, or None to let it run out."""
        if self.renew and now - self.since < self.max_hold:
            return self.length
        if not self._confirmed:
            return max(0.0, self.since + self.length - now)
        return None

    def remaining(self) -> float:
        return max(0.0, self.ends - monotonic())
