"""Who this process and thread are, for those who ask who holds a lock."""

from __future__ import annotations

import socket
import sys
import threading
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from pathlib import Path
from types import CodeType, FrameType

from .backends.base import Holder
from .process import process

__all__ = ["caller", "packed_holder"]

# What is longer (characters) is cut: both are shown in one line of a table.
LONGEST_LABEL = 256


def packed_holder(
    what: str, label: str, renews_for: float | None = None, *, owner: str = "", group: str = ""
) -> str:
    """The holder that this thread would be now, packed.

    ``owner`` and ``group`` change all the time, so they are added to what is packed once.
    """
    packed = _packed(
        process.pid,
        threading.current_thread().name,
        what[:LONGEST_LABEL],
        label[:LONGEST_LABEL],
        renews_for,
    )
    if owner:
        packed = f'{packed[:-1]},"owner":{encode_basestring_ascii(owner)}}}'
    if group:
        packed = f'{packed[:-1]},"group":{encode_basestring_ascii(group)}}}'
    return packed


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
        thread=thread[:LONGEST_LABEL],
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
