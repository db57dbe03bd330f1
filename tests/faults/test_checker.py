"""The checker of histories: it finds violations that no lock may cause, and no false ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import Rules, assert_allowed, violations
from tests.faults.history import Event, History
from tests.support.processes import run_in_processes

SERVED = Rules(all_served=True)


def history(*lines: str, **fields: Any) -> list[Event]:
    """Read "who kind fence" lines, a nanosecond apart; each `who` is one attempt."""
    events = []
    for at, line in enumerate(lines, start=1):
        who, kind, *fence = line.split()
        number = int(fence[0]) if fence else None
        event = Event(kind, "order:42", who, at, ord(who[0]), who[0], fence=number)
        events.append(event._replace(**fields))
    return events


def found(events: list[Event], rules: Rules = SERVED) -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in violations(events, rules)]


GOOD = ("a asked", "b asked", "a acquired 1", "a released", "b acquired 2", "b released")


def test_good_history() -> None:
    assert found(history(*GOOD), Rules(all_served=True, answered=True, unfairness=1)) == []
    assert found([]) == []
    assert found([], Rules(unfairness=1, overtakings=0, exact=0)) == []


def test_two_holders_at_once() -> None:
    lines = ["a acquired 1", "b acquired 2", "a released", "b released"]
    ((kind, text),) = found(history(*lines))
    assert kind == "overlap"
    assert "b of b" in text
    assert "acquired while a of a" in text


def test_names_are_judged_separately() -> None:
    one = history("a acquired 1", "a released")
    other = [event._replace(name="order:43", token="b") for event in one]
    assert found(sorted(one + other, key=lambda event: event.at)) == []


def test_grants_to_two_at_once_may_be_noted_in_another_order() -> None:
    lines = ["a asked", "b asked", "b acquired 2", "a acquired 1", "c asked", "c acquired 1"]
    assert [kind for kind, _ in found(history(*lines[:4]))] == ["fence"]
    lost = Rules(exclusive=False)
    assert found(history(*lines[:4]), lost) == []
    assert [text for kind, text in found(history(*lines), lost) if "lower" in text] != []


def test_semaphore_has_a_limit() -> None:
    lines = ["a acquired 1", "b acquired 2", "c acquired 3", "a held", "b held"]
    assert found(history(*lines, limit=3)) == []
    assert len(found(history(*lines, limit=2))) == 1


def test_readers_share_and_writers_do_not() -> None:
    readers = history("a acquired 1", "b acquired 2", "a held", "b held", shared=True)
    assert found(readers) == []
    writer = Event("acquired", "order:42", "c", 3, 3, "c", fence=3)
    assert len(found([*readers[:2], writer, *readers[2:]])) == 1
    first = [writer._replace(at=0, fence=0), writer._replace(kind="released", at=2)]
    events = sorted([*first, readers[0]], key=lambda event: event.at)
    assert len(found(events)) == 1


def test_hold_that_is_released_by_force_is_not_certain_any_more() -> None:
    lines = ["a acquired 1", "b forced 1", "c acquired 2", "a held", "c held"]
    assert found(history(*lines)) == []
    others = [line.replace("forced 1", "forced 7") for line in lines]
    assert [kind for kind, _ in found(history(*others))] == ["overlap"]
    # It may be over before its holder has noted that it began.
    assert found(history("b forced 1", "c acquired 2", "a acquired 1", "c held", "a held")) == []


@pytest.mark.parametrize("end", ["a lost", "a gone", "a interrupted", "a over"])
def test_hold_is_certain_only_while_its_handle_says_so(end: str) -> None:
    lines = ["a acquired 1", "a held", end, "b acquired 2", "b held"]
    assert found(history(*lines)) == []
    assert len(found(history("a acquired 1", "b acquired 2", "a held", end))) == 1


def test_killed_process_need_not_be_served() -> None:
    assert found(history("a asked", "a gone"), Rules(all_served=True, answered=True)) == []
    assert len(found(history("a asked", "b gone"), Rules(answered=True))) == 1


@pytest.mark.parametrize("fences", [(2, 1), (1, 1)])
def test_fences_that_do_not_rise(fences: tuple[int, int]) -> None:
    first, second = fences
    lines = [f"a acquired {first}", "a released", f"b acquired {second}", "b released"]
    assert {kind for kind, _ in found(history(*lines))} == {"fence"}


def test_fence_that_falls_after_others_is_found() -> None:
    lines = ["a acquired 5", "a released", "b acquired 7", "b released", "c acquired 6"]
    ((kind, text),) = found(history(*lines))
    assert kind == "fence"
    assert "lower fence than b" in text


def test_semaphores_grants_may_be_recorded_out_of_order_only_if_they_raced() -> None:
    raced = ["a asked", "b asked", "b acquired 2", "a acquired 1"]
    assert found(history(*raced, limit=2)) == []
    in_turn = ["b asked", "b acquired 2", "a asked", "a acquired 1"]
    assert len(found(history(*in_turn, limit=2))) == 1


def test_attempt_that_was_not_served() -> None:
    events = history("a asked", "b asked", "a acquired 1", "a released")
    ((kind, text),) = found(events)
    assert kind == "starved"
    assert "never got its turn" in text
    assert found(events, Rules()) == []
    assert len(found(history("a asked", "a gave_up"))) == 1


@pytest.mark.parametrize("answer", ["acquired 1", "gave_up", "failed", "interrupted", "lost"])
def test_attempt_that_was_never_answered(answer: str) -> None:
    ((kind, text),) = found(history("a asked"), Rules(answered=True))
    assert kind == "starved"
    assert "never answered" in text
    assert found(history("a asked", f"a {answer}"), Rules(answered=True)) == []


def test_unfair_shares() -> None:
    lines = []
    for number in range(6):
        who = "b" if number == 5 else "a"
        lines += [f"{who}{number} asked", f"{who}{number} acquired {number}"]
        lines += [f"{who}{number} released"]
    assert found(history(*lines), Rules(unfairness=5)) == []
    ((kind, text),) = found(history(*lines), Rules(unfairness=4))
    assert kind == "starved"
    assert text == "a acquired 5 times, b 1 times"
    nothing = history("a asked", "b asked", "a acquired 1", "a released")
    assert len(found(nothing, Rules(unfairness=100))) == 1


def test_overtaking() -> None:
    lines = ["a asked", "a queued", "b asked", "b acquired 1", "b released", "a acquired 2"]
    ((kind, text),) = found(history(*lines))
    assert kind == "starved"
    assert "b of b" in text
    assert "overtook a" in text
    unknown = [line for line in lines if line != "a queued"]
    assert found(history(*unknown)) == []


def test_handle_that_is_used_again_is_two_attempts() -> None:
    again = ["a asked", "a acquired 2", "a released", "a asked", "a acquired 1", "a released"]
    ((_, text),) = found(history(*again))
    assert "lower fence" in text


def test_all_violations_are_reported_at_once(tmp_path: Path) -> None:
    written = History(tmp_path / "history")
    for fence in (1, 1):
        written.record("acquired", "order:42", f"token{fence}", fence=fence, who="a")
    written.record("acquired", "order:42", "other", fence=0)
    with pytest.raises(AssertionError, match=r"2 violations:\n"):
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


def test_line_that_a_kill_has_cut_short_is_left_out(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.record("asked", "order:42", "a")
    history.close()
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '["acquired", "order:42"')
    assert [event.kind for event in history.events()] == ["asked"]
