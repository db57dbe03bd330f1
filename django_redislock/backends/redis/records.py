"""What the scripts write about a hold or a waiter, and how it reads in Python."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from ..base import Hold, Holder, Waiting

__all__ = ["Record", "ms", "text"]


def text(value: bytes | str) -> str:
    """Replies are bytes, or strings where the pool decodes them."""
    return value.decode() if isinstance(value, bytes) else value


def ms(seconds: float) -> int:
    """Whole milliseconds, rounded up: a lease is never shorter on the server than asked for."""
    return -int(-seconds * 1000 // 1)


class Record(NamedTuple):
    """``"fence since limit lease process deadline holder"``; times in milliseconds."""

    fence: int
    since: int
    limit: int
    lease: int
    process: str
    deadline: int
    holder: Holder

    @classmethod
    def read(cls, line: bytes | str) -> Record | None:
        fields = text(line).split(" ", 6)
        if len(fields) < 7:
            return None
        fence, since, limit, lease, process, deadline, holder = fields
        return cls(
            int(fence), int(since), int(limit), int(lease), process, int(deadline),
            Holder.unpack(holder),
        )  # fmt: skip

    @property
    def since_at(self) -> datetime:
        return datetime.fromtimestamp(self.since / 1000, tz=timezone.utc)

    def as_hold(self, name: str, token: str, remaining_ms: int, waiters: int) -> Hold:
        return Hold(
            name=name,
            token=token,
            fence=self.fence,
            limit=self.limit,
            lease=self.lease / 1000,
            remaining=remaining_ms / 1000,
            since=self.since_at,
            waiters=waiters,
            holder=self.holder,
        )

    def as_waiting(self, token: str) -> Waiting:
        return Waiting(token=token, limit=self.limit, since=self.since_at, holder=self.holder)
