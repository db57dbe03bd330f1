"""Foreign values beside holds, which end no hold and make no verb fail."""

from __future__ import annotations

import pytest
from redis import Redis

from django_redislock.backends.base import SHARED, Busy, Extension, Grant
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.backends.redis.keys import name_keys
from django_redislock.exceptions import LockError
from django_redislock.testing.driver import LONG, Verbs
from tests.backends.test_damage import NAME, NEIGHBOUR, backend, client, verbs_under

__all__ = ["backend", "client"]  # fixtures


def test_a_foreign_value_beside_a_hold_does_not_end_it(
    backend: RedisLockBackend, client: Redis, key_prefix: str
) -> None:
    verbs = verbs_under(backend, key_prefix)
    first = verbs.claim(NAME, limit=2)
    verbs.hold(first)
    client.set(name_keys(key_prefix, NAME).holds, "foreign")
    granted = [isinstance(verbs.acquire(verbs.claim(NAME, limit=2)), Grant) for _ in range(2)]
    assert granted == [True, False]
    assert first.token in verbs.holders(NAME)


def test_a_stricter_claim_is_no_repeat_of_a_hold_whose_record_was_lost(
    backend: RedisLockBackend, client: Redis, key_prefix: str
) -> None:
    """The hold counts as one of limit 1, but there is another beside it."""
    verbs = verbs_under(backend, key_prefix)
    tokens = ["t1", "t2"]
    for token in tokens:
        verbs.hold(verbs.claim(NAME, token=token, limit=SHARED))
    client.hdel(name_keys(key_prefix, NAME).records, "t1")
    with pytest.raises(LockError, match="looser"):
        verbs.acquire(verbs.claim(NAME, token="t1"))
    assert sorted(verbs.holders(NAME)) == tokens


@pytest.mark.parametrize("here", [True, False], ids=["this process", "another process"])
def test_a_foreign_value_in_place_of_the_index_is_replaced_by_a_hand_over(
    backend: RedisLockBackend, client: Redis, key_prefix: str, here: bool
) -> None:
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME)
    verbs.hold(held)
    turn = verbs.queue_up(verbs.claim(NAME, token="w1"))
    verbs.queue_up(verbs.claim(NAME, token="w2"))
    client.set(name_keys(key_prefix, NAME).listed, "foreign")
    other = RedisLockBackend(backend.config)
    assert Verbs(backend if here else other, None).release(held)
    other.close()
    turn.turn()
    assert [hold.token for hold in backend.list().holds] == ["w1"]


def test_a_foreign_value_in_place_of_the_index_is_replaced_by_a_grant(
    backend: RedisLockBackend, client: Redis, key_prefix: str
) -> None:
    verbs = verbs_under(backend, key_prefix)
    client.set(name_keys(key_prefix, NAME).listed, "foreign")
    held = verbs.claim(NAME)
    verbs.hold(held)
    assert [hold.token for hold in backend.list().holds] == [held.token]


def test_a_release_tells_a_token_that_is_no_text(
    backend: RedisLockBackend, client: Redis, key_prefix: str
) -> None:
    verbs, keys = verbs_under(backend, key_prefix), name_keys(key_prefix, NAME)
    held = verbs.claim(NAME)
    verbs.hold(held)
    verbs.queue_up(verbs.claim(NAME, token="w1"))
    record = client.hget(keys.records, "w1")
    assert record is not None
    client.hset(keys.records, b"\xff", record)
    client.lset(keys.queue, 0, b"\xff")
    assert verbs.release(held)


@pytest.mark.parametrize("milliseconds", [15_000.5, 90_000_000.5])
def test_fractions_of_a_millisecond_make_no_verb_fail(
    backend: RedisLockBackend, client: Redis, key_prefix: str, milliseconds: float
) -> None:
    verbs = verbs_under(backend, key_prefix)
    claims = [verbs.claim(NAME, limit=3) for _ in range(2)]
    for claim in claims:
        verbs.hold(claim)
    sound = verbs.claim(NEIGHBOUR)
    verbs.hold(sound)
    seconds, micros = client.time()
    ends = seconds * 1000 + micros // 1000 + milliseconds
    client.zadd(name_keys(key_prefix, NAME).holds, {claim.token: ends for claim in claims})
    assert isinstance(verbs.acquire(verbs.claim(NAME, limit=1)), Busy)
    renewals = [
        Extension(claim.name, claim.token, 10.0, renewal=True) for claim in (sound, *claims)
    ]
    assert all(isinstance(end, float) for end in verbs.backend.extend_all(renewals))
    assert isinstance(verbs.acquire(claims[0]), Grant)
    assert len(backend.inspect(NAME)[0]) == 2
    assert all(verbs.release(claim) for claim in claims)


@pytest.mark.parametrize("verb", ["release", "cancel", "force_release"])
def test_a_foreign_value_gives_no_turn_twice(
    backend: RedisLockBackend, client: Redis, key_prefix: str, verb: str
) -> None:
    """A turn cannot be taken back, so what stands in the way is found before the first is sent."""
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME)
    verbs.hold(held)
    tokens = ["w1", "w2", "w3"]
    recorders = [verbs.queue_up(verbs.claim(NAME, token=token, limit=2)) for token in tokens]
    client.set(name_keys(key_prefix, NAME).holds, "foreign")
    other = RedisLockBackend(backend.config)
    assert getattr(other, verb)(held.name, held.token) in {True, None}
    other.close()
    for recorder in recorders[:2]:
        recorder.turn()
    assert sorted(verbs.holders(NAME)) == tokens[:2]
    assert verbs.waiting(NAME) == tokens[2:]
    assert not recorders[2].notified


