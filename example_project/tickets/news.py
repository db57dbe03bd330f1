"""Recent events as sentences for the page, kept in the memory of one process."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from itertools import count
from typing import NamedTuple

from django.utils.timezone import now


class Report(NamedTuple):
    """``kind`` is "mishap", "relief" or "refusal", and determines the colour on the page."""

    number: int
    time: datetime
    kind: str
    text: str


_numbers = count(1)
_latest: deque[Report] = deque(maxlen=8)


def report(kind: str, text: str) -> None:
    _latest.append(Report(next(_numbers), now(), kind, text))


def clear() -> None:
    _latest.clear()


def latest() -> list[Report]:
    """The reports, newest first."""
    return list(_latest)[::-1]
