"""Keys of a name in Redis: ``prefix:{tag}:kind:name``.

Names spread over sixteen buckets. The hash tag of a bucket puts all keys of a name, the indexes of
live locks and of queues, and the fence counter into one Cluster slot, so that one script may touch
them all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

__all__ = [
    "BUCKETS",
    "TAGS",
    "BucketKeys",
    "NameKeys",
    "bucket_keys",
    "bucket_of",
    "figure_keys",
    "minutes_key",
    "name_keys",
]

# The smallest number whose slot (CRC16 mod 16384) falls into the middle of each sixteenth of the
# slots: masters own contiguous ranges, so each gets its share of the buckets. Never change these:
# two releases that disagree would lock different keys.
TAGS = (18, 3, 61, 58, 19, 2, 60, 59, 102, 1, 63, 49, 103, 0, 62, 48)

BUCKETS = len(TAGS)


class BucketKeys(NamedTuple):
    """The keys that the names of one bucket share; they alone have no expiry."""

    tag: str
    listed: str
    waited: str
    fence: str


class NameKeys(NamedTuple):
    """The keys of one name, in the order in which the scripts expect them."""

    hold: str
    holds: str
    records: str
    queue: str
    listed: str
    waited: str
    fence: str


@lru_cache(maxsize=64)
def bucket_keys(prefix: str, bucket: int) -> BucketKeys:
    tag = f"{prefix}:{{{TAGS[bucket]}}}"
    return BucketKeys(tag, f"{tag}:index", f"{tag}:waited", f"{tag}:fence")


def name_keys(prefix: str, name: str) -> NameKeys:
    tag, listed, waited, fence = bucket_keys(prefix, bucket_of(name))
    return NameKeys(
        f"{tag}:hold:{name}",
        f"{tag}:holds:{name}",
        f"{tag}:records:{name}",
        f"{tag}:queue:{name}",
        listed,
        waited,
        fence,
    )


def figure_keys(prefix: str, slots: int) -> list[str]:
    """The keys of the figures, one for each time slot, used in rotation."""
    tag = bucket_keys(prefix, 0).tag
    return [f"{tag}:metrics:{turn}" for turn in range(slots)]


def minutes_key(prefix: str) -> str:
    """The key of the figures of the last minutes."""
    return f"{bucket_keys(prefix, 0).tag}:metrics:minutes"


def bucket_of(name: str) -> int:
    """The bucket of a name: CRC-32 of its UTF-8, the same in every process and release."""
    return crc32(name.encode()) % BUCKETS
