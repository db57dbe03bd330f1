"""Holder of a lock: its identity, as stored for other processes to read."""

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

# Longer labels and descriptions (characters) are cut: both are shown in one line of a table.
LONGEST_LABEL = 256

# Larger numbers are neither process ids nor start times of processes.
_HIGHEST = 2**63 - 1

# Longer texts (characters) are cut when they are read, since a screen shows them.
_LONGEST = 1024


@dataclass(frozen=True)
class Holder:
    """The holder of a lock, or a waiter. ``started`` distinguishes processes that reuse a pid.

    It renews its lease for ``renews_for`` seconds, or for as long as it holds if that is None.
    ``owner`` is the same for all holds and attempts of one thread or task, and ``group`` for those
    of names that are taken together.
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
        parts = self.host, f"pid {self.pid}" if self.pid else "", self.thread
        place = ", ".join(filter(None, parts))
        who = f"{self.what or 'unknown'}{f' ({place})' if place else ''}"
        return f"{who} for {self.label}" if self.label else who

    def pack(self) -> str:
        fields = {field: value for field, value in asdict(self).items() if value not in (None, "")}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def unpack(cls, text: str) -> Holder:
        """Read what ``pack`` wrote, in this release or another. Never raises.

        Fields of newer releases and invalid values are ignored.
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
    # JSON may contain lone surrogates, which cannot be encoded for a screen.
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
    """Return the packed holder for a lock that this process acquires now.

    ``thread``: the name of the thread. ``owner`` and ``group`` need no escaping. They change all
    the time, so they are appended to the other fields, whose packed form is cached.
    """
    packed = _packed(process.pid, thread, what[:LONGEST_LABEL], label[:LONGEST_LABEL], renews_for)
    if group:
        return f'{packed[:-1]},"owner":"{owner}","group":"{group}"}}'
    return f'{packed[:-1]},"owner":"{owner}"}}'


def caller(depth: int) -> str:
    """Return ``module.function`` of the code ``depth`` calls above the caller."""
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
    """Return the start time of a local process in ticks since boot, or 0 if it is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        # The second field, the name, is in parentheses and may contain anything.
        return int(stat.rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
