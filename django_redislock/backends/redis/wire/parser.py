"""A parser of RESP2 and RESP3; one function call reads all the replies of an exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .driver import error_of
from .scalars import of_line, of_text

__all__ = ["Incomplete", "incomplete", "read"]

_INTEGER, _BULK = b":$"
_TEXTS, _LISTS, _APART = b"$=!", b"*~%>|", b">|"


class Incomplete(Exception):
    """The rest of a reply has not arrived."""


def incomplete() -> bytes:
    """The ``more`` of a reader that must not block."""
    raise Incomplete


def read(  # noqa: C901, PLR0912 - a call for each item would take longer than all of this
    data: bytes, count: int, more: Callable[[], bytes]
) -> tuple[list[Any], bytes]:
    """Return ``count`` replies and what follows them; ``more()`` brings more bytes.

    Error replies stand in their places. Maps are flat, as in RESP2. Messages that answer no command
    are left out.
    """
    replies: list[Any] = []
    items, missing, at = replies, count, 0
    outer: list[tuple[list[Any], int]] = []
    inner: list[Any] | None
    while True:
        while not missing:
            if not outer:
                return replies, data[at:]
            items, missing = outer.pop()
        while (end := data.find(b"\r\n", at)) < 0:
            data += more()
        kind, line = data[at], data[at + 1 : end]
        at = end + 2
        if kind == _INTEGER:
            items.append(int(line))
        elif kind in _TEXTS:
            size = int(line)
            if size < 0:
                items.append(None)
            else:
                while len(data) < at + size + 2:
                    data += more()
                value = data[at : at + size]
                items.append(value if kind == _BULK else of_text(kind, value, error_of))
                at += size + 2
        elif kind in _LISTS:
            size = int(line) * (2 if kind in b"%|" else 1)
            if kind not in _APART:
                items.append(inner := [] if size >= 0 else None)
                missing -= 1
            else:
                inner = []
            if size > 0 and inner is not None:
                outer.append((items, missing))
                items, missing = inner, size
            continue
        else:
            items.append(of_line(kind, line, error_of))
        missing -= 1
