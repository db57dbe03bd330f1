"""Index entries of live locks; no keyspace is scanned.

They come from the index of each bucket. Those of given names are read from the names' own keys, so
that a hold is found at any rank.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from ...base import Entries, Entry
from ..keys import BUCKETS, bucket_keys, name_keys
from ..records import GRACE, LONGEST, split_hold
from ..wire.replies import Exchanger
from .reading import CHUNK, Words, ask, ms_of, pairs, whole

__all__ = ["entries", "entries_of", "readable_buckets", "walk"]

# For pages larger than this it pays to find out where the page ends in each bucket.
LARGE = 500

# A reply to PTTL.
NO_EXPIRY = -1


def entries(
    node: Exchanger, prefix: str, start: int, stop: int, buckets: Iterable[int] = range(BUCKETS)
) -> Entries:
    """The entries of ranks ``start`` to ``stop`` over these buckets, soonest end first."""
    indexes = _indexes(prefix, buckets)
    # In one request, so that a Cluster asks the node of the first index for the time.
    time, *counts = ask(node, [("TIME",), *(("ZCARD", index) for index in indexes)])
    now = ms_of(time)
    # An entry at `now` or before is a hold that ended by itself and has not been swept yet.
    dead = _counts_until(node, indexes, now)
    total = sum(count or 0 for count in counts) - sum(dead)
    wanted = min(stop, total) - start
    if wanted <= 0:
        return Entries([], max(total, 0))
    score, skipped = _score_before(node, indexes, now, dead, start)
    firsts = _counts_until(node, indexes, score) if start else dead
    # Entries that share the next millisecond may lie between the score and the page.
    reach = start - skipped + wanted
    lasts = [first + reach - 1 for first in firsts]
    if wanted > LARGE:
        # A bucket holds only a part of a large page.
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
    found = [entry for reply in replies for entry in _entries(reply, now)]
    found.sort(key=lambda entry: entry.remaining)
    page = found[start - skipped :][:wanted]
    return Entries([entry for entry in page if entry.name], total)


def walk(node: Exchanger, prefix: str) -> Iterator[list[Entry]]:
    """Yield all entries, bucket after bucket. Renewals in between neither hide nor repeat any.

    The error of a server is raised at the end, after the buckets of the other servers.
    """
    failed: dict[Hashable, RedisError] = {}
    for bucket, index in enumerate(_indexes(prefix)):
        if (server := node.node_of(bucket)) not in failed:
            try:
                yield from _walk(node, index)
            except RedisError as error:
                failed[server] = error
    if failed:
        raise next(iter(failed.values()))


def _walk(node: Exchanger, index: str) -> Iterator[list[Entry]]:
    cursor = 0
    seen: set[tuple[str, str]] = set()
    while True:
        commands: list[Words] = [("TIME",), ("ZSCAN", index, cursor, "COUNT", CHUNK)]
        time, found = ask(node, commands)
        if not found:
            break  # not an index; the next hold in the bucket replaces the key
        now, cursor, reply = ms_of(time), int(found[0]), found[1]
        # The server repeats some entries if the index shrinks while it is read.
        fresh = {
            (one.name, one.token): one
            for one in _entries(reply, now)
            if one.name and one.remaining > 0 and (one.name, one.token) not in seen
        }
        seen.update(fresh)
        yield list(fresh.values())
        if not cursor:
            break


def readable_buckets(node: Exchanger, prefix: str) -> list[int]:
    """Return the buckets of those servers that answer, if there are several servers."""
    servers: dict[Hashable, list[int]] = {}
    for bucket in range(BUCKETS):
        servers.setdefault(node.node_of(bucket), []).append(bucket)
    readable: list[int] = []
    for buckets in servers.values() if len(servers) > 1 else ():
        with suppress(RedisError):
            _counts(node, [("ZCARD", index) for index in _indexes(prefix, buckets)])
            readable += buckets
    return readable


def entries_of(node: Exchanger, prefix: str, names: Sequence[str]) -> list[Entry]:
    """Return the entries of these names, in the same order; for each name, soonest end first."""
    return [
        entry
        for start in range(0, len(names), CHUNK)
        for entry in _entries_of(node, prefix, names[start : start + CHUNK])
    ]


def _entries_of(node: Exchanger, prefix: str, names: Sequence[str]) -> Iterator[Entry]:
    keys = [name_keys(prefix, name) for name in names]
    time, *lines = ask(node, [("TIME",), *(("GET", one.hold) for one in keys)])
    now = ms_of(time)
    # The end of a damaged hold is known only from the expiry of its key.
    questions: list[Words] = [
        ("ZRANGEBYSCORE", one.holds, f"({now}", "+inf", "WITHSCORES")
        if line is None
        else ("PTTL", one.hold)
        for one, line in zip(keys, lines, strict=True)
    ]
    for name, line, answer in zip(names, lines, ask(node, questions), strict=True):
        if line is None:
            yield from (
                Entry(name, owner, (end - now) / 1000) for owner, end in pairs(answer) if owner
            )
        else:
            token, record = split_hold(line, now)
            expiry = GRACE if answer == NO_EXPIRY else whole(answer)
            left = record.ends - now if record else expiry
            if left > 0:
                yield Entry(name, token, left / 1000)


def _indexes(prefix: str, buckets: Iterable[int] = range(BUCKETS)) -> list[str]:
    return [bucket_keys(prefix, number).listed for number in buckets]


def _score_before(
    node: Exchanger, indexes: Sequence[str], now: int, dead: Sequence[int], start: int
) -> tuple[int, int]:
    """Return the last score with at most ``start`` live entries up to it, and their number."""
    if start == 0:
        return now, 0
    # A score that no script wrote must not lengthen the search.
    last = now + LONGEST
    options = (last, "-inf", "WITHSCORES", "LIMIT", 0, 1)
    ends = ask(node, [("ZREVRANGEBYSCORE", index, *options) for index in indexes])
    low, high = now, max((until for reply in ends for _, until in pairs(reply)), default=now)
    skipped = 0
    while low < high - 1:
        middle = (low + high) // 2
        count = sum(_counts_until(node, indexes, middle)) - sum(dead)
        if count <= start:
            low, skipped = middle, count
        else:
            high = middle
    return low, skipped


def _counts_until(node: Exchanger, indexes: Sequence[str], score: int) -> list[int]:
    return _counts(node, [("ZCOUNT", index, "-inf", score) for index in indexes])


def _counts(node: Exchanger, commands: Sequence[Words]) -> list[int]:
    return [count or 0 for count in ask(node, commands)]


def _entries(reply: Sequence[Any] | None, now: int) -> Iterator[Entry]:
    """Yield the entries of an index. An entry that no script wrote has no name."""
    for member, until in pairs(reply):
        token, _, name = member.partition(" ")
        yield Entry(name, token, (until - now) / 1000)
