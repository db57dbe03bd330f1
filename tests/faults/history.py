"""History of the use of locks by processes: one file per process, one line per event.

An event states only facts that its recorder is certain of, whatever the scheduler does:

    history.record("asked", name, token, wait=1.0)    # before the acquire
    history.record("acquired", name, token, fence=7)  # after it has returned, while it is held
    history.record("held", name, token)               # as often as wanted, while it is held
    history.record("released", name, token)           # BEFORE the release, while it is held

A hold is certain from `acquired` to its last `held` or `released`. A line lost to an interruption
makes that time shorter, never longer, so two holds that overlap here really did overlap.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

KINDS = {
    "asked": "an attempt begins",
    "queued": "the server is known to have the attempt in its queue",
    "acquired": "the attempt ended with a hold",
    "gave_up": "the attempt ended without a hold, for others have it",
    "failed": "the attempt ended with an error",
    "interrupted": "the attempt was ended by an interruption",
    "held": "the handle was held at that time",
    "released": "the release is about to begin",
    "over": "the release ended, perhaps with an error",
    "lost": "the handle knows that its hold is lost",
    "forced": "the hold with this fence may be released by force from now on",
    "gone": "the process was killed",
    "stall": "the process, its event loop or the server did not run for `wait` seconds",
    "error": "something went wrong that no attempt explains",
}
# Names that are held together are also checked as one name: all names, joined by this.
TOGETHER = "+"


class Event(NamedTuple):
    """One line of a history. `at` is in nanoseconds, of the clock that all processes share."""

    kind: str
    name: str
    token: str
    at: int
    pid: int
    who: str
    fence: int | None = None
    limit: int = 1
    shared: bool = False
    wait: float | None = None
    lease: float | None = None  # of a renewed hold; after its release, the time left
    error: str = ""
    delay: float = 0.0  # seconds that its thread has waited for a processor so far


def now() -> int:
    """Return the time of CLOCK_MONOTONIC, which all processes of a machine share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class History:
    """A folder that processes and threads write to, with one write per event.

    The object can be passed to a worker process, and used on both sides of a fork.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._descriptors: dict[int, int] = {}

    def __getstate__(self) -> str:
        return self.path

    def __setstate__(self, path: str) -> None:
        self.path = path
        self._descriptors = {}

    def record(self, kind: str, name: str = "", token: str = "", **fields: Any) -> None:
        """Append an event. `fields` are those of Event; `at`, `pid` and `who` have defaults.

        `who` is the actor, whose events are in order: by default the process and the thread.
        """
        if kind not in KINDS:
            raise ValueError(f"There is no event {kind!r}, only {', '.join(KINDS)}.")
        own = os.getpid()
        at = fields.pop("at", None) or now()
        pid = fields.pop("pid", own)
        who = fields.pop("who", None) or f"{pid}/{threading.get_ident()}"
        event = Event(kind, name, token, at, pid, who, **fields)
        # One write with O_APPEND, so that lines are not mixed, and a kill loses none.
        os.write(self._descriptors.get(own) or self._open(own), f"{json.dumps(event)}\n".encode())

    def events(self) -> list[Event]:
        """Return all events in order of time."""
        events = []
        for path in Path(self.path).glob("*.jsonl"):
            for line in path.read_text().splitlines():
                # A kill may have truncated the last line.
                with contextlib.suppress(ValueError):
                    events.append(Event(*json.loads(line)))
        return sorted(events, key=lambda event: event.at)

    def close(self) -> None:
        """Close the files; the next record opens them again."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _open(self, pid: int) -> int:
        Path(self.path).mkdir(exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(f"{self.path}/{pid}.jsonl", flags, 0o600)
        self._descriptors[pid] = descriptor
        return descriptor
