"""Holders and waiters of a name, in the memory of a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ..clock import utc_now
from ..holder import Holder
from .answers import Claim, Hold

__all__ = ["MemoryEntry", "MemoryName"]


@dataclass
class MemoryEntry:
    """A holder or a waiter. ``until``: when its lease, or its stay in the queue, ends.

    ``term``: the length of the present lease (seconds).
    """

    claim: Claim
    until: float
    since: datetime = field(default_factory=utc_now)
    began: datetime | None = None
    fence: int = 0
    term: float = 0.0
    detached: bool = False


@dataclass
class MemoryName:
    """The holders of a name, and its waiters in order of arrival."""

    holds: dict[str, MemoryEntry] = field(default_factory=dict)
    queue: dict[str, MemoryEntry] = field(default_factory=dict)

    def as_hold(self, held: MemoryEntry, now: float) -> Hold:
        """The public form of a hold of this name. ``now`` is monotonic."""
        clock = utc_now()
        waits = [clock - one.since for one in self.queue.values() if one.until > now]
        return Hold(
            name=held.claim.name,
            token=held.claim.token,
            fence=held.fence,
            limit=held.claim.limit,
            lease=held.claim.lease,
            remaining=held.until - now,
            since=held.since,
            waiters=len(waits),
            holder=Holder.unpack(held.claim.holder),
            age=max(0.0, (clock - held.since).total_seconds()),
            longest_wait=waits[0].total_seconds() if waits else 0.0,
            held=sum(one.until > now for one in self.holds.values()),
            began=held.began or held.since,
            detached=held.detached,
            term=held.term if held.term != held.claim.lease else None,
        )
