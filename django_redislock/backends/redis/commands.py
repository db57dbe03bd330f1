"""Redis commands as bytes. Recurring parts are packed once."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from .keys import name_keys
from .scripts import Script

__all__ = ["Word", "call", "pack", "packed"]

Word: TypeAlias = "str | bytes | int"

# Longer texts (in characters) are packed each time instead of cached, so that the cache of 1,024
# entries takes at most a few megabytes.
LONGEST_KEPT = 128


def pack(*words: Word) -> bytes:
    """One command in the Redis protocol. Names are always sent as UTF-8."""
    return b"*%d\r\n%b" % (len(words), b"".join(map(packed, words)))


def call(script: Script, prefix: str, name: str, token: str, args: tuple[bytes, ...]) -> bytes:
    """Run a script on the keys of a name, with packed arguments."""
    word = token.encode()
    keep = len(name) + len(prefix) <= LONGEST_KEPT
    begin = (_begin if keep else _begin.__wrapped__)(script, prefix, name, len(word), len(args))
    return b"".join((begin, word, b"\r\n", *args))


def packed(word: Word) -> bytes:
    """One word of a command."""
    if isinstance(word, bytes):
        return b"$%d\r\n%b\r\n" % (len(word), word)
    part = b"%d" % word if isinstance(word, int) else word.encode()
    return b"$%d\r\n%b\r\n" % (len(part), part)


@lru_cache(maxsize=1024)
def _begin(script: Script, prefix: str, name: str, token: int, args: int) -> bytes:
    """The beginning of a call with a token of this length (in bytes), up to the token itself."""
    keys = name_keys(prefix, name)
    verb = packed("EVALSHA") + packed(script.sha) + packed(len(keys))
    words = verb + b"".join(map(packed, keys))
    return b"*%d\r\n%b$%d\r\n" % (4 + len(keys) + args, words, token)
