"""Availability: for how long a name was wanted but not held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.faults.attempts import Attempt, attempts_of
from tests.faults.history import TOGETHER

if TYPE_CHECKING:
    from tests.faults.history import Event

# A process that asks again this soon (nanoseconds) has wanted the name all along.
ASKS_AGAIN = 100_000_000

Span = tuple[int, int]  # nanoseconds


def longest_unavailability(events: list[Event], until: int) -> float:
    """Return the longest time (seconds) for which a name was wanted but not held.

    It ends with a grant. Only names that are always exclusive are judged, and only events before
    `until`.
    """
    of_name: dict[str, list[Event]] = defaultdict(list)
    not_exclusive = {event.name for event in events if event.limit > 1 or event.shared}
    for event in events:
        # Of several names together, one may be held on its own.
        if event.name not in not_exclusive and TOGETHER not in event.name:
            of_name[event.name].append(event)
    return max((_longest(attempts_of(own), until) for own in of_name.values()), default=0) / 1e9


def _longest(attempts: list[Attempt], until: int) -> int:
    wanted = _wanted(attempts)
    longest = position = 0
    for free_from, free_to in _free(attempts):
        if free_from >= until:
            break
        while position < len(wanted) and wanted[position][1] < free_from:
            position += 1
        for start, end in wanted[position:]:
            if start > free_to:
                break
            longest = max(longest, min(end, free_to) - max(start, free_from))
    return longest


def _wanted(attempts: list[Attempt]) -> list[Span]:
    """Return, in order, the times in which an attempt waited for the name."""
    asked = sorted(
        (attempt.asked.at, attempt.answer.at)
        for attempt in attempts
        if attempt.asked and attempt.answer and attempt.answer.kind != "interrupted"
    )
    spans: list[Span] = []
    for start, end in asked:
        if spans and start <= spans[-1][1] + ASKS_AGAIN:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _free(attempts: list[Attempt]) -> Iterator[Span]:
    """Return the times with no known holder, from the end of one hold to the next grant."""
    held = sorted((one.held_from, one.held_to) for one in attempts if one.acquired)
    since = None
    for start, end in held:
        if since is not None and start > since:
            yield since, start
        since = max(end, since or 0)
