"""Records of holds and waiters, as the scripts write them and Python reads them.

Reading damaged records does not raise. ``docs/stored-data.md`` specifies the format.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from hashlib import sha1
from typing import Any, NamedTuple

from ..base import Hold, Holder, Waiting
from ..waiters import Turn

__all__ = [
    "LONGEST",
    "LOOSER",
    "Message",
    "Record",
    "busy",
    "extended",
    "hold_of",
    "inspected",
    "message",
    "ms",
    "not_an_error",
    "readable_token",
    "released",
    "split_hold",
    "text",
    "token_of_damage",
]

# "flags at term fence since began limit lease grant process ... holder", as in records.lua. A time
# of 14 digits is before the last year that datetime supports.
_RECORD = re.compile(
    r"(\d{3,}) (\d{1,14}) (\d{1,14}) (\d{1,16}) (\d{1,14}) (\d{1,14}) (\d{1,10}) (\d{1,14}) "
    r"(\d{1,14}) ([sp][0-9A-Za-z]+) (?:[^{]* )?(.*)",
    re.ASCII | re.DOTALL,
)
_TOKEN = re.compile(r"[!-~]+")
# A fence or a time. No script writes a longer one, and Python may refuse to convert it.
_NUMBER = re.compile(r"\d{1,16}", re.ASCII)

# A turn with the fields of this release.
_TURN = re.compile(r"turn 3 (\S+) (\d{1,16}) (\d{1,16}) (.*)", re.ASCII | re.DOTALL)

# The reply of acquire.lua if the token holds the name with a looser limit.
LOOSER = b"looser"

# The longest lease or wait (ms), as in clock.lua. A later end means damage.
LONGEST = 3_200_000_000_000

# The beginning of 1970, for damaged holds, which have no time of their own.
_BEGINNING = datetime.fromtimestamp(0, tz=timezone.utc)


def text(value: bytes | str) -> str:
    """A reply as text. Replies are bytes, or strings if the pool decodes them."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def ms(seconds: float) -> int:
    """Whole milliseconds, rounded up: a lease is never shorter on the server than asked for."""
    return -int(-seconds * 1000 // 1)


def token_of_damage(value: bytes | str) -> str:
    """The token under which an unreadable hold is listed and released, as in holders.lua."""
    raw = value if isinstance(value, bytes) else value.encode(errors="surrogateescape")
    return f"damaged-{sha1(raw, usedforsecurity=False).hexdigest()}"


def readable_token(value: bytes | str) -> str:
    """The token of a hold, or a substitute if no script can have written it."""
    token = text(value)
    return token if _TOKEN.fullmatch(token) else token_of_damage(value)


def split_hold(line: bytes | str) -> tuple[str, Record | None]:
    """The token and the record of the value under ``hold``; the record is None if damaged."""
    token, _, rest = text(line).partition(" ")
    record = Record.read(rest) if _TOKEN.fullmatch(token) else None
    return (token, record) if record else (token_of_damage(line), None)


def hold_of(line: bytes | str, now: int) -> tuple[Holder | None, float]:
    """The holder stored under ``hold``, and the hold's age (seconds) at the time ``now`` (ms).

    None and 0 if it is damaged.
    """
    _, record = split_hold(line)
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
    process: str
    holder: Holder

    @classmethod
    def read(cls, line: bytes | str) -> Record | None:
        """Parse a record. Return None if it is damaged."""
        found = _RECORD.fullmatch(text(line))
        if found is None:
            return None
        flags, *numbers, process, holder = found.groups()
        at, term, fence, since, began, limit, lease, grant = map(int, numbers)
        if max(term, lease, grant) > LONGEST or min(limit, lease, grant) < 1:
            return None
        return cls(
            flags, at, term, fence, since, began, limit, lease, process, Holder.unpack(holder)
        )

    @property
    def ends(self) -> int:
        return self.at + self.term

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
            since=_at(self.since),
            waiters=waiters,
            holder=self.holder,
            age=max(0.0, now - self.since / 1000),
            longest_wait=longest_wait,
            held=held,
            began=_at(self.began),
            detached=self.flags[2] == "1",
            term=self.term / 1000 if self.term < self.lease else None,
        )

    def as_waiting(self, token: str) -> Waiting:
        return Waiting(token=token, limit=self.limit, since=_at(self.began), holder=self.holder)


