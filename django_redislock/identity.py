"""Who this process and thread are, for those who ask who holds a lock."""

from __future__ import annotations

import socket
import sys
import threading
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

from .backends.base import Holder
from .process import process

__all__ = ["caller", "packed_holder"]


def packed_holder(what: str, label: str, renews_for: float | None = None) -> str:
    """The holder that this thread would be now, packed."""
    return _packed(process.pid, threading.current_thread().name, what, label, renews_for)


def caller(depth: int) -> str:
    """``module.function`` of the code ``depth`` calls above the one who asks."""
    frame: FrameType = sys._getframe(depth + 1)
    return _dotted(frame.f_globals.get("__name__", "?"), frame.f_code)


@lru_cache(maxsize=1024)
def _dotted(module: str, code: CodeType) -> str:
    return f"{module}.{getattr(code, 'co_qualname', code.co_name)}"


@lru_cache(maxsize=1024)
def _packed(pid: int, thread: str, what: str, label: str, renews_for: float | None) -> str:
    return Holder(
        host=socket.gethostname(),
        pid=pid,
        thread=thread,
        what=what,
        label=label,
        started=_started(pid),
        renews_for=renews_for,
    ).pack()


@lru_cache(maxsize=4)
def _started(pid: int) -> int:
    """The start time of a process of this host, in ticks since boot; 0 where it is not known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        # The second field, the name, is in parentheses and may contain anything.
        return int(stat.rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
