"""Damaged data in Redis, which makes no verb fail.

A damaged key harms its own name only, and that name can be cleared.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from hypothesis import given, settings, strategies as st
from redis import Redis

from django_redislock import lock_backends
from django_redislock.backends.base import SHARED, BaseLockBackend, Entry, Extension, Grant
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.backends.redis.keys import bucket_keys, bucket_of, name_keys
from django_redislock.backends.redis.wakeups.connection import Wakeups
from django_redislock.conf import LockConfig
from django_redislock.figures.meter import Batch
from django_redislock.figures.tallies import Tally
from django_redislock.testing.driver import LONG, Verbs
from tests.support.damage import Chance, damage_some, examples
from tests.support.places import Place

NAME = "order 42"
HIGHEST_FENCE = 2**53


def _neighbour() -> str:
    """Another name of the same bucket."""
    numbers = (f"order {number}" for number in range(1000) if number != 42)
    return next(name for name in numbers if bucket_of(name) == bucket_of(NAME))


NEIGHBOUR = _neighbour()


def nothing(verbs: Verbs) -> None: ...


def single(verbs: Verbs) -> None:
    verbs.hold(verbs.claim(NAME, token="t1"))


def queued(verbs: Verbs) -> None:
    single(verbs)
    verbs.queue_up(verbs.claim(NAME, token="w1"))
    verbs.queue_up(verbs.claim(NAME, token="w2", limit=3))


def several(verbs: Verbs) -> None:
    for token in ("t1", "t2"):
        verbs.hold(verbs.claim(NAME, token=token, limit=3))
    verbs.queue_up(verbs.claim(NAME, token="w1"))
    verbs.queue_up(verbs.claim(NAME, token="w2", limit=SHARED))


def cancelled(verbs: Verbs) -> None:
    verbs.cancel(verbs.claim(NAME, token="t3"), late=LONG)


def everything(verbs: Verbs) -> None:
    """Call each verb, and read everything."""
    backend = verbs.backend
    for limit in (1, 3, SHARED):
        for token in ("t1", "w1", "new"):
            verbs.acquire(verbs.claim(NAME, token=f"{token}{limit}", limit=limit))
    verbs.acquire(verbs.claim(NAME, token="w3"), stay=LONG)
    for token in ("t1", "t2", "w1"):
        verbs.extend(Extension(NAME, token, LONG, detached=True))
    read(backend)
    verbs.cancel(verbs.claim(NAME, token="w2"), late=LONG)
    verbs.cancel(verbs.claim(NAME, token="w3"))
    for token in ("t1", "t2", "w1"):
        verbs.release(verbs.claim(NAME, token=token))
    backend.force_release(NAME, "stranger")


def read(backend: BaseLockBackend) -> None:
    for hold in [*backend.inspect(NAME)[0], *backend.list().holds]:
        assert str(hold.holder).encode()
        assert hold.remaining > 0
    backend.entries(1, 1000)
    backend.look_up([Entry(NAME, token, 1.0) for token in ("t1", "t2", "\x00")])
    backend.look_up(backend.entries_of([NAME, NEIGHBOUR]))
    backend.waited_for()
    backend.tallies()
    backend.minutes()
    list(backend.walk())


def clear(backend: BaseLockBackend) -> None:
    """Release the holds that are shown, and then the waiters that get their turns by that."""
    for _ in range(20):
        shown = backend.inspect(NAME)[0]
        if not shown:
            return
        for hold in shown:
            backend.force_release(hold.name, hold.token)
    pytest.fail(f"it is still held: {shown}")


@pytest.fixture(scope="session")
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def backend(use: Callable[..., object], redis_url: str) -> Iterator[RedisLockBackend]:
    use(redis_url)
    backend = RedisLockBackend(LockConfig(key_prefix="unused"), grant_lease=20)
    yield backend
    backend.close()


STATES = [nothing, single, queued, several, cancelled]


@settings(max_examples=examples(40))
@given(state=st.sampled_from(STATES), seed=st.integers(0, 2**64))
def test_no_verb_fails_and_the_name_can_be_cleared(
    backend: RedisLockBackend, client: Redis, state: Callable[[Verbs], None], seed: int
) -> None:
    chance = Chance(seed)
    prefix = f"damage-{uuid.uuid4().hex[:12]}"
    verbs = verbs_under(backend, prefix)
    backend.waiters.forget()
    neighbour = verbs.claim(NEIGHBOUR, token="n1")
    fence = verbs.hold(neighbour).fence
    state(verbs)
    backend.add_tallies(Batch("batch", {"order *": Tally()}))
    damage_some(client, prefix, chance, spared=NEIGHBOUR)
    read(backend)
    everything(verbs)
    backend.add_tallies(Batch("next", {"order *": Tally()}))
    clear(backend)
    grant = verbs.acquire(verbs.claim(NAME, token="last"))
    assert isinstance(grant, Grant)
    assert fence < grant.fence < HIGHEST_FENCE
    assert verbs.holders(NEIGHBOUR) == ["n1"]
    assert verbs.is_busy(verbs.claim(NEIGHBOUR))
    assert verbs.release(neighbour)
    assert fence < verbs.hold(verbs.claim(NEIGHBOUR)).fence < HIGHEST_FENCE
    client.unlink(*client.scan_iter(match=f"{prefix}:*", count=1000))


def test_a_damaged_hold_is_cleared_by_the_token_that_is_shown(
    backend: BaseLockBackend, client: Redis, key_prefix: str
) -> None:
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME)
    verbs.hold(held)
    client.set(name_keys(key_prefix, NAME).hold, b"\xffjunk")
    assert verbs.is_busy(verbs.claim(NAME))
    (hold,) = backend.list().holds
    assert (hold.name, hold.damaged, hold.holder.what) == (NAME, True, "")
    assert not backend.force_release(NAME, "damaged-of-another-kind")
    assert backend.force_release(NAME, hold.token)
    verbs.hold(verbs.claim(NAME))


def test_a_damaged_hold_is_counted_once(
    backend: BaseLockBackend, client: Redis, key_prefix: str
) -> None:
    verbs = verbs_under(backend, key_prefix)
    verbs.hold(verbs.claim(NAME))
    verbs.hold(verbs.claim(NEIGHBOUR))
    for junk in ("junk", "other junk"):
        client.set(name_keys(key_prefix, NAME).hold, junk)
        assert verbs.is_busy(verbs.claim(NAME))
        assert backend.entries().total == 2
    client.set(name_keys(key_prefix, NAME).hold, "third junk")
    seen = next(entry for entry in backend.entries().entries if entry.name == NAME)
    assert backend.force_release(NAME, seen.token), "the token that the index had is accepted"
    assert backend.entries().total == 1


def test_damaged_keys_without_an_expiry_do_not_stay_for_ever(
    backend: BaseLockBackend, client: Redis, key_prefix: str
) -> None:
    verbs = verbs_under(backend, key_prefix)
    key = name_keys(key_prefix, NAME).hold
    client.rpush(key, "garbage")
    assert verbs.is_busy(verbs.claim(NAME))
    assert 0 < client.pttl(key) <= 60_000
    assert [hold.name for hold in backend.list().holds] == [NAME], "it is listed from now on"


def verbs_under(backend: RedisLockBackend, prefix: str) -> Verbs:
    """The verbs of a backend that uses this key prefix from now on."""
    backend.config = LockConfig(key_prefix=prefix)
    wakeups = backend.wakeups
    assert isinstance(wakeups, Wakeups)
    wakeups._prefix = prefix
    wakeups.ready.clear()  # its channels have the earlier prefix
    wakeups._asked.clear()
    return Verbs(backend, None)


@pytest.mark.parametrize("queued", [1, 2])
@pytest.mark.parametrize("milliseconds", ["0", "00", "3200000000001", "9" * 30])
@pytest.mark.parametrize("field", [7, 8], ids=["lease", "grant"])
def test_a_waiter_with_an_impossible_lease_is_passed_over(
    backend: BaseLockBackend,
    client: Redis,
    key_prefix: str,
    field: int,
    milliseconds: str,
    queued: int,
) -> None:
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME)
    verbs.hold(held)
    tokens = [f"w{number}" for number in range(queued)]
    recorders = [verbs.queue_up(verbs.claim(NAME, token=token)) for token in tokens]
    records = name_keys(key_prefix, NAME).records
    fields = client.hget(records, tokens[0]).decode().split(" ")
    fields[field] = milliseconds
    client.hset(records, tokens[0], " ".join(fields))
    # Released by another process, so that turns arrive one after the other, as messages.
    other = RedisLockBackend(backend.config)
    assert Verbs(other, None).release(held)
    other.close()
    for recorder in recorders[1:]:
        assert recorder.turn()
    assert not recorders[0].notified
    assert verbs.holders(NAME) == tokens[1:]


@pytest.mark.parametrize(
    "times",
    [
        pytest.param("999999999999999 1000", id="a start with too many digits"),
        pytest.param(f"{'9' * 30} 1000", id="a start with far too many digits"),
        pytest.param("4000000000000 3000000000000", id="an end in more than a century"),
    ],
)
def test_a_hold_with_impossible_times_is_damaged(
    backend: BaseLockBackend, client: Redis, key_prefix: str, times: str
) -> None:
    verbs = verbs_under(backend, key_prefix)
    verbs.hold(verbs.claim(NAME))
    verbs.queue_up(verbs.claim(NAME, token="w1"))
    key = name_keys(key_prefix, NAME).hold
    token, flags, _, _, *others = client.get(key).decode().split(" ")
    client.set(key, " ".join([token, flags, times, *others]), keepttl=True)
    verbs.queue_up(verbs.claim(NAME, token="w2"))
    (hold,), waiting = backend.inspect(NAME)
    assert hold.damaged
    assert [one.token for one in waiting] == ["w1", "w2"]


@pytest.mark.parametrize("others", [0, 1])
def test_a_waiter_with_an_impossible_token_gets_no_turn(
    backend: BaseLockBackend, client: Redis, key_prefix: str, others: int
) -> None:
    verbs = verbs_under(backend, key_prefix)
    held = verbs.claim(NAME, limit=1 + others)
    verbs.hold(held)
    keys = name_keys(key_prefix, NAME)
    recorder = verbs.queue_up(verbs.claim(NAME, token="w1"))
    client.lset(keys.queue, 0, "w1 5 7")
    client.hset(keys.records, "w1 5 7", client.hget(keys.records, "w1"))
    assert verbs.release(held)
    assert not recorder.notified


@pytest.mark.parametrize("counter", [b"1e30", b"inf", b"9223372036854775808", b"-5", b"", b"x"])
def test_a_damaged_counter_makes_no_fence_negative_or_smaller(
    backend: BaseLockBackend, client: Redis, key_prefix: str, counter: bytes
) -> None:
    verbs = verbs_under(backend, key_prefix)
    before = verbs.hold(verbs.claim(NEIGHBOUR)).fence
    client.set(bucket_keys(key_prefix, bucket_of(NAME)).fence, counter)
    assert before < verbs.hold(verbs.claim(NAME)).fence < HIGHEST_FENCE


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["garbage", "another type"])
def test_clearlocks_clears_a_damaged_name(
    place: Place, client: Redis, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    verbs = Verbs(lock_backends["default"], None)
    verbs.hold(verbs.claim(NAME))
    key = name_keys(place.prefix, NAME).hold
    client.delete(key)
    if damage == "garbage":
        client.set(key, b"\xffjunk")
    else:
        client.rpush(key, "junk")
    call_command("clearlocks", "--name", NAME, "--noinput")
    assert not client.exists(key)
    verbs.hold(verbs.claim(NAME))
