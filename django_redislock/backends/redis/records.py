"""Records of holds and waiters, as the scripts write them and Python reads them.

Reading damaged records does not raise. ``docs/stored-data.md`` specifies the format.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import sha1
from typing import Any, NamedTuple

from ..base import Hold, Holder, Waiting
from ..waiters import Turn

__all__ = [
    "GRACE",
    "LONGEST",
    "LOOSER",
    "Message",
    "Record",
    "as_hold",
    "busy",
    "extended",
    "hold_of",
    "inspected",
    "message",
    "ms",
    "readable_token",
    "released",
    "split_hold",
    "token_of_damage",
]

# "flags at term fence since began limit lease grant process ... holder", as in records.lua. A time
# of 14 digits is before the last year that datetime supports.
_RECORD = re.compile(
    r"(\d{3,}) (\d{1,14}) (\d{1,14}) (\d{1,16}) (\d{1,14}) (\d{1,14}) (\d{1,10}) (\d{1,14}) "
    r"(\d{1,14}) [sp][0-9A-Za-z]+ (?:[^{]* )?(.*)",
    re.ASCII | re.DOTALL,
)
_TOKEN = re.compile(rb"[!-~]+")
# A fence or a time. No script writes a longer one, and Python may refuse to convert it.
_NUMBER = re.compile(r"\d{1,16}", re.ASCII)

# The reply of acquire.lua if the token holds the name with a looser limit.
LOOSER = b"looser"

# The longest lease or wait (ms), as in clock.lua. A later end means damage.
LONGEST = 3_200_000_000_000

# The expiry (ms) that an unreadable value without one gets from the first script, as in clock.lua.
GRACE = 60_000


def ms(seconds: float) -> int:
    """Whole milliseconds, rounded up: a lease is never shorter on the server than asked for."""
    return -int(-seconds * 1000 // 1)


def token_of_damage(value: bytes) -> str:
    """The token under which an unreadable hold is listed and released, as in holders.lua."""
    return f"damaged-{sha1(value, usedforsecurity=False).hexdigest()}"


def readable_token(value: bytes) -> str:
    """The token of a hold, or a substitute if no script can have written it."""
    return value.decode() if _TOKEN.fullmatch(value) else token_of_damage(value)


def split_hold(line: bytes, now: int) -> tuple[str, Record | None]:
    """The token and the record of the value under ``hold``; the record is None if damaged."""
    token, _, rest = line.partition(b" ")
    record = Record.read(rest, now) if _TOKEN.fullmatch(token) else None
    return (token.decode(), record) if record else (token_of_damage(line), None)


@lru_cache(maxsize=32)  # an attempt that is refused needs it several times
def hold_of(line: bytes, now: int) -> tuple[Holder | None, float]:
    """The holder stored under ``hold``, and the hold's age (seconds) at the time ``now`` (ms).

    None and 0 if it is damaged.
    """
    _, record = split_hold(line, now)
    return (record.holder, max(0, now - record.since) / 1000) if record else (None, 0.0)


class Record(NamedTuple):
    """A hold or an attempt. Times are in milliseconds, by the clock of the server."""

    flags: str
    at: int
    term: int
    fence: int
    since: int
    began: int
    limit: int
    lease: int
    holder: Holder

    @classmethod
    def read(cls, line: bytes | None, now: int) -> Record | None:
        """Parse a record at the time ``now`` (ms). Return None if it is missing or damaged."""
        found = _RECORD.fullmatch((line or b"").decode(errors="replace"))
        if found is None:
            return None
        flags, *numbers, holder = found.groups()
        at, term, fence, since, began, limit, lease, grant = map(int, numbers)
        if at + term > now + LONGEST or max(term, lease, grant) > LONGEST:
            return None
        if min(limit, lease, grant) < 1:
            return None
        return cls(flags, at, term, fence, since, began, limit, lease, Holder.unpack(holder))

    @property
    def ends(self) -> int:
        return self.at + self.term


class Message(NamedTuple):
    """A message to a process. ``turn`` is None when a hold was released by force."""

    name: str
    token: str
    turn: Turn | None


def message(line: bytes) -> Message | None:
    """Read ``"verb number-of-fields field ... name"``; None for a verb of a later release."""
    verb, _, rest = line.decode(errors="replace").partition(" ")
    number, _, rest = rest.partition(" ")
    if not (number.isascii() and number.isdecimal()):
        return None
    *fields, name = rest.split(" ", int(number[:3]))
    if verb == "lost" and fields:
        return Message(name, fields[0], None)
    if verb == "turn" and len(fields) >= 3 and all(map(_NUMBER.fullmatch, fields[1:3])):
        return Message(name, fields[0], Turn(int(fields[1]), int(fields[2]) / 1000))
    return None


def as_hold(
    record: Record | None,
    name: str,
    token: str,
    remaining: float,
    *,
    now: float,
    waiters: int,
    longest_wait: float,
    held: int,
) -> Hold:
    """The listed form of a hold. It is damaged if it has no readable record."""
    if record is None:
        return Hold(
            name=name,
            token=token,
            fence=0,
            limit=1,
            lease=0.0,
            remaining=remaining,
            since=_at(0),
            waiters=waiters,
            holder=Holder(),
            damaged=True,
        )
    return Hold(
        name=name,
        token=token,
        fence=record.fence,
        limit=record.limit,
        lease=record.lease / 1000,
        remaining=remaining,
        since=_at(record.since),
        waiters=waiters,
        holder=record.holder,
        age=max(0.0, now - record.since / 1000),
        longest_wait=longest_wait,
        held=held,
        began=_at(record.began),
        detached=record.flags[2] == "1",
        term=record.term / 1000 if record.term != record.lease else None,
    )


def busy(reply: bytes) -> tuple[int, int, int, bytes]:
    """Parse the reply of ``acquire.lua`` for a busy name.

    Return the time left (ms), the server's clock (ms), the position in the queue, and the hold in
    the way.
    """
    _, at, term, now, position, line = reply.split(b" ", 5)
    return int(at) + int(term) - int(now), int(now), int(position), line


def extended(sent_at: float, left: int) -> float | None:
    """When the lease ends that ``extend.lua`` has set (monotonic); None for a lost hold."""
    return sent_at + (left - 1) / 1000 if left else None


def released(reply: Any) -> tuple[bool, list[tuple[str, Turn]]]:
    """What the reply of ``release.lua`` says: whether a hold was ended, and whose turn it is."""
    ended, *parts = reply.decode(errors="replace").split(" ")  # tokens may be damaged
    turns = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return ended == "1", [(who, Turn(int(fence), int(ends) / 1000)) for who, fence, ends in turns]


def inspected(name: str, reply: Any) -> tuple[list[Hold], list[Waiting]]:
    """The holds and the queue in the reply of ``inspect.lua``."""
    now, holding, waiting, claims = reply
    queue = [
        Waiting(readable_token(token), record.limit, _at(record.began), record.holder)
        for token, line in zip(waiting, claims, strict=True)
        if (record := Record.read(line, now)) and now < record.ends
    ]
    longest = max(0.0, now / 1000 - queue[0].since.timestamp()) if queue else 0.0
    holds = [
        as_hold(
            Record.read(line, now),
            name,
            readable_token(token),
            (until - now) / 1000,
            now=now / 1000,
            waiters=len(queue),
            longest_wait=longest,
            held=len(holding) // 3,
        )
        for token, until, line in zip(holding[::3], holding[1::3], holding[2::3], strict=True)
    ]
    return holds, queue


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc)
