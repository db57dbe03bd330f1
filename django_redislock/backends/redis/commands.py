"""Commands as bytes. Those of a lock that is taken again and again are packed but once."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TypeAlias

from ...keys import bucket_keys, bucket_of, name_keys
from .scripts import Script

__all__ = ["Word", "call", "pack", "tag_of"]

Word: TypeAlias = "str | bytes | int"

# Stands for the token in a command that is kept.
_PLACE = secrets.token_hex(16)


def pack(*words: Word) -> bytes:
    """One command in the Redis protocol. Whatever the pool is set to, names travel as UTF-8."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)])


def call(
    script: Script,
    prefix: str,
    name: str,
    token: str,
    args: tuple[Word, ...],
    *,
    gone: bool,
    keep: bool,
) -> bytes:
    """Run a script on the keys of a name; with ``gone``, also on the one that marks the token.

    What is likely to be sent again with another token is worth to ``keep``.
    """
    if keep and len(token) == len(_PLACE):
        return token.encode().join(_around_token(script, prefix, name, args, gone))
    return _packed_call(script, prefix, name, token, args, gone)


def tag_of(prefix: str, name: str) -> str:
    """With what all keys of the bucket of a name begin."""
    return bucket_keys(prefix, bucket_of(name)).tag


@lru_cache(maxsize=1024)
def _around_token(
    script: Script, prefix: str, name: str, args: tuple[Word, ...], gone: bool
) -> list[bytes]:
    return _packed_call(script, prefix, name, _PLACE, args, gone).split(_PLACE.encode())


def _packed_call(
    script: Script, prefix: str, name: str, token: str, args: tuple[Word, ...], gone: bool
) -> bytes:
    keys: tuple[str, ...] = name_keys(prefix, name)
    if gone:
        keys = (*keys, f"{tag_of(prefix, name)}:gone:{token}")
    return pack("EVALSHA", script.sha, len(keys), *keys, token, name, *args)
