"""Scalar replies of RESP2 and RESP3: what is one line or one text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.exceptions import InvalidResponse

__all__ = ["of_line", "of_text"]


def of_line(kind: int, line: bytes, error: Callable[[str], Exception]) -> Any:
    """The value of a line. ``error`` makes an exception of an error reply."""
    if kind == ord("+"):
        return line
    if kind == ord("-"):
        return error(line.decode(errors="replace"))
    if kind in b":(":
        return int(line)
    if kind == ord("_"):
        return None
    if kind == ord("#"):
        return line == b"t"
    if kind == ord(","):
        return float(line)
    raise InvalidResponse(f"The server sent {bytes([kind]) + line!r}, which is no reply.")


def of_text(kind: int, value: bytes, error: Callable[[str], Exception]) -> Any:
    """The value of a text of known length."""
    if kind == ord("!"):
        return error(value.decode(errors="replace"))
    return value[4:] if kind == ord("=") else value  # "txt:" begins a verbatim string