# By the position of the field in a hold: since, began, lease and grant.
@pytest.mark.parametrize("field", [5, 6, 8, 9])
@pytest.mark.parametrize("number", ["999999999999999", f"{7:015}"])
def test_a_damaged_hold_is_shown_with_the_token_that_releases_it(
    backend: RedisLockBackend, client: Redis, key_prefix: str, field: int, number: str
) -> None:
    verbs = verbs_under(backend, key_prefix)
    verbs.hold(verbs.claim(NAME))
    key = name_keys(key_prefix, NAME).hold
    fields = client.get(key).decode().split(" ")
    fields[field] = number
    client.set(key, " ".join(fields), keepttl=True)
    (listed,) = backend.list().holds
    (inspected,), _ = backend.inspect(NAME)
    assert listed.damaged
    assert listed.token == inspected.token
    assert backend.force_release(NAME, listed.token)
    assert not client.exists(key)


@pytest.mark.parametrize("read_before", [False, True])
def test_a_hold_that_ends_after_more_than_a_century_is_damaged(
    backend: RedisLockBackend, client: Redis, key_prefix: str, read_before: bool
) -> None:
    """Its start has no more digits than a time may have."""
    verbs = verbs_under(backend, key_prefix)
    verbs.hold(verbs.claim(NAME))
    key = name_keys(key_prefix, NAME).hold
    token, flags, _, *others = client.get(key).decode().split(" ")
    client.set(key, " ".join([token, flags, "9" * 14, *others]), keepttl=True)
    if read_before:
        assert verbs.is_busy(verbs.claim(NAME)), "the script lists it with another token"
    listed = backend.list()
    assert [hold.damaged for hold in listed.holds] == [True]
    assert listed.total == 1
    (entry,) = backend.entries_of([NAME])
    assert 0 < entry.remaining <= LONG
    assert entry.token == listed.holds[0].token
    assert backend.force_release(NAME, listed.holds[0].token)
    assert not client.exists(key)


@pytest.mark.parametrize("kind", "sp")
def test_a_waiter_whose_channel_is_of_another_kind_is_passed_over(
    backend: RedisLockBackend, client: Redis, key_prefix: str, kind: str
) -> None:
    """Redis 6.2 does not even know the question who listens on a sharded channel."""
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME)
    verbs.hold(held)
    recorder = verbs.queue_up(verbs.claim(NAME, token="w1"))
    records = name_keys(key_prefix, NAME).records
    fields = client.hget(records, "w1").decode().split(" ")
    fields[9] = f"{kind}0"
    client.hset(records, "w1", " ".join(fields))
    assert verbs.release(held)
    assert not verbs.holders(NAME)
    assert not recorder.notified


def test_a_waiter_that_is_twice_in_the_queue_gets_one_turn(
    backend: RedisLockBackend, client: Redis, key_prefix: str
) -> None:
    """Eviction of the records lets a waiter that asks again join the queue once more."""
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME)
    verbs.hold(held)
    readers = [verbs.claim(NAME, token=token, limit=SHARED) for token in ("w1", "w2")]
    recorders = [verbs.queue_up(claim) for claim in readers]
    client.delete(name_keys(key_prefix, NAME).records)
    for claim in reversed(readers):
        verbs.acquire(claim, LONG)
    verbs.release(held)
    fences = [recorder.turn().fence for recorder in recorders]
    assert not any(recorder.notified for recorder in recorders)
    assert sorted(hold.fence for hold in backend.inspect(NAME)[0]) == fences


@pytest.mark.parametrize("damage", ["foreign", "deleted"])
def test_holds_whose_records_were_lost_exclude_others(
    backend: RedisLockBackend, client: Redis, key_prefix: str, damage: str
) -> None:
    """Each counts as a hold of limit 1 until its lease is over."""
    verbs = verbs_under(backend, key_prefix)
    tokens = ["t1", "t2"]
    for token in tokens:
        verbs.hold(verbs.claim(NAME, token=token, limit=SHARED))
    records = name_keys(key_prefix, NAME).records
    client.delete(records)
    if damage == "foreign":
        client.set(records, "foreign")
    assert [verbs.is_busy(verbs.claim(NAME, limit=limit)) for limit in (1, SHARED, 1)] == [True] * 3
    assert sorted(verbs.holders(NAME)) == tokens


def test_a_damaged_hold_is_released_by_the_token_of_an_entry_that_is_not_found_by_its_name(
    backend: RedisLockBackend, client: Redis, key_prefix: str
) -> None:
    """A script does not search all entries of a very large index."""
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME)
    verbs.hold(held)
    listed = name_keys(key_prefix, NAME).listed
    client.zadd(listed, {f"token {number}": 1 for number in range(10_000)})
    client.set(name_keys(key_prefix, NAME).hold, "junk")
    assert backend.force_release(NAME, held.token)
    assert client.zcard(listed) == 10_000
