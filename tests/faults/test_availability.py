"""Tests of the longest time for which a name was wanted but not held."""

from __future__ import annotations

import pytest

from tests.faults.availability import longest_unavailability
from tests.faults.history import Event

MUCH_LATER = 10**12


def event(kind: str, token: str, at: float, name: str = "order:42", limit: int = 1) -> Event:
    return Event(kind, name, token, int(at * 1e9), 1, token, limit=limit)


# Held from 1 to 2 and since 5; wanted since 1.5.
HISTORY = [
    *(event("asked", "a", 0.5), event("acquired", "a", 1), event("released", "a", 2)),
    *(event("asked", "b", 1.5), event("acquired", "b", 5)),
]


def longest(events: list[Event], until: int = MUCH_LATER) -> float:
    return longest_unavailability(sorted(events, key=lambda one: one.at), until)


def test_longest_time_until_a_grant() -> None:
    assert longest(HISTORY) == pytest.approx(3)


def test_waits_that_begin_after_the_end_are_not_judged() -> None:
    assert longest(HISTORY, until=int(1.9e9)) == 0
    assert longest([]) == 0


def test_time_without_attempts_does_not_count() -> None:
    asked_late = [one for one in HISTORY if one.token == "a"]
    asked_late += [event("asked", "b", 4.8), event("acquired", "b", 5)]
    assert longest(asked_late) == pytest.approx(0.2)


def test_a_refused_attempt_that_is_soon_repeated_counts_as_one_wait() -> None:
    refused = [event("asked", "c", 1.9), event("failed", "c", 3)]
    again = [event("asked", "d", 3.05), event("gave_up", "d", 4)]
    then = [event("asked", "e", 4.5), event("acquired", "e", 5)]
    a = [one for one in HISTORY if one.token == "a"]
    assert longest([*a, *refused, *again, *then]) == pytest.approx(2)


def test_the_wait_of_an_interrupted_attempt_does_not_count() -> None:
    a = [one for one in HISTORY if one.token == "a"]
    interrupted = [event("asked", "b", 1.5), event("interrupted", "b", 4.9)]
    assert longest([*a, *interrupted, event("asked", "c", 4.9), event("acquired", "c", 5)]) < 0.2


def test_names_that_several_may_hold_are_not_judged() -> None:
    assert longest([one._replace(limit=3) for one in HISTORY]) == 0
    assert longest([*HISTORY, HISTORY[0]._replace(token="c", limit=3)]) == 0


def test_each_name_counts_for_itself() -> None:
    other = [one._replace(name="order:43", at=one.at + 10**9) for one in HISTORY]
    assert longest([*HISTORY, *other]) == pytest.approx(3)
