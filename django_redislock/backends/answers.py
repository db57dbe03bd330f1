"""Requests to a lock backend, and its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ..clock import utc_now
from ..exceptions import LockUnavailable
from ..holder import Holder

__all__ = [
    "SHARED",
    "Busy",
    "Claim",
    "Entries",
    "Entry",
    "Extension",
    "Grant",
    "Hold",
    "Page",
    "WaitedName",
    "WaitedNames",
    "Waiting",
]

# The limit of a shared hold: any number of readers. A writer's limit is 1, and a name is granted
# only while the limits of all its holders are kept, so readers and writers exclude each other.
SHARED = 2**31 - 1


class Grant(NamedTuple):
    """The claim holds. ``ends`` is when the lease ends, on this process's monotonic clock.

    ``confirmed`` is False after a hand-over: until it is extended, the hold has only the grant
    lease.
    """

    fence: int
    ends: float
    confirmed: bool = True


class Busy(NamedTuple):
    """The claim does not hold.

    ``retry_in``: seconds until a present hold ends unless it is renewed. ``look_in``: seconds after
    which a queued attempt must ask again by itself. ``clock``: the latest monotonic time at which
    the backend's own clock can have read zero. ``position``: the attempt's place in the queue, from
    1 on; for an attempt that does not stay, the place after the last. Most waiters never ask about
    the hold in their way, so ``find_hold`` reads its holder and age (seconds) only on demand.
    """

    retry_in: float
    look_in: float
    clock: float
    position: int
    find_hold: Callable[[], tuple[Holder | None, float]]

    @property
    def holder(self) -> Holder | None:
        return self.find_hold()[0]

    @property
    def held_for(self) -> float:
        """How long the hold in the way had lasted (seconds); 0 if unknown."""
        return self.find_hold()[1]


@dataclass(slots=True)
class Claim:
    """The request of an attempt. ``lease`` is in seconds, ``holder`` is packed.

    ``unanswered``: whether it was sent and not answered, so that it may still arrive, although it
    was repeated then. ``busy``: the latest answer, unless the claim was granted at once.
    """

    name: str
    token: str
    limit: int
    lease: float
    holder: str
    unanswered: bool = False
    busy: Busy | None = None


class Extension(NamedTuple):
    """A hold whose lease is to end ``lease`` seconds from now.

    ``renewal``: the work goes on. A renewal never shortens a lease, and is sent even to a server
    that has not been answering. ``detached``: no handle needs it any more, and listings show that.
    """

    name: str
    token: str
    lease: float
    renewal: bool = False
    detached: bool = False


class Entry(NamedTuple):
    """The index entry of a live hold. ``remaining`` is in seconds."""

    name: str
    token: str
    remaining: float


@dataclass(frozen=True)
class Hold:
    """A live hold, as a listing shows it. Lengths of time are in seconds, by the backend's clock.

    ``age``: how long it has been held. ``held``: the number of holds of the name, including this
    one. ``began``: when the attempt first asked for it. ``term``: the length of the current lease
    if it is not ``lease``: shorter after a hand-over, until the new holder confirms it, and longer
    or shorter after ``extend()``. ``damaged``: the stored record is unreadable, so only the name
    and the remaining time are known; ``force_release`` accepts its ``token``.
    """

    name: str
    token: str
    fence: int
    limit: int
    lease: float
    remaining: float
    since: datetime
    waiters: int
    holder: Holder
    age: float = 0.0
    longest_wait: float = 0.0
    held: int = 1
    began: datetime | None = None
    detached: bool = False
    damaged: bool = False
    term: float | None = None

    @property
    def shared(self) -> bool:
        return self.limit == SHARED

    @property
    def entry(self) -> Entry:
        """The index entry of this hold."""
        return Entry(self.name, self.token, self.remaining)


@dataclass(frozen=True)
class Waiting:
    """An attempt in the queue of a name."""

    token: str
    limit: int
    since: datetime
    holder: Holder

    @property
    def age(self) -> float:
        """How long it has waited (seconds)."""
        return max(0.0, (utc_now() - self.since).total_seconds())


class Entries(NamedTuple):
    """Some of the index, soonest end first, and how many live holds there are in all.

    ``missing``: why the holds of some servers, of several, are neither listed nor counted.
    """

    entries: list[Entry]
    total: int
    missing: LockUnavailable | None = None


class WaitedName(NamedTuple):
    """A name that has a queue. ``longest_wait``: how long its first waiter has waited (seconds)."""

    name: str
    waiters: int
    longest_wait: float


class WaitedNames(NamedTuple):
    """Some of the names that have a queue, and how many there are in all.

    ``missing``: why the names of some servers, of several, are neither listed nor counted.
    """

    names: list[WaitedName]
    total: int
    missing: LockUnavailable | None = None


class Page(NamedTuple):
    """Some of the live holds, soonest end first, and how many there are in all."""

    holds: list[Hold]
    total: int
