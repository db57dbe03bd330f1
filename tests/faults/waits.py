"""Waits: whether each attempt was answered, in time, and before later attempts."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.faults.attempts import Attempt, who

if TYPE_CHECKING:
    from tests.faults.history import Event

# How much before the end of its wait (seconds) an attempt may give up: the clocks' resolution.
EARLY = 0.005
# How long (seconds) a request may be under way while later ones are sent.
UNDER_WAY = 0.25
# Stalls shortly before a deadline delay the answer (seconds).
BEFORE_DEADLINE = 0.1


class Stalls:
    """When processes, event loops and the server did not run, as measured by probes."""

    def __init__(self, events: list[Event]) -> None:
        self._of: dict[int, list[tuple[int, int]]] = defaultdict(list)
        everyone: list[tuple[int, int]] = []
        for event in events:
            if event.kind == "stall" and event.wait:
                stall = (event.at, event.at + int(event.wait * 1e9))
                # The probe of the server counts for all processes, as all must wait for it.
                (everyone if event.who == "server" else self._of[event.pid]).append(stall)
        for pid in {event.pid for event in events}:
            self._of[pid] = sorted(self._of[pid] + everyone)
        every = (stall for stalls in self._of.values() for stall in stalls)
        self._longest = max((end - start for start, end in every), default=0)

    def seconds(self, pid: int, since: int, until: int) -> float:
        """Return for how long this process stalled between two times."""
        stalls = self._of.get(pid, [])
        first = bisect.bisect_left(stalls, (since - self._longest, 0))
        last = bisect.bisect_right(stalls, (until, 0))
        overlaps = (min(end, until) - max(start, since) for start, end in stalls[first:last])
        return sum(overlap for overlap in overlaps if overlap > 0) / 1e9


def unanswered(attempts: list[Attempt], gone: set[int]) -> Iterator[str]:
    """Find attempts that never ended."""
    for attempt in attempts:
        if attempt.asked and not attempt.answer and attempt.asked.pid not in gone:
            yield f"{who(attempt.asked)} was never answered"


def inexact_waits(
    attempts: list[Attempt], stalls: Stalls, exact: float, first_answer: float
) -> Iterator[str]:
    """Find attempts that ended long after their wait, or gave up before it."""
    for attempt in attempts:
        asked, answer = attempt.asked, attempt.answer
        if asked is None or answer is None or asked.wait is None:
            continue
        if answer.kind not in ("acquired", "gave_up", "failed"):
            continue
        took = (answer.at - asked.at) / 1e9
        limit = max(asked.wait, first_answer)
        since = asked.at + int(1e9 * max(0.0, limit - BEFORE_DEADLINE))
        late = took - limit - exact
        # Most are in time. To ask for the stalls of each of them would take minutes.
        if late > 0 and late > stalls.seconds(asked.pid, since, answer.at) + _delay(asked, answer):
            yield f"{who(asked)}: {answer.kind} after {took:.3f} s of a wait of {asked.wait:g} s"
        elif answer.kind == "gave_up" and took < asked.wait - EARLY:
            yield f"{who(asked)} gave up after {took:.3f} s of a wait of {asked.wait:g} s"


def _delay(asked: Event, answer: Event) -> float:
    """Return for how long (seconds) the thread of an attempt had to wait for a processor."""
    return max(0.0, answer.delay - asked.delay) if asked.who == answer.who else 0.0


def starved(attempts: list[Attempt], stalls: Stalls, overtakings: int) -> Iterator[str]:
    """Find attempts that too many later ones have overtaken. Only long waits can be judged."""
    served = sorted((a for a in attempts if a.acquired), key=lambda attempt: attempt.held_from)
    times = [attempt.held_from for attempt in served]

    def passed(asked: Event, answer: Event, delay: float) -> int:
        since, until = asked.at + int(delay * 1e9), answer.at - int(delay * 1e9)
        rivals = served[bisect.bisect_left(times, since) : bisect.bisect_left(times, until)]
        return sum(rival.asked is not None and rival.asked.at > since for rival in rivals)

    for attempt in attempts:
        asked, answer = attempt.asked, attempt.answer
        if asked is None or answer is None or answer.kind not in ("acquired", "gave_up"):
            continue
        # The longer the delay, the fewer. Stalls are asked for only where they matter, as above.
        if passed(asked, answer, UNDER_WAY) <= overtakings:
            continue
        delay = UNDER_WAY + 2 * stalls.seconds(asked.pid, asked.at, answer.at)
        count = passed(asked, answer, delay)
        if count > overtakings:
            yield f"{who(asked)} let {count} pass that asked later, and then {answer.kind}"
