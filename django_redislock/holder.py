"""Holder of a lock: who it is, as it writes that down for others to read."""

from __future__ import annotations

import json
import math
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from .process import process

__all__ = ["Holder", "caller", "packed_holder"]

# What is longer (characters) is cut: both are shown in one line of a table.
LONGEST_LABEL = 256

# Larger numbers are neither a pid nor the start time of a process.
_HIGHEST = 2**63 - 1

# What is longer (characters) is cut when it is read: a screen shows it.
_LONGEST = 1024


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, or waits for it. ``started`` tells a pid from its later reuse.

    For ``renews_for`` seconds it renews its lease; None: as long as it holds. ``owner`` is the same
    for all holds and attempts of one thread or task of the process, ``group`` for those of names
    that were taken together.
    """

    host: str = ""
    pid: int = 0
    thread: str = ""
    what: str = ""
    label: str = ""
    started: int = 0
    renews_for: float | None = None
    owner: str = ""
    group: str = ""

    def __str__(self) -> str:
        who = f"{self.what or 'unknown'} ({self.host or '?'}, pid {self.pid}, {self.thread})"
        return f"{who} for {self.label}" if self.label else who

    def pack(self) -> str:
        fields = {field: value for field, value in asdict(self).items() if value not in (None, "")}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def unpack(cls, text: str) -> Holder:
        """Read what ``pack`` wrote, here or in another release; nothing raises.

        Fields of a newer release are ignored, and values that no release writes.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(fields, dict):
            return cls()
        read = {
            field: _READERS[field](value) for field, value in fields.items() if field in _READERS
        }
        return cls(**{field: value for field, value in read.items() if value is not None})


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    # JSON may contain halves of characters, which cannot be sent to a screen.
    return value[:_LONGEST].encode(errors="replace").decode()


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _HIGHEST else None


def _seconds(value: Any) -> float | None:
    if type(value) not in (int, float) or not 0 <= value <= _HIGHEST or math.isnan(value):
        return None
    return float(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "host": _text,
    "pid": _whole,
    "thread": _text,
    "what": _text,
    "label": _text,
    "started": _whole,
    "renews_for": _seconds,
    "owner": _text,
    "group": _text,
}


def packed_holder(
    what: str, label: str, renews_for: float | None, thread: str, owner: str, group: str = ""
) -> str:
    """The holder that this process would be now, packed.

    ``thread``: the name of the thread. ``owner`` and ``group`` are ours, in plain letters; they
    change all the time, so they are added to what is packed once.
    """
    packed = _packed(process.pid, thread, what[:LONGEST_LABEL], label[:LONGEST_LABEL], renews_for)
    if group:
        return f'{packed[:-1]},"owner":"{owner}","group":"{group}"}}'
    return f'{packed[:-1]},"owner":"{owner}"}}'


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
