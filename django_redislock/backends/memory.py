"""Locks within one process, for tests and development, as strict as those in Redis."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from django.core.checks import CheckMessage, Warning

from ..clock import monotonic, utc_now, wall_time
from ..conf import LockConfig, text
from ..exceptions import LockError
from ..figures.hour import Hour
from ..figures.meter import Batch
from ..figures.tallies import Minute, Slot
from .base import (
    GRANT_LEASE,
    HELD_LOOSER,
    BaseLockBackend,
    Busy,
    Claim,
    Entries,
    Entry,
    Extension,
    Grant,
    Hold,
    Holder,
    WaitedName,
    WaitedNames,
    Waiting,
    Within,
)
from .memory_names import MemoryEntry, MemoryName
from .waiters import Turn

__all__ = ["MemoryLockBackend"]


class MemoryLockBackend(BaseLockBackend):
    """Each verb is one step under a mutex. Times are on the monotonic clock."""

    def __init__(
        self, config: LockConfig, *, grant_lease: float = GRANT_LEASE, metrics: bool = True
    ) -> None:
        super().__init__(config, grant_lease=grant_lease, metrics=metrics)
        self._begin()

    def _begin(self) -> None:
        self._mutex = threading.RLock()
        self._names: dict[str, MemoryName] = {}
        self._gone: dict[tuple[str, str], float] = {}
        self._last_number = 0
        self._sweep_at = 100
        self._hour = Hour()

    def acquire(self, claim: Claim, stay: float = 0.0, within: Within = None) -> Grant | Busy:
        with self._mutex:
            now = monotonic()
            if claim.name not in self._names:
                self._sweep(now)
            name = self._names.setdefault(claim.name, MemoryName())
            self._drop_expired(name, now)
            if self._gone.get((claim.name, claim.token), now) > now:
                return self._busy(name, now)
            held = name.holds.get(claim.token)
            if held is not None:
                return self._take_over(name, held, claim, now)
            waiting = name.queue.get(claim.token)
            mine = MemoryEntry(claim, now + stay, waiting.since if waiting else utc_now())
            if stay > 0:
                name.queue[claim.token] = mine  # which keeps its place
            self._hand_over(name, now, mine)
            held = name.holds.get(claim.token)
            if held is None and not name.queue and self._fits(name, claim.limit):
                held = self._grant(name, mine, now)
            if held is not None:
                return Grant(held.fence, held.until)
            return self._busy(name, now, claim.token if stay > 0 else "")

    def release(self, name: str, token: str, within: Within = None) -> bool:
        with self._mutex, self._passing_on(name) as (known, _):
            return known.holds.pop(token, None) is not None

    def extend(self, extension: Extension) -> float | None:
        with self._mutex:
            now = monotonic()
            held = self._names.get(extension.name, MemoryName()).holds.get(extension.token)
            if held is None or held.until <= now:
                return None
            left = held.until - now if extension.renewal else 0.0
            held.term = max(left, extension.lease)
            held.until = now + held.term
            held.detached = held.detached or extension.detached
            return held.until

    def cancel(self, name: str, token: str, late: float = 0.0, *, keep_hold: bool = False) -> None:
        with self._mutex, self._passing_on(name) as (known, now):
            self._gone = {claim: until for claim, until in self._gone.items() if until > now}
            if late:
                self._gone[name, token] = now + late
            if not keep_hold:
                known.holds.pop(token, None)
            known.queue.pop(token, None)

    def force_release(self, name: str, token: str) -> bool:
        released = self.release(name, token)
        if released:
            self._force_released(name, token)
        return released

    def entries(self, start: int = 0, stop: int = 100) -> Entries:
        with self._mutex:
            now = monotonic()
            entries = [
                Entry(name, token, held.until - now)
                for name, known in self._names.items()
                for token, held in known.holds.items()
                if held.until > now
            ]
        entries.sort(key=lambda entry: (entry.remaining, entry.token))
        return Entries(entries[start:stop], len(entries))

    def walk(self) -> Iterator[Sequence[Entry]]:
        yield self.entries(0, sys.maxsize).entries

    def look_up(self, entries: Sequence[Entry]) -> Sequence[Hold]:
        with self._mutex:
            now = monotonic()
            return [
                known.as_hold(held, now)
                for entry in entries
                if (known := self._names.get(entry.name))
                and (held := known.holds.get(entry.token))
                and held.until > now
            ]

    def waited_for(self, start: int = 0, stop: int = 100) -> WaitedNames:
        clock = utc_now()
        with self._mutex:
            now = monotonic()
            names = [
                WaitedName(name, len(waits), max(0.0, (clock - waits[0]).total_seconds()))
                for name, known in self._names.items()
                if (waits := [one.since for one in known.queue.values() if one.until > now])
            ]
        return WaitedNames(names[start:stop], len(names))

    def inspect(self, name: str) -> tuple[Sequence[Hold], Sequence[Waiting]]:
        with self._mutex:
            now = monotonic()
            known = self._names.get(text(name, "name"), MemoryName())
            holds = [known.as_hold(held, now) for held in known.holds.values() if held.until > now]
            queue = [
                Waiting(token, one.claim.limit, one.since, Holder.unpack(one.claim.holder))
                for token, one in known.queue.items()
                if one.until > now
            ]
        return holds, queue

    def add_tallies(self, batch: Batch) -> None:
        with self._mutex:
            self._hour.add(batch)

    def tallies(self, families: Collection[str] | None = None) -> Sequence[Slot]:
        with self._mutex:
            return self._hour.slots(families)

    def minutes(self) -> Sequence[Minute]:
        with self._mutex:
            return self._hour.minutes()

    def check(self, *, deploy: bool = False) -> Sequence[CheckMessage]:
        if not deploy:
            return []
        return [
            Warning(
                f"LOCKS[{self.alias!r}] keeps its locks in the memory of one process, so that two "
                "processes may hold the same lock.",
                hint=f"Use {LockConfig.backend!r} in production.",
                id="locks.W004",
            )
        ]

    # No verb blocks, so coroutines call them in place.

    async def aacquire(
        self, claim: Claim, stay: float = 0.0, within: Within = None
    ) -> Grant | Busy:
        return self.acquire(claim, stay)

    async def arelease(self, name: str, token: str, within: Within = None) -> bool:
        return self.release(name, token)

    async def aextend(self, extension: Extension) -> float | None:
        return self.extend(extension)

    async def ainspect(self, name: str) -> tuple[Sequence[Hold], Sequence[Waiting]]:
        return self.inspect(name)

    def after_fork(self) -> None:
        super().after_fork()
        self._begin()

    # Everything below is called under the mutex.

    @contextmanager
    def _passing_on(self, name: str) -> Iterator[tuple[MemoryName, float]]:
        """Let the block change holds or the queue, then hand over to the next waiters."""
        now = monotonic()
        known = self._names.setdefault(name, MemoryName())
        self._drop_expired(known, now)
        yield known, now
        self._hand_over(known, now)
        if not known.holds and not known.queue:
            self._names.pop(name, None)

    def _sweep(self, now: float) -> None:
        """Forget names whose holds have expired, whenever the number of names has doubled."""
        if len(self._names) < self._sweep_at:
            return
        for name, known in self._names.copy().items():
            self._drop_expired(known, now)
            if not known.holds and not known.queue:
                del self._names[name]
        self._sweep_at = 2 * len(self._names) + 100

    def _drop_expired(self, known: MemoryName, now: float) -> None:
        for token in [token for token, held in known.holds.items() if held.until <= now]:
            del known.holds[token]

    def _fits(self, known: MemoryName, limit: int) -> bool:
        limits = [held.claim.limit for held in known.holds.values()]
        return len(limits) < min([limit, *limits])

    def _grant(self, known: MemoryName, entry: MemoryEntry, now: float) -> MemoryEntry:
        self._last_number = max(self._last_number + 1, int(wall_time() * 1_000_000))
        until, fence = now + entry.claim.lease, self._last_number
        held = MemoryEntry(
            entry.claim, until, began=entry.since, fence=fence, term=entry.claim.lease
        )
        known.holds[entry.claim.token] = held
        return held

    def _hand_over(self, known: MemoryName, now: float, asking: MemoryEntry | None = None) -> None:
        while known.queue:
            token, first = next(iter(known.queue.items()))
            if asking is not None and token == asking.claim.token:
                # What the caller asks for now counts, not what it asked for when it queued.
                first = asking
            present = first is asking or first.until > now
            if present and not self._fits(known, first.claim.limit):
                return
            del known.queue[token]
            if not present:
                continue
            held = self._grant(known, first, now)
            notified = first is asking or self.waiters.notify(
                first.claim.name, token, Turn(held.fence, held.until)
            )
            if not notified:
                del known.holds[token]

    def _take_over(self, known: MemoryName, held: MemoryEntry, claim: Claim, now: float) -> Grant:
        if claim.limit < len(known.holds):
            raise LockError.of(claim.name, HELD_LOOSER)
        looser = claim.limit > held.claim.limit
        # A delayed request must not shorten a lease that was extended since it was sent. A detached
        # hold was not extended by any handle, and the handle that takes it over renews it.
        held.term = claim.lease if held.detached else max(held.until - now, claim.lease)
        held.claim, held.until, held.detached = claim, now + held.term, False
        if looser:
            self._hand_over(known, now)
        # The caller relies on the lease that it asked for, and schedules renewals by it.
        return Grant(held.fence, now + claim.lease)

    def _busy(self, known: MemoryName, now: float, queued: str = "") -> Busy:
        first = min(known.holds.values(), key=lambda held: held.until, default=None)
        retry_in = first.until - now if first else 0.0
        position = 1 + (list(known.queue).index(queued) if queued else len(known.queue))
        find_hold = partial(_hold_of, first, utc_now())
        return Busy(retry_in, max(retry_in, 0.001), 0.0, position, find_hold)


def _hold_of(held: MemoryEntry | None, now: datetime) -> tuple[Holder | None, float]:
    if held is None:
        return None, 0.0
    return Holder.unpack(held.claim.holder), max(0.0, (now - held.since).total_seconds())
