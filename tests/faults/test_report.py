"""The table of a run, and what counts as wrong."""

from __future__ import annotations

from tests.faults.checker import Violation
from tests.faults.history import Event
from tests.faults.report import Report, grants_of, table

FOUND = [Violation("overlap", "two"), Violation("overlap", "more"), Violation("left", "one")]


def report_of(**fields: frozenset[str]) -> Report:
    return Report("kill", 7, 60.2, 1234, 0.5, FOUND, **fields)


def test_table() -> None:
    head, _, row = table([report_of()]).splitlines()
    assert head.startswith("| fault | seconds | grants | overlaps | fence regressions | holds left")
    assert row == "| kill | 60 | 1,234 | 2 | 0 | 1 | 0 | 0 | 0 | 0.50 | 7 |"


def test_what_a_fault_may_cause_is_shown_and_not_wrong() -> None:
    report = report_of(allowed=frozenset({"overlap"}))
    assert "| (2) | 0 | 1 |" in table([report])
    assert report.wrong == FOUND[2:]
    assert report.examples() == ["kill: holds left: one"]
    assert report_of().examples(1) == ["kill: overlaps: two", "kill: holds left: one"]


def test_grants_and_the_longest_time_without_one() -> None:
    times = [1_000_000_000, 1_500_000_000, 4_000_000_000, 9_000_000_000]
    events = [Event("acquired", "a", "a", at, 1, "a") for at in times]
    events.append(Event("asked", "a", "a", 2_000_000_000, 1, "a"))
    assert grants_of(events, 5_000_000_000) == (4, 2.5)
    assert grants_of([], 0) == (0, 0)
