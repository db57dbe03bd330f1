"""Signals that end a command, as exceptions: what it has done is told and logged then."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["exit_code_of", "stopped_by_signals"]

# The end of a job's time, and that of the terminal.
NUMBERS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let signals raise a ``KeyboardInterrupt`` that would end this process at once.

    For the main thread of a command line. What is ignored (nohup) stays ignored.
    """
    numbers = [one for one in NUMBERS if signal.getsignal(one) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def exit_code_of(interrupt: KeyboardInterrupt) -> int:
    """The code with which shells tell of the signal behind it."""
    return 128 + (interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
