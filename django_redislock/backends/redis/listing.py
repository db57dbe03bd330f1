"""The live locks, from the index of each bucket; no keyspace is scanned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from ...keys import name_keys
from ..base import Entries, Entry, Hold
from .commands import Word, pack
from .node import Node
from .records import Record, text

__all__ = ["ask", "entries", "look_up", "walk"]

_Words: TypeAlias = "tuple[Word, ...]"

# From so many entries on it pays to find out where a page ends in each bucket.
LARGE = 500

# How many entries or records are asked for at a time: the server is kept from others for the
# fraction of a millisecond that it takes to read them.
CHUNK = 500


class _Line(NamedTuple):
    """A line of an index: when the lease ends (ms), and the token and the name."""

    until: int
    token: str
    name: str

    def entry(self, now: int) -> Entry:
        return Entry(self.name, self.token, (self.until - now) / 1000)


def entries(node: Node, indexes: Sequence[str], start: int, stop: int) -> Entries:
    """The entries of ranks ``start`` to ``stop`` over all buckets, soonest end first."""
    now = _ms(ask(node, [("TIME",)])[0])
    # An entry at `now` or before is a hold that ended by itself and has not been swept yet.
    dead = _counts_until(node, indexes, now)
    total = sum(ask(node, [("ZCARD", index) for index in indexes])) - sum(dead)
    wanted = min(stop, total) - start
    if wanted <= 0:
        return Entries([], max(total, 0))
    score, skipped = _score_before(node, indexes, now, dead, start)
    firsts = _counts_until(node, indexes, score) if start else dead
    # The score may stand before the page by as many as share the next millisecond.
    reach = start - skipped + wanted
    lasts = [first + reach - 1 for first in firsts]
    if wanted > LARGE:
        # A bucket has only its part of a large page.
        score, covered = _score_before(node, indexes, now, dead, start + wanted)
        counts = _counts_until(node, indexes, score)
        lasts = [count + start + wanted - covered - 1 for count in counts]
    replies = ask(
        node,
        [
            ("ZRANGE", index, first, last, "WITHSCORES")
            for index, first, last in zip(indexes, firsts, lasts, strict=True)
        ],
    )
    lines = sorted(line for reply in replies for line in _lines(reply))
    return Entries([line.entry(now) for line in lines[start - skipped :][:wanted]], total)


def walk(node: Node, indexes: Sequence[str]) -> Iterator[list[Entry]]:
    """All entries, bucket after bucket. A renewal meanwhile neither hides nor repeats one."""
    for index in indexes:
        cursor = 0
        seen: set[tuple[str, str]] = set()
        while True:
            commands: list[_Words] = [("TIME",), ("ZSCAN", index, cursor, "COUNT", CHUNK)]
            time, (cursor, reply) = ask(node, commands)
            now, cursor = _ms(time), int(cursor)
            # The server repeats some when the index shrinks while it is read.
            fresh = {line for line in _lines(reply) if line.until > now and line[1:] not in seen}
            if cursor:
                seen.update(line[1:] for line in fresh)
            yield [line.entry(now) for line in sorted(fresh)]
            if not cursor:
                break


def look_up(node: Node, prefix: str, entries: Sequence[Entry]) -> list[Hold]:
    """The holds of these entries, in the same order, without those that have ended since."""
    holds: list[Hold] = []
    for start in range(0, len(entries), CHUNK):
        holds += _look_up(node, prefix, entries[start : start + CHUNK])
    return holds


def _look_up(node: Node, prefix: str, entries: Sequence[Entry]) -> list[Hold]:
    keys = [name_keys(prefix, entry.name) for entry in entries]
    time, *lines = ask(node, [("TIME",), *(("GET", one.alone) for one in keys)])
    now, alone = _ms(time), [text(line or "").split(" ", 2) for line in lines]
    # Of those that are not the only hold of their name, a name may have several, and a queue.
    others: list[_Words] = []
    for entry, one, line in zip(entries, keys, alone, strict=True):
        if line[0] != entry.token:
            others.append(("HGET", one.records, entry.token))
            others.append(("ZSCORE", one.holds, entry.token))
            others.append(("ZCARD", one.queue))
            others.append(("ZRANGE", one.queue, 0, 0, "WITHSCORES"))
            others.append(("ZCOUNT", one.holds, f"({now}", "+inf"))
    answers = iter(ask(node, others))
    holds = []
    for entry, line in zip(entries, alone, strict=True):
        if line[0] == entry.token:
            ends, record = line[1:]
            waiters, longest, held = 0, 0.0, 1
        else:
            record, ends, waiters, first, held = (next(answers) for _ in range(5))
            longest = _waited(time, first)
        remaining = (int(float(ends or 0)) - now) / 1000
        # A hold may have ended since, or between the questions.
        if record is not None and remaining > 0 and (read := Record.read(record)):
            hold = read.as_hold(
                entry.name,
                entry.token,
                remaining,
                waiters,
                now=now / 1000,
                longest_wait=longest,
                held=max(held, 1),
            )
            holds.append(hold)
    return holds


def _waited(time: Sequence[Any], first: Sequence[Any]) -> float:
    """For how many seconds the first in a queue has waited: arrival numbers are microseconds."""
    for _token, arrival in _pairs(first):
        return max(0.0, int(time[0]) + int(time[1]) / 1e6 - arrival / 1e6)
    return 0.0


def _score_before(
    node: Node, indexes: Sequence[str], now: int, dead: Sequence[int], start: int
) -> tuple[int, int]:
    """The last score that has at most ``start`` live entries at or before it, and how many."""
    if start == 0:
        return now, 0
    ends = ask(node, [("ZRANGE", index, -1, -1, "WITHSCORES") for index in indexes])
    low, high = now, max(until for reply in ends for _, until in _pairs(reply))
    skipped = 0
    while low < high - 1:
        middle = (low + high) // 2
        count = sum(_counts_until(node, indexes, middle)) - sum(dead)
        if count <= start:
            low, skipped = middle, count
        else:
            high = middle
    return low, skipped


def _counts_until(node: Node, indexes: Sequence[str], score: int) -> list[int]:
    return ask(node, [("ZCOUNT", index, "-inf", score) for index in indexes])


def ask(node: Node, commands: Sequence[_Words]) -> list[Any]:
    """The replies to all of them. Raises the first that is an error."""
    if not commands:
        return []
    replies, _ = node.exchange([pack(*command) for command in commands])
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _ms(time: Sequence[Any]) -> int:
    seconds, microseconds = time
    return int(seconds) * 1000 + int(microseconds) // 1000


def _lines(reply: Sequence[Any]) -> list[_Line]:
    return [_Line(until, *member.split(" ", 1)) for member, until in _pairs(reply)]


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
