"""A page of the live locks, from the index of each bucket; no keyspace is scanned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...keys import BucketKeys
from ..base import Hold, Page
from .commands import Word, pack
from .connections import Connections
from .records import Record, text

__all__ = ["page"]


# From so many entries on it pays to find out where a page ends in each bucket.
LARGE = 500


class _Entry(NamedTuple):
    """A line of the index: when the lease ends (ms), the bucket, and the token and the name."""

    until: int
    bucket: int
    token: str
    name: str


def page(connections: Connections, buckets: Sequence[BucketKeys], start: int, stop: int) -> Page:
    """The live holds of ranks ``start`` to ``stop`` over all buckets, soonest end first."""
    now = _now(connections)
    # An entry at `now` or before is a hold that ended by itself and has not been swept yet.
    dead = _counts_until(connections, buckets, now)
    total = sum(_ask(connections, [("ZCARD", keys.listed) for keys in buckets])) - sum(dead)
    wanted = min(stop, total) - start
    if wanted <= 0:
        return Page([], max(total, 0))
    score, skipped = _score_before(connections, buckets, now, dead, start)
    firsts = _counts_until(connections, buckets, score) if start else dead
    # The score may stand before the page by as many as share the next millisecond.
    reach = start - skipped + wanted
    lasts = [first + reach - 1 for first in firsts]
    if wanted > LARGE:
        # A bucket has only its part of a large page.
        score, covered = _score_before(connections, buckets, now, dead, start + wanted)
        counts = _counts_until(connections, buckets, score)
        lasts = [count + start + wanted - covered - 1 for count in counts]
    replies = _ask(
        connections,
        [
            ("ZRANGE", keys.listed, first, last, "WITHSCORES")
            for keys, first, last in zip(buckets, firsts, lasts, strict=True)
        ],
    )
    entries = sorted(
        _Entry(until, bucket, *member.split(" ", 1))
        for bucket, reply in enumerate(replies)
        for member, until in _pairs(reply)
    )
    return Page(
        _holds(connections, buckets, entries[start - skipped :][:wanted], now),
        total,
    )


def _score_before(
    connections: Connections,
    buckets: Sequence[BucketKeys],
    now: int,
    dead: Sequence[int],
    start: int,
) -> tuple[int, int]:
    """The last score that has at most ``start`` live entries at or before it, and how many."""
    if start == 0:
        return now, 0
    ends = _ask(connections, [("ZRANGE", keys.listed, -1, -1, "WITHSCORES") for keys in buckets])
    low, high = now, max(until for reply in ends for _, until in _pairs(reply))
    skipped = 0
    while low < high - 1:
        middle = (low + high) // 2
        count = sum(_counts_until(connections, buckets, middle)) - sum(dead)
        if count <= start:
            low, skipped = middle, count
        else:
            high = middle
    return low, skipped


def _holds(
    connections: Connections, buckets: Sequence[BucketKeys], entries: Sequence[_Entry], now: int
) -> list[Hold]:
    lines = [(line, 0) for line in _alone(connections, buckets, entries)]
    # Of the others a name may have several, and a queue.
    others = [place for place, (line, _) in enumerate(lines) if line is None]
    commands: list[tuple[Word, ...]] = []
    for entry in (entries[place] for place in others):
        tag = buckets[entry.bucket].tag
        commands.append(("HGET", f"{tag}:records:{entry.name}", entry.token))
        commands.append(("ZCARD", f"{tag}:queue:{entry.name}"))
    replies = _ask(connections, commands)
    for place, line, waiters in zip(others, replies[::2], replies[1::2], strict=True):
        lines[place] = line, waiters
    return [
        record.as_hold(entry.name, entry.token, entry.until - now, waiters)
        for entry, (line, waiters) in zip(entries, lines, strict=True)
        # A hold may have ended between the questions.
        if line is not None and (record := Record.read(line))
    ]


def _alone(
    connections: Connections, buckets: Sequence[BucketKeys], entries: Sequence[_Entry]
) -> list[str | None]:
    """The records of the entries that are the only holds of their names, else None."""
    keys = [f"{buckets[entry.bucket].tag}:alone:{entry.name}" for entry in entries]
    lines = [
        text(line or "").split(" ", 2) for line in _ask(connections, [("GET", key) for key in keys])
    ]
    return [
        line[2] if line[0] == entry.token else None
        for entry, line in zip(entries, lines, strict=True)
    ]


def _now(connections: Connections) -> int:
    seconds, microseconds = _ask(connections, [("TIME",)])[0]
    return int(seconds) * 1000 + int(microseconds) // 1000


def _counts_until(connections: Connections, buckets: Sequence[BucketKeys], score: int) -> list[int]:
    return _ask(connections, [("ZCOUNT", keys.listed, "-inf", score) for keys in buckets])


def _ask(connections: Connections, commands: Sequence[tuple[Word, ...]]) -> list[Any]:
    if not commands:
        return []
    replies, _ = connections.send_all([pack(*command) for command in commands])
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _pairs(reply: Sequence[Any]) -> list[tuple[str, int]]:
    """Members with their scores: flat in RESP2, in pairs in RESP3."""
    if reply and isinstance(reply[0], (list, tuple)):
        flat = [part for pair in reply for part in pair]
    else:
        flat = list(reply)
    return [
        (text(member), int(float(score)))
        for member, score in zip(flat[::2], flat[1::2], strict=True)
    ]
