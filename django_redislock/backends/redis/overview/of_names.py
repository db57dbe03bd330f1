"""Entries of given names, read from their own keys, so that a hold is found at any rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...base import Entry
from ..keys import name_keys
from ..records import split_hold
from ..wire.replies import Exchanger
from .reading import CHUNK, Words, ask, ms_of, pairs, whole

__all__ = ["entries_of"]


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
            token, record = split_hold(line)
            left = record.ends - now if record else whole(answer)
            if left > 0:
                yield Entry(name, token, left / 1000)
