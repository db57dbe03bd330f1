"""Keys of the Redis backend, and their expiry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis

from django_redislock import lock, lock_backends
from django_redislock.backends.base import Busy, Claim, Extension, Holder
from django_redislock.backends.redis.keys import bucket_keys, bucket_of, name_keys
from django_redislock.testing.driver import LONG, SHORT, Recorder, Verbs, outlive
from tests.support.fixtures import UsePlace
from tests.support.places import Place
from tests.support.tries import best_of

WITHOUT_EXPIRY = (b":index", b":waited", b":fence")


def keys_of(client: Redis, prefix: str) -> set[bytes]:
    return set(client.scan_iter(match=f"{prefix}:*", count=1000))


def without_expiry(client: Redis, prefix: str) -> set[bytes]:
    return {key for key in keys_of(client, prefix) if client.pttl(key) == -1}


@pytest.fixture
def verbs(place: Place) -> Verbs:
    return Verbs(lock_backends["default"], None)


@pytest.fixture
def client(place: Place) -> Iterator[Any]:
    with place.client() as client:
        yield client


def names_of_bucket(bucket: int, number: int) -> list[str]:
    found: list[str] = []
    candidate = 0
    while len(found) < number:
        if bucket_of(f"name {candidate}") == bucket:
            found.append(f"name {candidate}")
        candidate += 1
    return found


def test_every_key_expires_but_those_of_a_bucket(place: Place, client: Any, verbs: Any) -> None:
    held, waiting, longer = verbs.claim("a", lease=3600), verbs.claim("a"), verbs.claim("a")
    verbs.hold(held)
    verbs.queue_up(waiting, stay=60)
    verbs.queue_up(longer, stay=7200)
    verbs.cancel(verbs.claim("b"), late=LONG)
    for key in without_expiry(client, place.prefix):
        assert key.endswith(WITHOUT_EXPIRY)
    hold, _, records, queue, *_ = name_keys(place.prefix, "a")
    assert 3_500_000 < client.pttl(hold) <= 3_600_000
    for key, least in ((records, 7200), (queue, 7200)):
        assert least * 1000 < client.pttl(key) <= (least + 61) * 1000


def test_an_uncontended_hold_is_one_key_that_ends_with_its_lease(
    place: Place, client: Any, verbs: Any
) -> None:
    held = verbs.claim("a", lease=60)
    grant = verbs.hold(held)
    assert isinstance(verbs.acquire(verbs.claim("a")), Busy)
    verbs.backend.extend(Extension("a", held.token, 30))
    own = {key for key in keys_of(client, place.prefix) if not key.endswith(WITHOUT_EXPIRY)}
    assert own == {name_keys(place.prefix, "a").hold.encode()}
    (hold,) = verbs.backend.inspect("a")[0]
    assert hold.fence == grant.fence
    assert abs(client.pttl(name_keys(place.prefix, "a").hold) - hold.remaining * 1000) < 10_000


def test_a_hold_that_ends_during_a_script_leaves_no_key_for_ever(
    place: Place, client: Any, verbs: Any
) -> None:
    """The lease may end between the start of the script and its look at the clock."""
    held = verbs.claim("a")
    grant = verbs.hold(held)
    key = name_keys(place.prefix, "a").hold
    token, flags, granted, term, record = client.get(key).split(b" ", 4)
    over = int(granted) - int(term) - 5
    client.set(key, b" ".join([token, flags, b"%d" % over, term, record]), px=10_000)
    verbs.cancel(verbs.claim("a"))
    assert all(key.endswith(WITHOUT_EXPIRY) for key in without_expiry(client, place.prefix))
    assert verbs.hold(verbs.claim("a")).fence > grant.fence


def test_the_keys_last_as_long_as_the_longest_of_several_holds(
    place: Place, client: Any, verbs: Any
) -> None:
    long, short = verbs.claim(limit=2, lease=3600), verbs.claim(limit=2, lease=1)
    verbs.hold(long)
    verbs.hold(short)
    _, holds, records, *_ = name_keys(place.prefix, "a")
    verbs.extend(Extension("a", short.token, 2))
    assert client.pttl(holds) > 3_500_000
    assert client.pttl(records) > 3_500_000
    verbs.extend(Extension("a", short.token, 7200))
    assert client.pttl(holds) > 7_100_000
    assert client.pttl(records) > 7_100_000


@pytest.mark.parametrize("token", ["cancelled", "slot", "lowest", "kept", "claims"])
def test_a_token_may_look_like_one_of_the_other_fields(verbs: Any, token: str) -> None:
    """Users may choose any token, so other stored fields must not be mistaken for one."""
    named, other = verbs.claim(token=token, limit=2), verbs.claim(limit=2)
    verbs.hold(named)
    verbs.hold(other)
    verbs.queue_up(verbs.claim(token="w"))
    verbs.cancel(verbs.claim(token="late"), late=LONG)
    assert verbs.is_busy(verbs.claim(token="late", limit=2))
    holds, _ = verbs.backend.inspect("a")
    assert [(hold.token, hold.damaged) for hold in holds] == [(token, False), (other.token, False)]
    assert verbs.release(named)
    assert verbs.is_busy(verbs.claim(token="late", limit=2)), "it is still cancelled"


def test_cancelled_claims_are_recorded_for_a_limited_time(
    place: Place, client: Any, verbs: Any
) -> None:
    records, now = name_keys(place.prefix, "a").records, client.time()[0] * 1000
    old = f"1 over {now + 10**9} before-the-clock-was-set-back {now + 30_000} kept"
    client.hset(records, "cancelled claims", old)
    verbs.cancel(verbs.claim(token="new"), late=LONG)
    noted = client.hget(records, "cancelled claims").decode().split()
    assert noted[::2] == [str(now + 30_000), noted[2]]
    assert noted[1::2] == ["kept", "new"]
    assert verbs.is_busy(verbs.claim(token="kept"))
    client.hset(records, "cancelled claims", "damage")
    verbs.cancel(verbs.claim(token="new"), late=LONG)
    assert client.hget(records, "cancelled claims").decode().split()[1:] == ["new"]


def test_thousands_of_cancelled_claims_do_not_slow_the_server_down(
    place: Place, client: Any, verbs: Any
) -> None:
    """Many waiting tasks may be cancelled within a minute."""
    records, now = name_keys(place.prefix, "a").records, client.time()[0] * 1000
    marks = " ".join(f"{now + 30_000} {number:032}" for number in range(10_000))
    client.hset(records, "cancelled claims", marks)

    def cancel_and_ask(attempt: int) -> float:
        began = time.monotonic()
        verbs.cancel(verbs.claim(), late=LONG)
        claim = verbs.claim()
        verbs.hold(claim)
        took = time.monotonic() - began
        verbs.release(claim)
        return took

    assert best_of(cancel_and_ask, 0.1) < 0.1


def test_a_queue_does_not_shorten_the_time_of_cancelled_claims(
    place: Place, client: Any, verbs: Any
) -> None:
    verbs.hold(verbs.claim())
    verbs.cancel(verbs.claim(token="late"), late=3600)
    verbs.queue_up(verbs.claim(), stay=60)
    assert client.pttl(name_keys(place.prefix, "a").records) > 3_500_000


@pytest.mark.parametrize("lost", ["queue", "records"])
def test_a_deleted_queue_is_created_again_with_an_expiry(
    place: Place, client: Any, verbs: Any, lost: Any
) -> None:
    held = verbs.claim()
    verbs.hold(held)
    verbs.queue_up(verbs.claim())
    client.delete(getattr(name_keys(place.prefix, "a"), lost))
    ear = verbs.queue_up(verbs.claim())
    assert {key for key in without_expiry(client, place.prefix) if b":a" in key} == set()
    assert verbs.release(held)
    assert ear.turn()


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("wait", [0, 0.05])
def test_a_released_lock_leaves_only_the_keys_of_its_bucket(
    place: Place, client: Any, wait: float, limit: int
) -> None:
    with ExitStack() as held:
        for _ in range(limit):
            held.enter_context(lock("a", limit=limit))
        assert not lock("a", limit=limit).acquire(wait=wait)
    left = keys_of(client, place.prefix)
    assert {key for key in left if not key.endswith(WITHOUT_EXPIRY)} == set()
    assert client.zcard(bucket_keys(place.prefix, bucket_of("a")).listed) == 0


def test_a_wait_that_ends_leaves_only_the_hold(place: Place, client: Any, verbs: Any) -> None:
    waiting = verbs.claim("a")
    verbs.hold(verbs.claim("a"))
    verbs.queue_up(waiting)
    verbs.cancel(waiting)
    left = keys_of(client, place.prefix)
    own = {key for key in left if not key.endswith(WITHOUT_EXPIRY)}
    assert own == {name_keys(place.prefix, "a").hold.encode()}
    assert client.zcard(bucket_keys(place.prefix, bucket_of("a")).waited) == 0


@pytest.mark.parametrize("records", [False, True], ids=["of a free name", "of a contended name"])
def test_the_index_is_swept_of_holds_that_ended_by_themselves(
    place: Place, client: Any, verbs: Any, records: bool
) -> None:
    first, *others = names_of_bucket(3, 100)
    for name in others:
        verbs.hold(verbs.claim(name, lease=SHORT))
    outlive()
    listed = bucket_keys(place.prefix, 3).listed
    assert client.zcard(listed) > 0
    assert verbs.backend.list().total == 0
    client.zadd(listed, {"foreign entry": float("inf")})
    if records:
        verbs.cancel(verbs.claim(first), late=LONG)
    # A grant sweeps if the clock's milliseconds are a multiple of 128, so chance is in it.
    for _ in range(2000):
        claim = verbs.claim(first)
        verbs.hold(claim)
        verbs.release(claim)
        if client.zcard(listed) == 0:
            return
    pytest.fail(f"{client.zcard(listed)} entries are left in the index")


def test_pages_have_no_gaps_when_leases_end_at_the_same_time(
    place: Place, client: Any, verbs: Any
) -> None:
    """The test sets the ends, so that many are in the same millisecond."""
    seconds, _ = client.time()
    ends = {}
    for number in range(120):
        name, end = f"name {number}", (seconds + 1000 + number // 40) * 1000
        claim = Claim(name, f"token-{number:03}", 1, 2000, Holder(what=name).pack())
        verbs.hold(claim)
        listed = bucket_keys(place.prefix, bucket_of(name)).listed
        client.zadd(listed, {f"{claim.token} {name}": end})
        ends[name] = end
    for size in (1, 7, 50, 200):
        pages = [verbs.backend.list(start, start + size) for start in range(0, 120, size)]
        names = [hold.name for page in pages for hold in page.holds]
        assert sorted(names) == sorted(ends)
        assert [ends[name] for name in names] == sorted(ends.values())
    assert verbs.backend.list(120, 200) == ([], 120)
    assert verbs.backend.list(0, 0) == ([], 120)


def test_a_holder_of_a_newer_release_is_read(place: Place, client: Any, verbs: Any) -> None:
    """Processes of two releases share their locks during a rolling deploy."""
    known = json.loads(Holder(host="h", what="w").pack()) | {"mood": "new"}
    verbs.hold(Claim("a", "t", 1, LONG, json.dumps(known)))
    assert verbs.backend.inspect("a")[0][0].holder == Holder(host="h", what="w")


def test_two_prefixes_do_not_share_locks(use: UsePlace, redis_url: str) -> None:
    use(redis_url)
    with lock("a"):
        use(redis_url)
        with lock("a", wait=0):
            assert lock_backends["default"].list().total == 1


def test_a_listing_has_the_term_of_the_first_lease_after_a_hand_over(
    use: UsePlace, redis_url: str
) -> None:
    use(redis_url, entry={"OPTIONS": {"grant_lease": 20}})
    verbs = Verbs(lock_backends["default"], None)
    held, waiting = verbs.claim(), verbs.claim()

    def terms() -> list[float | None]:
        holds, _queue = verbs.backend.inspect("a")
        return [one.term for one in (*holds, *verbs.backend.list().holds)]

    verbs.hold(held)
    assert terms() == [None, None]
    recorder: Recorder = verbs.queue_up(waiting)
    verbs.release(held)
    recorder.turn()
    assert terms() == [20.0, 20.0]
    verbs.extend(Extension("a", waiting.token, waiting.lease))
    assert terms() == [None, None]
