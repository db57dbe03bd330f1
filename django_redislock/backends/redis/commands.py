"""Commands as bytes. The parts that return again and again are packed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from .keys import bucket_keys, bucket_of, name_keys
from .scripts import Script

__all__ = ["Word", "call", "pack", "tag_of"]

Word: TypeAlias = "str | bytes | int"

# Names and arguments that are longer (characters) are packed anew each time, so that a cache of
# 1,024 of them never takes more than some megabytes.
LONGEST_KEPT = 128


def pack(*words: Word) -> bytes:
    """One command in the Redis protocol. Whatever the pool is set to, names travel as UTF-8."""
    return b"*%d\r\n%b" % (len(words), _packed(words))


def call(script: Script, prefix: str, name: str, token: str, args: Sequence[str | int]) -> bytes:
    """Run a script on the keys of a name."""
    keep = len(name) + len(prefix) <= LONGEST_KEPT
    keys = (_of_name if keep else _of_name.__wrapped__)(prefix, name)
    parts = [_head(script, len(args)), keys, b"$%d\r\n%b\r\n" % (len(token), token.encode())]
    for arg in args:
        # Written out: a function for each word would take longer than all the rest.
        word = b"%d" % arg if isinstance(arg, int) else arg.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


def tag_of(prefix: str, name: str) -> str:
    """With what all keys of the bucket of a name begin."""
    return bucket_keys(prefix, bucket_of(name)).tag


def _packed(words: tuple[Word, ...]) -> bytes:
    return b"".join([_packed_word(word) for word in words])


def _packed_word(word: Word) -> bytes:
    if isinstance(word, bytes):
        return b"$%d\r\n%b\r\n" % (len(word), word)
    part = b"%d" % word if isinstance(word, int) else word.encode()
    return b"$%d\r\n%b\r\n" % (len(part), part)


@lru_cache(maxsize=64)
def _head(script: Script, args: int) -> bytes:
    return b"*%d\r\n%b" % (4 + _KEYS + args, _packed(("EVALSHA", script.sha, _KEYS)))


@lru_cache(maxsize=1024)
def _of_name(prefix: str, name: str) -> bytes:
    return _packed(name_keys(prefix, name))


_KEYS = len(name_keys("", "a"))
