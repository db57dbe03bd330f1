"""The check of the writes that a database has accepted, with forged and with real writes."""

from __future__ import annotations

from tests.faults.history import Event
from tests.faults.writes import EXCUSED, LOST_UPDATE, Written, lost_updates, stale_writes

ROW = ["row"]


def writes(*lines: str, name: str = "row") -> list[Written]:
    """Read "token fence before" lines, in the order of their commits."""
    parts = (line.split() for line in lines)
    return [Written(name, token, int(fence), before) for token, fence, before in parts]


def event(kind: str, token: str, *, pid: int = 1, error: str = "") -> Event:
    return Event(kind, "row", token, 1, pid, token, error=error)


def test_rising_fences_are_good() -> None:
    assert [*stale_writes(writes("a 1 -", "b 2 a", "c 3 b"), ROW)] == []


def test_write_with_a_lower_fence_is_stale() -> None:
    (text,) = stale_writes(writes("a 1 -", "b 3 a", "a 1 b", "c 3 a"), ROW)
    assert "token='a'" in text


def test_each_row_has_fences_of_its_own() -> None:
    other = writes("b 1 -", name="other")
    assert [*stale_writes([*writes("a 2 -"), *other], ["row", "other"])] == []


def test_only_the_rows_that_are_named_are_judged() -> None:
    assert [*stale_writes(writes("a 2 -", "b 1 a"), ["other"])] == []
    assert [*lost_updates(writes("a 1 -", "b 2 -"), ["other"], [])] == []


def test_updates_one_after_another_are_good() -> None:
    assert [*lost_updates(writes("a 1 -", "b 2 a", "c 3 b"), ROW, [])] == []


def test_two_writes_after_the_same_one_lose_an_update() -> None:
    ((kind, text),) = lost_updates(writes("a 1 -", "b 2 -", "c 3 b"), ROW, [])
    assert kind == LOST_UPDATE
    assert "token='b'" in text.partition("has undone")[0]


def test_holder_whose_loss_was_noticed_is_excused() -> None:
    lost = writes("a 1 -", "b 2 -")
    for noticed in (event("lost", "a"), event("over", "b", error="LockLost")):
        assert [kind for kind, _ in lost_updates(lost, ROW, [noticed])] == [EXCUSED]
    killed = [event("acquired", "a", pid=7), event("gone", "", pid=7)]
    assert [kind for kind, _ in lost_updates(lost, ROW, killed)] == [EXCUSED]
    others = [event("lost", "c"), event("over", "a")]
    assert [kind for kind, _ in lost_updates(lost, ROW, others)] == [LOST_UPDATE]
