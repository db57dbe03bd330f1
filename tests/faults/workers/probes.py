"""Probes that measure when a process or an event loop did not run, to excuse late answers."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from tests.faults.history import History, now

if TYPE_CHECKING:
    from typing import NoReturn

TICK, LATE = 0.01, 0.005  # seconds


def start_probe(history: History) -> None:
    """Watch the threads of this process."""
    threading.Thread(target=_probe, args=(history,), daemon=True, name="probe").start()


async def probe_loop(history: History) -> NoReturn:
    """Watch the event loop that runs this."""
    while True:
        asked, began = now(), time.monotonic()
        await asyncio.sleep(TICK)
        _note(history, "loop", asked, time.monotonic() - began)


def _probe(history: History) -> NoReturn:
    while True:
        asked, began = now(), time.monotonic()
        time.sleep(TICK)
        _note(history, "thread", asked, time.monotonic() - began)


def _note(history: History, who: str, asked: int, took: float) -> None:
    if took > TICK + LATE:
        history.record("stall", at=asked, who=who, wait=took)
