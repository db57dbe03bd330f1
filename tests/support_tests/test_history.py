"""The checker of histories: it finds what no lock may do, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import Event, History, assert_allowed, violations
from tests.support.processes import run_in_processes


def history(*lines: str, **fields: Any) -> list[Event]:
    """Read "who kind fence" lines, a nanosecond apart; each `who` is one attempt."""
    events = []
    for at, line in enumerate(lines, start=1):
        who, kind, *fence = line.split()
        number = int(fence[0]) if fence else None
        pid = ord(who[0])
        event = Event(kind, "order:42", who, at, pid, who[0], fence=number)
        events.append(dataclasses.replace(event, **fields))
    return events


GOOD = ("a asked", "b asked", "a acquired 1", "a released", "b acquired 2", "b released")


def test_good_history() -> None:
    assert violations(history(*GOOD), unfairness=1) == []
    assert violations([]) == []
    assert violations([], unfairness=1) == []


def test_two_holders_at_once() -> None:
    (text,) = violations(history("a acquired 1", "b acquired 2", "a released", "b released"))
    assert "b" in text
    assert "acquired while a" in text


def test_two_names_do_not_matter_to_each_other() -> None:
    one = history("a acquired 1", "a released")
    other = [dataclasses.replace(event, name="order:43", token="b") for event in one]
    assert violations(sorted(one + other, key=lambda event: event.at)) == []


def test_semaphore_has_a_limit() -> None:
    lines = ["a acquired 1", "b acquired 2", "c acquired 3"]
    assert violations(history(*lines, limit=3)) == []
    assert len(violations(history(*lines, limit=2))) == 1


def test_readers_share_and_writers_do_not() -> None:
    readers = history("a acquired 1", "b acquired 2", shared=True)
    assert violations(readers) == []
    writer = Event("acquired", "order:42", "c", 3, 3, "c", fence=3)
    assert len(violations([*readers, writer])) == 1
    first = dataclasses.replace(writer, at=0, fence=0)
    assert len(violations([first, readers[0]])) == 1


def test_lost_hold_is_no_hold() -> None:
    assert violations(history("a acquired 1", "a lost", "b acquired 2", "a released")) == []


def test_process_that_is_gone_holds_nothing_and_waits_for_nothing() -> None:
    events = history("a acquired 1", "a2 asked", "a gone", "b acquired 2")
    assert violations(events) == []
    assert len(violations(history("a acquired 1", "b gone", "c acquired 2"))) == 1


@pytest.mark.parametrize("fences", [(2, 1), (1, 1)])
def test_fences_that_do_not_rise(fences: tuple[int, int]) -> None:
    first, second = fences
    lines = [f"a acquired {first}", "a released", f"b acquired {second}", "b released"]
    assert violations(history(*lines))


def test_fence_that_falls_after_others_is_found() -> None:
    lines = ["a acquired 5", "a released", "b acquired 7", "b released", "c acquired 6"]
    (text,) = violations(history(*lines))
    assert "lower fence than b" in text


def test_semaphores_grants_may_be_recorded_out_of_order_only_if_they_raced() -> None:
    raced = ["a asked", "b asked", "b acquired 2", "a acquired 1"]
    assert violations(history(*raced, limit=2)) == []
    in_turn = ["b asked", "b acquired 2", "a asked", "a acquired 1"]
    assert len(violations(history(*in_turn, limit=2))) == 1


def test_starved_attempt() -> None:
    events = history("a asked", "b asked", "a acquired 1", "a released")
    (text,) = violations(events)
    assert "never got its turn" in text
    assert violations(events, all_served=False) == []
    gave_up = history("a asked", "a gave_up")
    assert len(violations(gave_up)) == 1


def test_unfair_shares() -> None:
    lines = []
    for number in range(6):
        who = "b" if number == 5 else "a"
        lines += [f"{who}{number} asked", f"{who}{number} acquired {number}"]
        lines += [f"{who}{number} released"]
    assert violations(history(*lines), unfairness=5) == []
    (text,) = violations(history(*lines), unfairness=4)
    assert text == "a acquired 5 times, b 1 times"
    starved = history("a asked", "b asked", "a acquired 1", "a released")
    assert len(violations(starved, all_served=False, unfairness=100)) == 1


def test_overtaking() -> None:
    lines = ["a asked", "a queued", "b asked", "b acquired 1", "b released", "a acquired 2"]
    (text,) = violations(history(*lines))
    assert "b" in text
    assert "overtook a" in text
    unknown = [line for line in lines if line != "a queued"]
    assert violations(history(*unknown)) == []


def test_handle_that_is_used_again_is_two_attempts() -> None:
    again = ["a asked", "a acquired 2", "a released", "a asked", "a acquired 1", "a released"]
    (text,) = violations(history(*again))
    assert "lower fence" in text


def test_all_is_told_at_once(tmp_path: Path) -> None:
    written = History(tmp_path / "history")
    for fence in (1, 1):
        written.record("acquired", "order:42", f"token{fence}", fence=fence, who="a")
    written.record("acquired", "order:42", "other", fence=0)
    with pytest.raises(AssertionError, match=r"violations:\n"):
        assert_allowed(written)
    written.close()


def test_unknown_event_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no event 'aquired'"):
        History(tmp_path / "history").record("aquired")


def test_history_without_events(tmp_path: Path) -> None:
    assert_allowed(History(tmp_path / "history"))


def record_many(index: int, history: History, number: int) -> None:
    for count in range(number):
        history.record("asked", "order:42", f"{index}-{count}")


def test_processes_write_into_one_history(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    run_in_processes(record_many, 3, history, 2000)
    events = history.events()
    expected = {f"{index}-{count}" for index in range(3) for count in range(2000)}
    assert len(events) == len(expected)
    assert {event.token for event in events} == expected
    assert len({event.pid for event in events}) == 3
    for index in range(3):
        own = [event.token for event in events if event.token.startswith(f"{index}-")]
        assert own == [f"{index}-{count}" for count in range(2000)]
