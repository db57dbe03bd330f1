"""What a lock backend is: a few verbs, each one atomic step that does not block on a lock.

Waiting is not among them: ``waiting.py`` decides when to try again and what to wait for.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from django.core.checks import CheckMessage

from ..conf import SHORTEST_LEASE, LockConfig, flag, seconds
from ..metrics.meter import Batch, Meter
from ..metrics.tallies import Slot
from .holder import Holder
from .waiters import Waiter, Waiters

__all__ = [
    "SHARED",
    "BaseLockBackend",
    "Busy",
    "Claim",
    "Entries",
    "Entry",
    "Extension",
    "Grant",
    "Hold",
    "Holder",
    "Page",
    "Waiting",
    "Within",
]

# The limit of a shared hold: any number of readers. A writer's limit is 1, and a name is granted
# only while it keeps the limits of all who hold it, so readers and writers exclude each other.
SHARED = 2**31 - 1

# How long a hand-over to another process is valid before its new holder has shown a sign of life.
GRANT_LEASE = 2.0


# Seconds in which the server must have answered, if that is sooner than the connection's time-out.
Within: TypeAlias = float | None


class Claim(NamedTuple):
    """What an attempt asks for. ``lease`` is in seconds, ``holder`` is packed."""

    name: str
    token: str
    limit: int
    lease: float
    holder: str


class Grant(NamedTuple):
    """The claim holds. ``ends`` is when the lease ends, on this process's monotonic clock.

    ``confirmed`` is False after a hand-over: the hold has no more than the grant lease before it is
    extended.
    """

    fence: int
    ends: float
    confirmed: bool = True


class Busy(NamedTuple):
    """The claim does not hold.

    ``retry_in``: seconds until a present hold ends unless it is renewed. ``look_in``: seconds after
    which a queued attempt must ask again by itself. ``clock``: the monotonic time at which the
    backend's own clock stood at zero, at the latest.
    """

    retry_in: float
    look_in: float
    clock: float
    holder: Holder | None


class Extension(NamedTuple):
    """A hold whose lease is to end ``lease`` seconds from now, or ``at_least`` so."""

    name: str
    token: str
    lease: float
    at_least: bool = False


@dataclass(frozen=True)
class Hold:
    """A live hold, as a listing shows it. Lengths of time are in seconds, by the backend's clock.

    ``age``: for how long it has been held. ``held``: how many hold the name, this one among them.
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

    @property
    def shared(self) -> bool:
        return self.limit == SHARED


@dataclass(frozen=True)
class Waiting:
    """An attempt in the queue of a name."""

    token: str
    limit: int
    since: datetime
    holder: Holder


class Entry(NamedTuple):
    """What the index says of a live hold. ``remaining`` is in seconds."""

    name: str
    token: str
    remaining: float


class Entries(NamedTuple):
    """Some of the index, soonest end first, and how many live holds there are in all."""

    entries: list[Entry]
    total: int


class Page(NamedTuple):
    """Some of the live holds, soonest end first, and how many there are in all."""

    holds: list[Hold]
    total: int


