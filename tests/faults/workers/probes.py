"""Probes that measure when a process or an event loop did not run, to excuse late answers."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.history import History, now

if TYPE_CHECKING:
    from typing import NoReturn

# Seconds. A thread that shares its process with busy ones has to wait a little again and again.
TICK, LATE = 0.01, 0.002
# Makes a worker, or a child of it, write the stacks of its threads to its standard error.
SHOWS_STACKS = signal.SIGUSR1
SHOWN_WITHIN = 2.0  # seconds


def processor_delay(of: int | str = "thread-self") -> float:
    """Return for how long (seconds) this thread, or the main thread of a process, has waited for
    a processor so far; 0 if unknown.

    A probe does not measure that: threads that mostly sleep, as it does, are served first.
    """
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{of}/schedstat").read_bytes().split()[1]) / 1e9
    return 0.0


def start_probe(history: History) -> None:
    """Watch the threads of this process."""
    threading.Thread(target=_probe, args=(history,), daemon=True, name="probe").start()


async def probe_loop(history: History) -> NoReturn:
    """Watch the event loop that runs this."""
    since = now()
    while True:
        await asyncio.sleep(TICK)
        since = _note(history, "loop", since)


def _probe(history: History) -> NoReturn:
    since = now()
    while True:
        time.sleep(TICK)
        since = _note(history, "thread", since)


def _note(history: History, who: str, since: int) -> int:
    """Record a stall, and return when the next one may have begun.

    Writing the record may stall as well, so each measurement begins where the last one ended.
    """
    ended = now()
    took = (ended - since) / 1e9
    if took > TICK + LATE:
        history.record("stall", at=since, who=who, wait=took)
    return ended
