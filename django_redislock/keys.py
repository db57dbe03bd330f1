"""Where a name lives in Redis: ``prefix:{tag}:kind:name``.

Names spread over sixteen buckets. The hash tag of a bucket puts all keys of a name, the index of
live locks and the fence counter into one Cluster slot, so that one script may touch them all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

__all__ = [
    "BUCKETS",
    "BucketKeys",
    "NameKeys",
    "bucket_keys",
    "check_name",
    "name_keys",
    "slot_keys",
]

# The smallest number whose slot (CRC16 mod 16384) falls into the middle of each sixteenth of the
# slots: masters own contiguous ranges, so each gets its share of the buckets. Never change these:
# two releases that disagree would lock different keys.
_TAGS = (18, 3, 61, 58, 19, 2, 60, 59, 102, 1, 63, 49, 103, 0, 62, 48)

BUCKETS = len(_TAGS)


class BucketKeys(NamedTuple):
    """The keys that the names of one bucket share; they alone have no expiry."""

    tag: str
    listed: str
    fence: str


class NameKeys(NamedTuple):
    """The keys of one name, in the order in which the scripts expect them."""

    alone: str
    holds: str
    records: str
    queue: str
    listed: str
    fence: str


def check_name(name: str) -> str:
    """Return ``name`` if it can name a lock, else raise ``ValueError`` or ``TypeError``."""
    if not isinstance(name, str):
        raise TypeError(f"A lock's name must be a string, not {name!r}; write str(...) around it.")
    if not name:
        raise ValueError("A lock's name must not be empty.")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"A lock's name must be valid Unicode, not {name!r}.") from None
    return name


@lru_cache(maxsize=64)
def bucket_keys(prefix: str, bucket: int) -> BucketKeys:
    tag = f"{prefix}:{{{_TAGS[bucket]}}}"
    return BucketKeys(tag, f"{tag}:index", f"{tag}:fence")


@lru_cache(maxsize=2048)
def name_keys(prefix: str, name: str) -> NameKeys:
    tag, listed, fence = bucket_keys(prefix, bucket_of(name))
    return NameKeys(
        f"{tag}:alone:{name}",
        f"{tag}:holds:{name}",
        f"{tag}:records:{name}",
        f"{tag}:queue:{name}",
        listed,
        fence,
    )


def slot_keys(prefix: str, slots: int) -> list[str]:
    """The keys of the figures, one for each slot of time; they take turns."""
    tag = bucket_keys(prefix, 0).tag
    return [f"{tag}:metrics:{turn}" for turn in range(slots)]


def bucket_of(name: str) -> int:
    """The bucket of a name: CRC-32 of its UTF-8, the same in every process and release."""
    return crc32(name.encode()) % BUCKETS
