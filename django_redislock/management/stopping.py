"""Signals that end a command, as exceptions, so that it can still report what it has done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["exit_code_of", "stopped_by_signals"]

# Sent when a job's time is over, and when the terminal is closed.
NUMBERS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """A signal has asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise a ``KeyboardInterrupt`` for signals that would otherwise end this process at once.

    For the main thread of a command line. Signals that are ignored (nohup) stay ignored.
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
    """Return the exit code that shells use for the signal behind the interrupt."""
    return 128 + (interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
