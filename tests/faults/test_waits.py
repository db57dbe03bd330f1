"""The checker's view of time: waits that are not exact, starvation, errors, lost holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checker import Rules, violations
from tests.faults.history import Event

SECOND = 1_000_000_000
EXACT = Rules(exact=0.05)


def event(kind: str, token: str, at: float, **fields: Any) -> Event:
    fields = {"pid": 1, "who": token, **fields}
    return Event(kind, "order:42", token, int(at * SECOND), **fields)


def kinds(events: list[Event], rules: Rules) -> list[str]:
    events = sorted(events, key=lambda one: one.at)
    return [violation.kind for violation in violations(events, rules)]


@pytest.mark.parametrize("answer", ["acquired", "gave_up", "failed"])
@pytest.mark.parametrize("wait", [0, 1])
def test_late_answer(answer: str, wait: int) -> None:
    asked = event("asked", "a", 10, wait=wait)
    assert kinds([asked, event(answer, "a", 10 + wait + 0.04)], EXACT) == []
    late = [asked, event(answer, "a", 10 + wait + 0.06)]
    assert kinds(late, EXACT) == ["inexact"]
    assert kinds(late, Rules()) == []


def test_late_answer_is_excused_by_a_stall_of_its_process_or_the_server() -> None:
    late = [event("asked", "a", 10, wait=1), event("gave_up", "a", 11.2)]
    stall = event("stall", "", 11, wait=0.2)
    assert kinds([*late, stall], EXACT) == []
    assert kinds([*late, stall._replace(pid=2)], EXACT) == ["inexact"]
    assert kinds([*late, stall._replace(pid=2, who="server")], EXACT) == []
    before = event("stall", "", 10.1, wait=0.2)
    assert kinds([*late, before], EXACT) == ["inexact"]


def test_late_answer_is_excused_while_its_thread_waits_for_a_processor() -> None:
    late = [event("asked", "a", 10, wait=1, delay=3.0), event("gave_up", "a", 11.2, delay=3.16)]
    assert kinds(late, EXACT) == []
    assert kinds([late[0], late[1]._replace(delay=3.14)], EXACT) == ["inexact"]
    assert kinds([late[0], late[1]._replace(who="another thread")], EXACT) == ["inexact"]


def test_first_answer_may_take_longer_than_the_wait() -> None:
    slow = [event("asked", "a", 10, wait=0), event("failed", "a", 11)]
    assert kinds(slow, EXACT) == ["inexact"]
    assert kinds(slow, Rules(exact=0.05, first_answer=1.0)) == []


def test_giving_up_early() -> None:
    early = [event("asked", "a", 10, wait=1), event("gave_up", "a", 10.9)]
    assert kinds(early, EXACT) == ["inexact"]
    failed = [event("asked", "a", 10, wait=1), event("failed", "a", 10.9)]
    assert kinds(failed, EXACT) == []


def crowd(answer: str, asked: float = 11) -> list[Event]:
    """An attempt that lasts from 10 to 20; three others, asked from `asked` on, are served."""
    events = [event("asked", "a", 10, wait=10), event(answer, "a", 20)]
    for number in range(3):
        name, at = f"b{number}", asked + number
        events += [event("asked", name, at, wait=9), event("acquired", name, at + 0.1)]
    return events


@pytest.mark.parametrize("answer", ["acquired", "gave_up"])
def test_overtaking_attempts_are_limited(answer: str) -> None:
    assert kinds(crowd(answer), Rules(overtakings=2)) == ["starved"]
    assert kinds(crowd(answer), Rules(overtakings=3)) == []
    assert kinds(crowd(answer, asked=9), Rules(overtakings=2)) == []


def test_process_that_stalls_lets_others_pass() -> None:
    stall = event("stall", "", 12, wait=6)
    assert kinds([*crowd("acquired"), stall], Rules(overtakings=0)) == []


@pytest.mark.parametrize("kind", ["failed", "over"])
def test_errors(kind: str) -> None:
    def with_error(error: str) -> list[Event]:
        return [event("asked", "a", 10), event(kind, "a", 11, error=error)]

    assert kinds(with_error("LockUnavailable"), Rules()) == []
    assert kinds(with_error("LockUnavailable"), Rules(documented=frozenset({""}))) == ["error"]
    assert kinds(with_error("RuntimeError"), Rules()) == ["error"]
    assert kinds(with_error("LockError"), Rules()) == ["error"]


def test_server_may_be_unreachable_after_a_stall() -> None:
    def after_stall(error: str, stall: float) -> list[Event]:
        return [event("stall", "", 9.5, wait=stall), event("failed", "a", 11, error=error)]

    healthy = Rules(documented=frozenset({""}))
    assert kinds(after_stall("LockUnavailable", 0.5), healthy) == []
    assert kinds(after_stall("LockUnavailable", 0.2), healthy) == ["error"]
    assert kinds(after_stall("RuntimeError", 0.5), healthy) == ["error"]


def test_errors_outside_of_attempts() -> None:
    assert kinds([event("error", "", 10, error="ValueError in a thread")], Rules()) == ["error"]


def test_renewed_hold_that_is_lost() -> None:
    lost = [event("acquired", "a", 10), event("lost", "a", 12, lease=0.5)]
    assert kinds(lost, Rules(renewal=True)) == ["error"]
    assert kinds(lost, Rules()) == []
    unrenewed = [lost[0], lost[1]._replace(lease=None)]
    assert kinds(unrenewed, Rules(renewal=True)) == []
    assert kinds([*lost, event("stall", "", 11, wait=0.3)], Rules(renewal=True)) == []
