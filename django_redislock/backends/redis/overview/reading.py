"""Read-only commands, and parsing of replies that may contain values that no script wrote."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from redis.exceptions import ResponseError

from ..commands import Word, pack
from ..wire.replies import Exchanger

__all__ = ["CHUNK", "HIGHEST", "Words", "ask", "ms_of", "pairs", "whole"]

Words: TypeAlias = "tuple[Word, ...]"

# How many entries or records are read at a time. Reading them blocks the server's other clients for
# a fraction of a millisecond.
CHUNK = 500

# Larger scores are damaged: floats could not represent them exactly.
HIGHEST = 2**53


def ask(node: Exchanger, commands: Sequence[Words]) -> list[Any]:
    """Return the replies, empty for a key of another type. Raises any other error reply."""
    if not commands:
        return []
    replies, _ = node.exchange([pack(*command) for command in commands])
    for number, reply in enumerate(replies):
        if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
            replies[number] = b""
        elif isinstance(reply, Exception):
            raise reply
    return replies


def whole(value: Any) -> int:
    """Return a number of a reply, limited to the integers that floats represent exactly."""
    with suppress(TypeError, ValueError, OverflowError):
        return int(min(max(float(value), -HIGHEST), HIGHEST))
    return 0


def ms_of(time: Sequence[Any]) -> int:
    """Convert a reply to ``TIME`` to milliseconds."""
    seconds, microseconds = time
    return int(seconds) * 1000 + int(microseconds) // 1000


def pairs(reply: Sequence[Any] | None) -> list[tuple[str, int]]:
    """Return members and scores: flat in RESP2, pairs in RESP3. Members not in UTF-8 are empty."""
    if reply and isinstance(reply[0], (list, tuple)):
        flat = [part for pair in reply for part in pair]
    else:
        flat = list(reply or ())
    return [
        (_utf_8(member), whole(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)
    ]


def _utf_8(member: bytes) -> str:
    try:
        return member.decode()
    except UnicodeDecodeError:
        return ""
