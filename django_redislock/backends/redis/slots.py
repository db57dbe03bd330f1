"""Cluster slots of the buckets, and the addresses of the nodes that own them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.crc import key_slot
from redis.exceptions import ClusterDownError
from redis.utils import str_if_bytes

from .keys import BUCKETS, TAGS

__all__ = ["SLOTS", "Address", "buckets_of", "owners"]

# The slot of each bucket.
SLOTS = tuple(key_slot(str(tag).encode()) for tag in TAGS)

_BUCKETS = {str(tag).encode(): bucket for bucket, tag in enumerate(TAGS)}

# The first match is the first key: it comes before all names and other texts of a command.
_TAG = re.compile(rb":\{(\d{1,3})\}:")


class Address(NamedTuple):
    """Where a node listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """The address as it is written in a location."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def buckets_of(commands: Sequence[bytes]) -> list[int]:
    """The bucket of each command. A command without a key uses that of the next command."""
    buckets: list[int] = []
    bucket = 0
    for command in reversed(commands):
        found = _TAG.search(command)
        if found is not None:
            bucket = _BUCKETS.get(found[1], 0)
        buckets.append(bucket)
    buckets.reverse()
    return buckets


def owners(reply: Any, asked: Address) -> list[Address | None]:
    """The owner of each bucket, from the reply of the node ``asked`` to ``CLUSTER SLOTS``.

    Raises ``ClusterDownError`` for a reply that names none.
    """
    if isinstance(reply, Exception):
        raise reply
    found: list[Address | None] = [None] * BUCKETS
    for first, last, primary, *_ in reply or ():
        host, port = primary[:2]
        # If a node does not know its own name, or hides it, use the address we connected to.
        name = str_if_bytes(host) if host else ""
        address = Address(name if name not in {"", "?"} else asked.host, int(port))
        for bucket, slot in enumerate(SLOTS):
            if int(first) <= slot <= int(last):
                found[bucket] = address
    if not any(found):
        raise ClusterDownError("No slot of the Cluster is served.")
    return found
