"""Base of the lock backends: a few verbs, each one atomic step that does not block on a lock.

Waiting is not among them: ``waiting.py`` decides when to try again and what to wait for.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import TypeAlias

from django.core.checks import CheckMessage

from ..conf import LockConfig, flag, lease_seconds
from ..exceptions import LockUnavailable
from ..figures.medians import Medians
from ..figures.meter import Batch, Meter
from ..figures.tallies import Minute, Slot
from ..holder import Holder
from .answers import (
    SHARED,
    Busy,
    Claim,
    Entries,
    Entry,
    Extension,
    Grant,
    Hold,
    Page,
    WaitedName,
    WaitedNames,
    Waiting,
)
from .waiters import Waiters

__all__ = [
    "SHARED",
    "TICK",
    "BaseLockBackend",
    "Busy",
    "Claim",
    "Entries",
    "Entry",
    "Extended",
    "Extension",
    "Grant",
    "Hold",
    "Holder",
    "Page",
    "WaitedName",
    "WaitedNames",
    "Waiting",
    "Within",
]

# Lease (seconds) of a hand-over to another process until its new holder confirms it.
GRANT_LEASE = 2.0

# Servers count leases in whole milliseconds, starting after we read our clock. A hold is therefore
# treated as ended this much (seconds) early.
TICK = 0.001

# Seconds within which the server must answer, if shorter than the connection's time-out.
Within: TypeAlias = float | None

# The new end of a lease (monotonic), None for a lost hold, or why it could not be extended.
Extended: TypeAlias = float | LockUnavailable | None

# Error text for a claim that is stricter than the hold its token already has.
HELD_LOOSER = (
    "is already held with this token under a looser limit, and by other holders too. Release it "
    "before you acquire it with a stricter limit"
)


class BaseLockBackend(ABC):
    """The verbs. Each has an ``a`` twin for coroutines; both raise ``LockUnavailable``.

    A backend object serves all threads and event loops of its process. The keyword arguments of a
    subclass's ``__init__`` are its ``OPTIONS``.
    """

    # Whether a turn is already a hold. If not, the waiter must acquire again with its token.
    believes_turns = True

    def __init__(
        self, config: LockConfig, *, grant_lease: float = GRANT_LEASE, metrics: bool = True
    ) -> None:
        self.config = config
        self.alias = config.alias
        # Whether to warn about misuse. Kept here because each acquire reads it.
        self.warns = config.warn
        options = f"LOCKS[{config.alias!r}]['OPTIONS']"
        self.grant_lease = lease_seconds(grant_lease, f"{options}['grant_lease']")
        # Figures that this process has not reported yet; None if metrics are off.
        self.meter = Meter() if flag(metrics, f"{options}['metrics']") else None
        # A copy of the figures of all processes, used to estimate waits.
        self.medians = Medians()
        self.waiters = Waiters(self.grant_lease)
        self.on_force_release: Callable[[Hashable, str, str], None] | None = None
        # Equal for two aliases that lead to the same locks.
        self.place: Hashable = config.alias

    @classmethod
    def option_names(cls) -> list[str]:
        parameters = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    @abstractmethod
    def acquire(self, claim: Claim, stay: float = 0.0, within: Within = None) -> Grant | Busy:
        """Grant the claim if the name is free and no waiter is ahead of it.

        With ``stay`` (seconds) a claim that is not granted joins the queue, or keeps its place
        there, for that long. A claim that holds already (its reply was lost) is granted again, with
        the same fence and a fresh lease. If its token holds with a looser limit, there must be
        room for the stricter one; otherwise this raises ``LockError`` and leaves the hold as is.
        """

    @abstractmethod
    def release(self, name: str, token: str, within: Within = None) -> bool:
        """End the hold and hand the name over. False if the token no longer held it."""

    @abstractmethod
    def extend(self, extension: Extension) -> float | None:
        """Set a lease anew. Return its new end (monotonic), or None if the hold was lost."""

    def extend_all(self, extensions: Sequence[Extension]) -> Sequence[Extended]:
        """``extend`` for each. A ``LockUnavailable`` stands in the place of what could not be done.

        So a server that refuses one of them, say because it is just moving that name to another
        server, does not keep the others from being renewed.
        """
        return [self._extended(one) for one in extensions]

    def _extended(self, extension: Extension) -> Extended:
        try:
            return self.extend(extension)
        except LockUnavailable as error:
            return error

    @abstractmethod
    def cancel(self, name: str, token: str, late: float = 0.0, *, keep_hold: bool = False) -> None:
        """Take a claim back, whether it waits or holds.

        ``late``: for this many seconds, an acquire of this claim that arrives late is refused.
        ``keep_hold``: a hold that a reply to an acquire has reported stays.
        """

    @abstractmethod
    def force_release(self, name: str, token: str) -> bool:
        """End the hold that was seen with this token. False if it has ended or changed since."""

    def force_release_all(self, holds: Iterable[tuple[str, str]]) -> Iterator[bool]:
        """``force_release`` for each name and token, in order. Each is an atomic step of its own.

        Each yielded result is final. If this raises, a few more may have been released.
        """
        for name, token in holds:
            yield self.force_release(name, token)

    def list(self, start: int = 0, stop: int = 100) -> Page:
        """The live holds of ranks ``start`` to ``stop``, soonest end first. Reads one page."""
        entries, total, missing = self.entries(start, stop)
        if missing is not None:
            raise missing
        return Page([*self.look_up(entries)], total)

    @abstractmethod
    def entries(self, start: int = 0, stop: int = 100) -> Entries:
        """The index entries of the ranks ``start`` to ``stop``, soonest end first.

        If some of several servers do not answer, it returns those of the others, and the error.
        """

    @abstractmethod
    def walk(self) -> Iterator[Sequence[Entry]]:
        """Yield each hold that is live throughout the walk once, in unordered batches.

        If some of several servers do not answer, it yields those of the others, and then raises.
        """

    @abstractmethod
    def look_up(self, entries: Sequence[Entry]) -> Sequence[Hold]:
        """The holds of these entries, in the same order, except holds that have ended since."""

    def entries_of(self, names: Sequence[str]) -> Sequence[Entry]:
        """The live holds of these names, name after name, for ``look_up``."""
        return [hold.entry for name in names for hold in self.inspect(name)[0]]

    @abstractmethod
    def waited_for(self, start: int = 0, stop: int = 100) -> WaitedNames:
        """The waited-for names of ranks ``start`` to ``stop``, in no particular order.

        Reads one page. A name whose waiters have all ended since is left out. If some of several
        servers do not answer, it returns the names of the others, and the error.
        """

    @abstractmethod
    def inspect(self, name: str) -> tuple[Sequence[Hold], Sequence[Waiting]]:
        """The holds of the name, and its queue in order."""

    def inspect_all(
        self, names: Sequence[str]
    ) -> Iterator[tuple[Sequence[Hold], Sequence[Waiting]]]:
        """``inspect`` for each name, in order. Each is an atomic step of its own."""
        for name in names:
            yield self.inspect(name)

    @abstractmethod
    async def aacquire(
        self, claim: Claim, stay: float = 0.0, within: Within = None
    ) -> Grant | Busy: ...

    @abstractmethod
    async def arelease(self, name: str, token: str, within: Within = None) -> bool: ...

    @abstractmethod
    async def aextend(self, extension: Extension) -> float | None: ...

    @abstractmethod
    async def ainspect(self, name: str) -> tuple[Sequence[Hold], Sequence[Waiting]]: ...

    def node_of(self, name: str) -> Hashable:
        """The server of the name, if there are several: each may be unreachable on its own."""
        return None

    def listening(self, name: str) -> bool:
        """Whether a hand-over of this name would reach this process now."""
        return True

    def listen(self, name: str, timeout: float) -> None:
        """Make sure, within ``timeout`` seconds, that hand-overs of this name reach us."""

    async def alisten(self, name: str, timeout: float) -> None:
        """The twin of ``listen``."""

    def mend(self) -> None:
        """Repair what interrupted callers left half done. A background thread calls this."""

    def add_tallies(self, batch: Batch) -> None:
        """Add the figures of a process to those of all processes. Each batch counts only once."""

    def tallies(self, families: Collection[str] | None = None) -> Sequence[Slot]:
        """Figures of all processes in the last hour, oldest slot first.

        ``families``: limit the figures to these.
        """
        return []

    def minutes(self) -> Sequence[Minute]:
        """Figures of all processes and families in the last minutes, oldest first."""
        return []

    def _force_released(self, name: str, token: str) -> None:
        if self.on_force_release is not None:
            self.on_force_release(self.place, name, token)

    def check(self, *, deploy: bool = False) -> Sequence[CheckMessage]:
        """Problems with this backend's settings and, with ``deploy``, with its server."""
        return []

    def close(self) -> None:
        """Release connections and threads. The backend may be used again afterwards."""
        if self.meter is not None:
            self.meter.forget()

    def after_fork(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""
        self.waiters.forget()
        if self.meter is not None:
            self.meter.forget()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"
