"""Who holds a lock, as the holder itself writes it down."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Holder"]

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
