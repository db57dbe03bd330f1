"""What the scripts write about a hold or a waiter, and how it reads in Python."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..base import Hold, Holder, Waiting
from ..waiters import Turn

__all__ = ["Record", "extended", "inspected", "ms", "not_an_error", "released", "text"]


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

    def as_hold(
        self,
        name: str,
        token: str,
        remaining: float,
        waiters: int,
        *,
        now: float,
        longest_wait: float,
        held: int,
    ) -> Hold:
        return Hold(
            name=name,
            token=token,
            fence=self.fence,
            limit=self.limit,
            lease=self.lease / 1000,
            remaining=remaining,
            since=self.since_at,
            waiters=waiters,
            holder=self.holder,
            age=max(0.0, now - self.since / 1000),
            longest_wait=longest_wait,
            held=held,
        )

    def as_waiting(self, token: str) -> Waiting:
        return Waiting(token=token, limit=self.limit, since=self.since_at, holder=self.holder)


def not_an_error(reply: Any) -> Any:
    """The reply. Raises it where it is an error."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def extended(sent_at: float, reply: Any) -> float | None:
    """When the lease ends that ``extend.lua`` has set (monotonic); None for a lost hold."""
    until, now = not_an_error(reply)
    return sent_at + (until - now - 1) / 1000 if until else None


def released(reply: Any) -> tuple[bool, list[tuple[str, Turn]]]:
    """What the reply of ``release.lua`` says: whether a hold was ended, and whose turn it is."""
    ended, *parts = reply if isinstance(reply, list) else (reply,)
    turns = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return bool(ended), [(text(who), Turn(fence, ends / 1000)) for who, fence, ends in turns]


def inspected(name: str, reply: Any) -> tuple[list[Hold], list[Waiting]]:
    """What the reply of ``inspect.lua`` says."""
    now, holding, waiting = reply
    queue = [
        record.as_waiting(text(token))
        for token, line in zip(waiting[::2], waiting[1::2], strict=True)
        if (record := Record.read(line))
    ]
    longest = max(0.0, now / 1000 - queue[0].since.timestamp()) if queue else 0.0
    held = len(holding) // 3
    holds = [
        record.as_hold(
            name,
            text(token),
            (until - now) / 1000,
            len(queue),
            now=now / 1000,
            longest_wait=longest,
            held=held,
        )
        for token, until, line in zip(holding[::3], holding[1::3], holding[2::3], strict=True)
        if (record := Record.read(line))
    ]
    return holds, queue