class BaseLockBackend(ABC):
    """The verbs. Each has an ``a`` twin for coroutines; both raise ``LockUnavailable``.

    A backend object serves all threads and event loops of its process. The keyword arguments of a
    subclass's ``__init__`` are its ``OPTIONS``.
    """

    def __init__(
        self, config: LockConfig, *, grant_lease: float = GRANT_LEASE, metrics: bool = True
    ) -> None:
        self.config = config
        self.alias = config.alias
        options = f"LOCKS[{config.alias!r}]['OPTIONS']"
        self.grant_lease = seconds(grant_lease, f"{options}['grant_lease']", least=SHORTEST_LEASE)
        # What this process has counted and not told yet; None where nothing is to be counted.
        self.meter = Meter() if flag(metrics, f"{options}['metrics']") else None
        self.waiters = Waiters()
        self.on_force_release: Callable[[Hashable, str, str], None] | None = None
        # Equal where two aliases lead to the same locks.
        self.place: Hashable = config.alias

    @classmethod
    def option_names(cls) -> list[str]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    @abstractmethod
    def acquire(self, claim: Claim, stay: float = 0.0, within: Within = None) -> Grant | Busy:
        """Grant the claim if the name is free and nobody waits before it.

        With ``stay`` (seconds) a claim that is not granted joins the queue, or keeps its place
        there, for that long. A claim that holds already (its reply was lost) is granted again, with
        the same fence and a fresh lease.
        """

    @abstractmethod
    def release(self, name: str, token: str, within: Within = None) -> bool:
        """End the hold and hand the name over. False if the token did not hold it any more."""

    @abstractmethod
    def extend(
        self, extensions: Sequence[Extension], within: Within = None
    ) -> Sequence[float | None]:
        """Set the leases anew: for each, when it ends (monotonic), or None if it was lost."""

    @abstractmethod
    def cancel(self, name: str, token: str, late: float = 0.0, within: Within = None) -> None:
        """Take a claim back, whether it waits or holds.

        ``late``: for how many seconds its acquire may still arrive, and is refused when it does.
        """

    @abstractmethod
    def force_release(self, name: str, token: str) -> bool:
        """End the hold that was seen with this token. False if it has ended or changed since."""

    def force_release_all(self, holds: Iterable[tuple[str, str]]) -> Iterator[bool]:
        """``force_release`` for each name and token, in order; one step each, however they travel.

        What has been yielded is done. When it raises, a few more may have been released.
        """
        for name, token in holds:
            yield self.force_release(name, token)

    def list(self, start: int = 0, stop: int = 100) -> Page:
        """The live holds of ranks ``start`` to ``stop``, soonest end first; costs a page."""
        entries, total = self.entries(start, stop)
        return Page([*self.look_up(entries)], total)

    @abstractmethod
    def entries(self, start: int = 0, stop: int = 100) -> Entries:
        """What the index says of the ranks ``start`` to ``stop``, soonest end first."""

    @abstractmethod
    def walk(self) -> Iterator[Sequence[Entry]]:
        """Each hold that is live from first to last, once; some at a time, and unordered."""

    @abstractmethod
    def look_up(self, entries: Sequence[Entry]) -> Sequence[Hold]:
        """The holds of these entries in the same order, without those that have ended since."""

    @abstractmethod
    def inspect(self, name: str, within: Within = None) -> tuple[Sequence[Hold], Sequence[Waiting]]:
        """Who holds the name, and the queue in its order."""

    @abstractmethod
    async def aacquire(
        self, claim: Claim, stay: float = 0.0, within: Within = None
    ) -> Grant | Busy: ...

    @abstractmethod
    async def arelease(self, name: str, token: str, within: Within = None) -> bool: ...

    @abstractmethod
    async def aextend(
        self, extensions: Sequence[Extension], within: Within = None
    ) -> Sequence[float | None]: ...

    @abstractmethod
    async def acancel(
        self, name: str, token: str, late: float = 0.0, within: Within = None
    ) -> None: ...

    @abstractmethod
    async def ainspect(
        self, name: str, within: Within = None
    ) -> tuple[Sequence[Hold], Sequence[Waiting]]: ...

    def listening(self, name: str) -> bool:
        """Whether a hand-over of this name would reach this process now."""
        return True

    def listen(self, name: str, timeout: float) -> None:
        """Make sure, within ``timeout`` seconds, that hand-overs of this name reach us."""

    async def alisten(self, name: str, timeout: float) -> None:
        """The twin of ``listen``."""

    def enlist(self, claim: Claim, waiter: Waiter) -> None:
        """Let ``waiter`` hear of the claim's turn."""
        self.waiters.enter(claim.name, claim.token, waiter)

    def dismiss(self, claim: Claim) -> None:
        """The attempt is over: its waiter need not hear any more."""
        self.waiters.leave(claim.name, claim.token)

    def add_tallies(self, batch: Batch) -> None:
        """Add what a process has counted to what all have; the same batch counts once."""

    def tallies(self) -> Sequence[Slot]:
        """What all processes have counted in the last hour, oldest slot first."""
        return []

    def _force_released(self, name: str, token: str) -> None:
        if self.on_force_release is not None:
            self.on_force_release(self.place, name, token)

    def check(self, *, deploy: bool = False) -> Sequence[CheckMessage]:
        """What is wrong with this backend's settings; with ``deploy`` also with its server."""
        return []

    def close(self) -> None:
        """Give back connections and threads. The backend may be used again afterwards."""
        if self.meter is not None:
            self.meter.forget()

    def after_fork(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""
        self.waiters.forget()
        if self.meter is not None:
            self.meter.forget()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"
