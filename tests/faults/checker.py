"""Checker of histories: it finds violations that no lock may cause, and no false ones."""

from __future__ import annotations

import bisect
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.attempts import Attempt, attempts_of, who
from tests.faults.waits import Stalls, inexact_waits, starved, unanswered

if TYPE_CHECKING:
    from tests.faults.history import Event, History

OVERLAP, FENCE, STARVED, INEXACT, ERROR = "overlap", "fence", "starved", "inexact", "error"
DOCUMENTED = frozenset({"", "LockLost", "LockNotAcquired", "LockUnavailable"})

STOOD_STILL = 0.25  # seconds; after such a stall a server may seem unreachable


class Violation(NamedTuple):
    """A violation of a lock's guarantees. `kind` is one of the constants above."""

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Rules:
    """Requirements for a history.

    `all_served`: each attempt becomes a hold, unless its process was killed. `answered`: each
    attempt ends somehow. `unfairness`: the most and the least served may differ by this factor.
    `overtakings`: how many later attempts may overtake an attempt. `exact`: how many seconds a wait
    may be too long, in addition to measured stalls; `first_answer`: how long the first request may
    take. `documented`: the errors that may be raised. `renewal`: whether a hold that is renewed, or
    that has time left at its release, may be lost only after a stall. `exclusive`: the server never
    grants to two holders at once, so that the grants of a mutex are recorded in the order in which
    they were made.
    """

    all_served: bool = False
    answered: bool = False
    unfairness: float | None = None
    overtakings: int | None = None
    exact: float | None = None
    first_answer: float = 0.0
    documented: frozenset[str] = DOCUMENTED
    renewal: bool = False
    exclusive: bool = True


def assert_allowed(history: History, rules: Rules = Rules(all_served=True)) -> None:
    """Fail with all violations in a history."""
    found = [text for _, text in violations(history.events(), rules)]
    assert not found, "\n".join([f"{len(found)} violations:", *found[:20]])


def violations(events: list[Event], rules: Rules = Rules()) -> list[Violation]:
    """Return the violations in a history; an empty list if there are none."""
    return [Violation(*found) for found in _violations(events, rules)]


def _violations(events: list[Event], rules: Rules) -> Iterator[tuple[str, str]]:
    stalls = Stalls(events)
    gone = {event.pid for event in events if event.kind == "gone"}
    by_name: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_name[event.name].append(event)
    for name, of_name in by_name.items():
        attempts = attempts_of(of_name)
        for kind, text in _of_one_name(attempts, stalls, gone, rules):
            yield kind, f"{name}: {text}"
    yield from ((ERROR, text) for text in _errors(events, stalls, rules))
    if rules.unfairness is not None:
        yield from ((STARVED, text) for text in _unfair(events, rules.unfairness))


def _of_one_name(
    attempts: list[Attempt], stalls: Stalls, gone: set[int], rules: Rules
) -> Iterator[tuple[str, str]]:
    yield from ((OVERLAP, text) for text in _overlaps(attempts))
    yield from ((FENCE, text) for text in _falling_fences(attempts, rules.exclusive))
    yield from ((STARVED, text) for text in _overtakings(attempts))
    if rules.all_served:
        yield from ((STARVED, text) for text in _unserved(attempts, gone))
    if rules.answered:
        yield from ((STARVED, text) for text in unanswered(attempts, gone))
    if rules.overtakings is not None:
        passed = starved(attempts, stalls, rules.overtakings)
        yield from ((STARVED, text) for text in passed)
    if rules.exact is not None:
        late = inexact_waits(attempts, stalls, rules.exact, rules.first_answer)
        yield from ((INEXACT, text) for text in late)


def _overlaps(attempts: list[Attempt]) -> Iterator[str]:
    holding: list[Attempt] = []
    for attempt in sorted(attempts, key=lambda attempt: attempt.held_from):
        event = attempt.acquired
        if event is None:
            continue
        holding = [other for other in holding if other.held_to > event.at]
        others = [other.acquired for other in holding if other.acquired]
        if not _may_hold(event, others):
            yield f"{who(event)} acquired while {', '.join(map(who, others))} held it"
        holding.append(attempt)


