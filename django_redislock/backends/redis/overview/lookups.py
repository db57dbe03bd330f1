"""Lookup of the holds and queues of names that were found in an index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...base import Entry, Hold, WaitedName, WaitedNames
from ..keys import BUCKETS, NameKeys, bucket_keys, name_keys
from ..records import Record, as_hold, split_hold
from ..wire.replies import Exchanger
from .reading import CHUNK, Words, ask, ms_of, pairs, whole

__all__ = ["look_up", "waited_for"]


def look_up(node: Exchanger, prefix: str, entries: Sequence[Entry]) -> list[Hold]:
    """The holds of these entries, in the same order, without those that have ended since."""
    holds: list[Hold] = []
    for start in range(0, len(entries), CHUNK):
        holds += _look_up(node, prefix, entries[start : start + CHUNK])
    return holds


def waited_for(
    node: Exchanger, prefix: str, start: int, stop: int, buckets: Iterable[int] = range(BUCKETS)
) -> WaitedNames:
    """The waited-for names of ranks ``start`` to ``stop`` over these buckets, one by one."""
    indexes = [bucket_keys(prefix, number).waited for number in buckets]
    # In one request, so that a Cluster asks the node of the first index for the time.
    time, *cards = ask(node, [("TIME",), *(("ZCARD", index) for index in indexes)])
    now = ms_of(time)
    # The name of a queue whose processes have all ended stays in the index until it is swept.
    counts = ask(node, [("ZCOUNT", index, "-inf", now) for index in indexes])
    total, commands = 0, []
    for index, members, dead in zip(indexes, cards, counts, strict=True):
        live = (members or 0) - (dead or 0)
        first, last = max(start - total, 0), min(stop - total, live)
        if first < last:
            commands.append(("ZRANGE", index, dead + first, dead + last - 1, "WITHSCORES"))
        total += live
    names = [name for reply in ask(node, commands) for name, _ in pairs(reply) if name]
    return WaitedNames(_queues(node, prefix, names), total)


def _queues(node: Exchanger, prefix: str, names: Sequence[str]) -> list[WaitedName]:
    found = []
    for start in range(0, len(names), CHUNK):
        some = names[start : start + CHUNK]
        keys = [name_keys(prefix, name) for name in some]
        commands = [command for one in keys for command in _about_queue(one)]
        time, *answers = ask(node, [("TIME",), *commands])
        firsts = list(zip(keys, answers[1::2], strict=True))
        waits = _longest_waits(node, firsts, ms_of(time))
        for name, waiters, wait in zip(some, answers[::2], waits, strict=True):
            if waiters:
                found.append(WaitedName(name, waiters, wait))
    return found


def _look_up(node: Exchanger, prefix: str, entries: Sequence[Entry]) -> list[Hold]:
    keys = [name_keys(prefix, entry.name) for entry in entries]
    time, *lines = ask(node, [("TIME",), *(("GET", one.hold) for one in keys)])
    now = ms_of(time)
    reading = [
        _Reading(entry, one, line, now)
        for entry, one, line in zip(entries, keys, lines, strict=True)
    ]
    replies = iter(ask(node, [words for one in reading for words in one.questions]))
    answers = [[next(replies) for _ in one.questions] for one in reading]
    firsts = [
        (one.keys, said[-1] if said else None) for one, said in zip(reading, answers, strict=True)
    ]
    waits = _longest_waits(node, firsts, now)
    holds: dict[tuple[str, str], Hold] = {}
    for one, said, wait in zip(reading, answers, waits, strict=True):
        hold = one.hold(said, wait)
        if hold is not None:
            # A damaged hold may be in the index twice: with its old token and with its own.
            holds.setdefault((hold.name, hold.token), hold)
    return list(holds.values())


class _Reading:
    """One entry of the index, with the commands and replies that turn it into a hold."""

    def __init__(self, entry: Entry, keys: NameKeys, line: Any, now: int) -> None:
        self.entry = entry
        self.keys = keys
        self.now = now
        self.is_only = line is not None
        self.token, self.record = split_hold(line, now) if self.is_only else (entry.token, None)
        self.questions: list[Words] = []
        if not self.is_only:
            self.questions += [
                ("HGET", keys.records, entry.token),
                ("ZSCORE", keys.holds, entry.token),
                ("ZCOUNT", keys.holds, f"({now}", "+inf"),
            ]
        if self.record is None or self.record.flags[0] == "1":
            self.questions += _about_queue(keys)

    def hold(self, answers: list[Any], longest_wait: float) -> Hold | None:
        """Return the hold, or None if it has ended since, or between the commands."""
        record, held = self.record, 1
        if not self.is_only:
            line, score, count, *answers = answers
            record, held = Record.read(line, self.now), max(whole(count), 1)
            remaining = (whole(score) - self.now) / 1000
        elif record is None:
            remaining = self.entry.remaining
        else:
            is_listed = self.token == self.entry.token
            remaining = (record.ends - self.now) / 1000 if is_listed else 0.0
        if remaining <= 0:
            return None
        return as_hold(
            record,
            self.entry.name,
            self.token,
            remaining,
            now=self.now / 1000,
            waiters=whole(answers[0]) if answers else 0,
            longest_wait=longest_wait,
            held=held,
        )


def _about_queue(keys: NameKeys) -> list[Words]:
    return [("LLEN", keys.queue), ("LINDEX", keys.queue, 0)]


def _longest_waits(
    node: Exchanger, firsts: Sequence[tuple[NameKeys, bytes | None]], now: int
) -> list[float]:
    """Return how long (seconds) the first waiter of each queue has waited; 0 without waiters."""
    lines = ask(node, [("HGET", keys.records, token) for keys, token in firsts if token])
    records = iter([Record.read(line, now) for line in lines])
    waiting = [next(records) if token else None for _, token in firsts]
    return [max(0.0, (now - one.began) / 1000) if one else 0.0 for one in waiting]
