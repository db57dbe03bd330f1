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


def call(script: Script, prefix: str, name: str, token: str, args: Sequence[str]) -> bytes:
    """Run a script on the keys of a name. The arguments are ours, and plain ASCII."""
    keep = len(name) + len(prefix) <= LONGEST_KEPT
    begin = (_begin if keep else _begin.__wrapped__)(script, len(args), prefix, name)
    word = token.encode()
    # As text: to format bytes takes twice as long, and so does a function for each word.
    end = ""
    for arg in args:
        end += f"${len(arg)}\r\n{arg}\r\n"
    return b"%b$%d\r\n%b\r\n%b" % (begin, len(word), word, end.encode("ascii"))


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


@lru_cache(maxsize=1024)
def _begin(script: Script, args: int, prefix: str, name: str) -> bytes:
    """What a call begins with, up to the keys of the name."""
    keys = name_keys(prefix, name)
    head = b"*%d\r\n" % (4 + len(keys) + args)
    return head + _packed(("EVALSHA", script.sha, len(keys), *keys))
