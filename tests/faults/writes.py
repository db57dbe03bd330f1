"""Writes: whether a row has accepted stale writes, or lost updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.faults.history import Event

STALE, LOST_UPDATE, EXCUSED = "stale", "lost update", "excused"


class Written(NamedTuple):
    """A committed write. `before` is the token of the write whose result it has read."""

    name: str
    token: str
    fence: int
    before: str


def stale_writes(writes: Sequence[Written], names: Sequence[str]) -> Iterator[str]:
    """Find writes of these rows whose fence is lower than that of an earlier one."""
    highest: dict[str, Written] = {}
    for write in writes:
        if write.name not in names:
            continue
        before = highest.setdefault(write.name, write)
        if write.fence < before.fence:
            yield f"{write} was taken after {before}"
        else:
            highest[write.name] = write


def lost_updates(
    writes: Sequence[Written], names: Sequence[str], events: Sequence[Event]
) -> Iterator[tuple[str, str]]:
    """Find writes of these rows that have undone another write, as both had read the same value.

    A lost update is EXCUSED if either writer noticed that its hold was lost, or was killed. Such a
    writer was frozen for longer than its lease, which a lock alone cannot guard against.
    """
    excused = _excused(events)
    after: dict[tuple[str, str], Written] = {}
    for write in writes:
        other = after.setdefault((write.name, write.before), write)
        if write.name in names and other is not write:
            kind = EXCUSED if {write.token, other.token} & excused else LOST_UPDATE
            yield kind, f"{write} has undone {other}"


def _excused(events: Sequence[Event]) -> set[str]:
    """Return tokens whose holds were lost, or whose processes were killed."""
    gone = {event.pid for event in events if event.kind == "gone"}
    return {
        event.token
        for event in events
        if event.pid in gone or event.kind == "lost" or event.error == "LockLost"
    }