class Message(NamedTuple):
    """A message to a process. ``turn`` is None when a hold was released by force."""

    name: str
    token: str
    turn: Turn | None


def message(line: bytes) -> Message | None:
    """Read ``"verb number-of-fields field ... name"``; None for a verb of a later release."""
    said = line.decode(errors="replace")
    if found := _TURN.fullmatch(said):  # the usual case, in a quarter of the time
        return Message(found[4], found[1], Turn(int(found[2]), int(found[3]) / 1000))
    verb, _, rest = said.partition(" ")
    number, _, rest = rest.partition(" ")
    if verb not in {"turn", "lost"} or not (number.isascii() and number.isdecimal()):
        return None
    *fields, name = rest.split(" ", int(number[:3]))
    if verb == "lost" and fields:
        return Message(name, fields[0], None)
    if verb == "turn" and len(fields) >= 3 and all(map(_NUMBER.fullmatch, fields[1:3])):
        return Message(name, fields[0], Turn(int(fields[1]), int(fields[2]) / 1000))
    return None


def damaged_hold(name: str, token: str, remaining: float, waiters: int = 0) -> Hold:
    """The listed form of a hold whose record is unreadable."""
    return Hold(
        name=name,
        token=token,
        fence=0,
        limit=1,
        lease=0.0,
        remaining=remaining,
        since=_BEGINNING,
        waiters=waiters,
        holder=Holder(),
        damaged=True,
    )


def not_an_error(reply: Any) -> Any:
    """Return the reply, or raise it if it is an error."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def busy(reply: bytes) -> tuple[int, int, int, bytes]:
    """Parse the reply of ``acquire.lua`` for a busy name.

    Return the time left (ms), the server's clock (ms), the position in the queue, and the hold in
    the way.
    """
    _, at, term, now, position, line = reply.split(b" ", 5)
    return int(at) + int(term) - int(now), int(now), int(position), line


def extended(sent_at: float, reply: Any) -> float | None:
    """When the lease ends that ``extend.lua`` has set (monotonic); None for a lost hold."""
    left: int = not_an_error(reply)
    return sent_at + (left - 1) / 1000 if left else None


def released(reply: Any) -> tuple[bool, list[tuple[str, Turn]]]:
    """What the reply of ``release.lua`` says: whether a hold was ended, and whose turn it is."""
    ended, *parts = text(reply).split(" ")
    turns = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return ended == "1", [(who, Turn(int(fence), int(ends) / 1000)) for who, fence, ends in turns]


def inspected(name: str, reply: Any) -> tuple[list[Hold], list[Waiting]]:
    """The holds and the queue in the reply of ``inspect.lua``."""
    now, holding, waiting, claims = reply
    queue = [
        record.as_waiting(readable_token(token))
        for token, line in zip(waiting, claims, strict=True)
        if (record := Record.read(line or b"")) and now < record.ends <= now + LONGEST
    ]
    longest = max(0.0, now / 1000 - queue[0].since.timestamp()) if queue else 0.0
    held = len(holding) // 3
    holds = []
    for raw, until, line in zip(holding[::3], holding[1::3], holding[2::3], strict=True):
        token, remaining, record = readable_token(raw), (until - now) / 1000, Record.read(line)
        if record is None:
            holds.append(damaged_hold(name, token, remaining, len(queue)))
            continue
        holds.append(
            record.as_hold(
                name,
                token,
                remaining,
                len(queue),
                now=now / 1000,
                longest_wait=longest,
                held=held,
            )
        )
    return holds, queue


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc)