def _may_hold(event: Event, others: list[Event]) -> bool:
    if any(held.shared for held in (event, *others)):
        return not others or all(held.shared for held in (event, *others))
    return len(others) < min(held.limit for held in (event, *others))


def _falling_fences(attempts: list[Attempt], exclusive: bool) -> Iterator[str]:
    used: dict[int, Event] = {}
    times: list[int] = []
    highest: list[tuple[int, Event]] = []  # fences of the grants up to the time at the same index
    for attempt in sorted(attempts, key=lambda attempt: attempt.held_from):
        event = attempt.acquired
        if event is None or event.fence is None:
            continue
        if event.fence in used:
            yield f"{who(event)} has the fence of {who(used[event.fence])}: {event.fence}"
        used[event.fence] = event
        before = bisect.bisect_left(times, _surely_granted_after(attempt, event, exclusive))
        if before and event.fence < highest[before - 1][0]:
            yield f"{who(event)} has a lower fence than {who(highest[before - 1][1])} before"
        times.append(event.at)
        highest.append(max([(event.fence, event), *highest[-1:]], key=lambda one: one[0]))


def _surely_granted_after(attempt: Attempt, event: Event, exclusive: bool) -> int:
    """Return the time up to which recorded grants of others certainly came first.

    If several may hold at once, two grants may be recorded in another order than they were made.
    Then only a hold from before the request is certain to be older.
    """
    if exclusive and event.limit == 1 and not event.shared:
        return event.at
    return attempt.asked.at if attempt.asked else 0


def _overtakings(attempts: list[Attempt]) -> Iterator[str]:
    """Find attempts that were known to queue before another even asked, yet were served later."""
    for early in attempts:
        if early.queued is None or early.acquired is None:
            continue
        for late in attempts:
            if (
                late.asked is not None
                and late.acquired is not None
                and early.queued.at < late.asked.at
                and _granted_before(late.acquired, early.acquired)
            ):
                passed = f"{who(early.acquired)}, which queued before it asked"
                yield f"{who(late.acquired)} overtook {passed}"


def _granted_before(one: Event, other: Event) -> bool:
    if one.fence is not None and other.fence is not None:
        return one.fence < other.fence
    return one.at < other.at


def _unserved(attempts: list[Attempt], gone: set[int]) -> Iterator[str]:
    for attempt in attempts:
        if attempt.asked and not attempt.acquired and attempt.asked.pid not in gone:
            yield f"{who(attempt.asked)} never got its turn"


def _errors(events: list[Event], stalls: Stalls, rules: Rules) -> Iterator[str]:
    for event in events:
        if event.kind == "error":
            yield f"{event.who}: {event.error}"
        elif event.error not in rules.documented and not _is_excused(event, stalls):
            yield f"{event.name}: {who(event)}: {event.error}"
        elif rules.renewal and _is_lost(event) and event.lease:
            since = event.at - int(3e9 * event.lease)
            if stalls.seconds(event.pid, since, event.at) < event.lease / 4:
                yield f"{event.name}: {who(event)} lost its hold for no reason"


def _is_excused(event: Event, stalls: Stalls) -> bool:
    """Return whether the server was unreachable only because the machine was suspended."""
    long_ago = event.at - 2_000_000_000
    return event.error in DOCUMENTED and stalls.seconds(event.pid, long_ago, event.at) > STOOD_STILL


def _is_lost(event: Event) -> bool:
    return event.kind == "lost" or (event.kind == "over" and event.error == "LockLost")


def _unfair(events: list[Event], unfairness: float) -> Iterator[str]:
    acquired = Counter({event.who: 0 for event in events if event.kind == "asked"})
    acquired.update(event.who for event in events if event.kind == "acquired")
    if acquired:
        (most, high), (least, low) = acquired.most_common()[0], acquired.most_common()[-1]
        if high > unfairness * low:
            yield f"{most} acquired {high} times, {least} {low} times"
