"""What many processes did with locks, written down as it happened, and whether it was allowed.

The order in which to record, which makes the checker right whatever the scheduler does:

    history.record("asked", name, token, limit=1)      # before the acquire
    history.record("acquired", name, token, fence=7)   # after it has returned
    history.record("released", name, token)            # BEFORE the release

Then each recorded hold lies within the real one, and two that overlap did overlap in truth.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
import os
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

# asked: an attempt begins        queued: the server is known to have the attempt in its queue
# acquired, released              gave_up: the attempt ended without a hold
# lost: the handle knows it       gone: the process `pid` does no work from here on (killed, frozen)
KINDS = ("asked", "queued", "acquired", "released", "gave_up", "lost", "gone")


@dataclasses.dataclass(frozen=True)
class Event:
    """One line of a history. `at` is in nanoseconds of the clock that all processes share."""

    kind: str
    name: str
    token: str
    at: int
    pid: int
    who: str
    fence: int | None = None
    limit: int = 1
    shared: bool = False


class History:
    """A file that processes and threads append to, one write an event.

    The object can be given to a worker process. `at` of every event is CLOCK_MONOTONIC, which all
    processes of a machine share.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._descriptor: int | None = None

    def __getstate__(self) -> str:
        return self.path

    def __setstate__(self, path: str) -> None:
        self.path = path
        self._descriptor = None

    def record(self, kind: str, name: str = "", token: str = "", **fields: Any) -> None:
        """Append an event. `fields` are those of Event; `at`, `pid` and `who` have defaults.

        `who` takes turns: the process and thread, unless told otherwise.
        """
        if kind not in KINDS:
            raise ValueError(f"There is no event {kind!r}, only {', '.join(KINDS)}.")
        pid = fields.setdefault("pid", os.getpid())
        fields.setdefault("who", f"{pid}/{threading.get_ident()}")
        fields.setdefault("at", time.clock_gettime_ns(time.CLOCK_MONOTONIC))
        event = Event(kind=kind, name=name, token=token, **fields)
        line = json.dumps(dataclasses.asdict(event)) + "\n"
        # One write with O_APPEND: no line lands inside another, and none is lost by a kill.
        descriptor = self._open()
        written = os.write(descriptor, line.encode())
        assert written == len(line.encode())

    def events(self) -> list[Event]:
        """Return all events in order of time."""
        lines = Path(self.path).read_text().splitlines() if Path(self.path).exists() else []
        return sorted((Event(**json.loads(line)) for line in lines), key=lambda event: event.at)

    def close(self) -> None:
        """Close the file; the next record opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o600)
        return self._descriptor


def assert_allowed(history: History, **options: Any) -> None:
    """Fail with all that is wrong with a history; the options are those of `violations`."""
    found = violations(history.events(), **options)
    assert not found, "\n".join([f"{len(found)} violations:", *found[:20]])


def violations(
    events: list[Event], *, all_served: bool = True, unfairness: float | None = None
) -> list[str]:
    """Return what no lock may do, in words; an empty list for a good history.

    With `all_served`, each attempt must have become a hold, unless its process is gone. With
    `unfairness`, the one who acquired most may have done so at most that many times as often as
    the one who acquired least, among all who asked.
    """
    found: list[str] = []
    by_name: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind == "gone":
            # It ends what this process does with every name.
            for of_name in by_name.values():
                of_name.append(event)
        else:
            by_name[event.name].append(event)
    for name, of_name in by_name.items():
        attempts = _attempts(of_name)
        found += [f"{name}: {text}" for text in _overlaps(of_name)]
        found += [f"{name}: {text}" for text in _falling_fences(attempts)]
        found += [f"{name}: {text}" for text in _overtakings(attempts)]
        if all_served:
            found += [f"{name}: {text}" for text in _unserved(of_name, attempts)]
    if unfairness is not None:
        found += _unfair(events, unfairness)
    return found


def _attempts(events: list[Event]) -> list[dict[str, Event]]:
    """Return the events of each attempt by their kind."""
    attempts: list[dict[str, Event]] = []
    of_token: dict[str, dict[str, Event]] = {}
    for event in events:
        if event.kind == "gone":
            continue
        if event.kind in of_token.get(event.token, {event.kind: event}):
            # The first of this token, or a handle that is used again.
            of_token[event.token] = {}
            attempts.append(of_token[event.token])
        of_token[event.token][event.kind] = event
    return attempts


def _overlaps(events: list[Event]) -> list[str]:
    found = []
    holding: dict[str, Event] = {}
    for event in events:
        if event.kind == "acquired":
            others = list(holding.values())
            holding[event.token] = event
            if not _may_hold(event, others):
                found.append(f"{_who(event)} acquired while {', '.join(map(_who, others))} held it")
        elif event.kind in ("released", "lost"):
            holding.pop(event.token, None)
        elif event.kind == "gone":
            holding = {token: held for token, held in holding.items() if held.pid != event.pid}
    return found


def _may_hold(event: Event, others: list[Event]) -> bool:
    if any(held.shared for held in (event, *others)):
        return not others or all(held.shared for held in (event, *others))
    return len(others) < min(held.limit for held in (event, *others))


def _falling_fences(attempts: list[dict[str, Event]]) -> list[str]:
    found = []
    used: dict[int, Event] = {}
    times: list[int] = []
    highest: list[Event] = []  # of the grants up to the time at the same index
    granted = [attempt for attempt in attempts if "acquired" in attempt]
    for attempt in sorted(granted, key=lambda attempt: attempt["acquired"].at):
        event = attempt["acquired"]
        if event.fence is None:
            continue
        if event.fence in used:
            found.append(f"{_who(event)} has the fence of {_who(used[event.fence])}: {event.fence}")
        used[event.fence] = event
        before = bisect.bisect_left(times, _surely_granted_after(attempt))
        if before and event.fence < highest[before - 1].fence:
            found.append(f"{_who(event)} has a lower fence than {_who(highest[before - 1])} before")
        times.append(event.at)
        highest.append(max([event, *highest[-1:]], key=lambda event: event.fence))
    return found


def _surely_granted_after(attempt: dict[str, Event]) -> int:
    """Return the time up to which others have recorded grants that surely came first.

    Where several may hold at once, two grants can be recorded in another order than they were
    made in: certain is only that a hold from before the question is older.
    """
    event = attempt["acquired"]
    if event.limit == 1 and not event.shared:
        return event.at
    return attempt["asked"].at if "asked" in attempt else 0


def _overtakings(attempts: list[dict[str, Event]]) -> list[str]:
    """Find who was known to queue before another even asked, and yet was served after it."""
    served = [attempt for attempt in attempts if "acquired" in attempt]
    queued = [attempt for attempt in served if "queued" in attempt]
    return [
        f"{_who(late['acquired'])} overtook {_who(early['acquired'])}, which queued before it asked"
        for early in queued
        for late in served
        if "asked" in late
        and early["queued"].at < late["asked"].at
        and _granted_before(late["acquired"], early["acquired"])
    ]


def _granted_before(one: Event, other: Event) -> bool:
    if one.fence is not None and other.fence is not None:
        return one.fence < other.fence
    return one.at < other.at


def _unserved(events: list[Event], attempts: list[dict[str, Event]]) -> list[str]:
    gone = {event.pid for event in events if event.kind == "gone"}
    return [
        f"{_who(attempt['asked'])} never got its turn"
        for attempt in attempts
        if "asked" in attempt and "acquired" not in attempt and attempt["asked"].pid not in gone
    ]


def _unfair(events: list[Event], unfairness: float) -> list[str]:
    acquired = Counter({event.who: 0 for event in events if event.kind == "asked"})
    acquired.update(event.who for event in events if event.kind == "acquired")
    if not acquired:
        return []
    (most, high), (least, low) = acquired.most_common()[0], acquired.most_common()[-1]
    if high <= unfairness * low:
        return []
    return [f"{most} acquired {high} times, {least} {low} times"]


def _who(event: Event) -> str:
    return f"{event.token[:8]} of {event.who} at {event.at / 1e9:.6f}"
