"""Names of the keys of the Redis backend, and their slots."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from django_redislock.backends.redis.keys import BUCKETS, bucket_keys, bucket_of, name_keys
from django_redislock.names import check_name


def test_the_keys_of_a_name_never_change() -> None:
    """Two releases that disagree would lock different keys."""
    assert name_keys("lock", "order:42") == (
        "lock:{49}:hold:order:42",
        "lock:{49}:holds:order:42",
        "lock:{49}:records:order:42",
        "lock:{49}:queue:order:42",
        "lock:{49}:index",
        "lock:{49}:waited",
        "lock:{49}:fence",
    )
    assert bucket_of("größe") == 9


def test_all_keys_of_a_name_share_a_slot_and_buckets_share_the_cluster() -> None:
    for name in ("order:42", "{a}", "}", "a{b}c"):
        assert len({key_slot(key.encode()) for key in name_keys("lock", name)}) == 1
    slots = [key_slot(bucket_keys("lock", bucket).fence.encode()) for bucket in range(BUCKETS)]
    assert sorted(slot * BUCKETS // 16384 for slot in slots) == list(range(BUCKETS))


def test_names_spread_over_all_buckets() -> None:
    counts = [0] * BUCKETS
    for number in range(1600):
        counts[bucket_of(f"order:{number}")] += 1
    assert 60 < min(counts) <= max(counts) < 140


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_an_invalid_name_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="A lock's name must"):
        check_name(name)
