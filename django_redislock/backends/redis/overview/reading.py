"""Commands that only read, and replies that may contain what no script wrote."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from redis.exceptions import ResponseError

from ..commands import Word, pack
from ..wire.replies import Exchanger

__all__ = ["CHUNK", "HIGHEST", "Words", "ask", "ms_of", "pairs", "whole"]

Words: TypeAlias = "tuple[Word, ...]"

# How many entries or records are asked for at a time: the server is kept from others for the
# fraction of a millisecond that it takes to read them.
CHUNK = 500

# Larger scores are damage; as floats they would not be exact.
HIGHEST = 2**53


def ask(node: Exchanger, commands: Sequence[Words]) -> list[Any]:
    """The replies; an empty one for a key of another type. Raises what is an error otherwise."""
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
    """A number of a reply, in the range of whole numbers that floats tell apart."""
    with suppress(TypeError, ValueError, OverflowError):
        return int(min(max(float(value), -HIGHEST), HIGHEST))
    return 0


def ms_of(time: Sequence[Any]) -> int:
    """Milliseconds, of a reply to ``TIME``."""
    seconds, microseconds = time
    return int(seconds) * 1000 + int(microseconds) // 1000


def pairs(reply: Sequence[Any] | None) -> list[tuple[str, int]]:
    """Members with their scores: flat in RESP2, in pairs in RESP3. What is not UTF-8 is empty."""
    if reply and isinstance(reply[0], (list, tuple)):
        flat = [part for pair in reply for part in pair]
    else:
        flat = list(reply or ())
    return [
        (_utf_8(member), whole(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)
    ]


def _utf_8(member: bytes | str) -> str:
    try:
        return member.decode() if isinstance(member, bytes) else member
    except UnicodeDecodeError:
        return ""
