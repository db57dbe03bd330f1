"""Damaged values in Redis: errors are LockErrors, and the name can be cleared."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from django_redislock import LockError, LockUnavailable, lock, lock_backends
from tests.known_faults.witness import give_up
from tests.support.commands import output_of
from tests.support.places import Place

LEASE = 60

HUGE = [b"", b"garbage", b"\xff\xfe", b"[1]", b"{}", b"1e30", b"inf", b"9223372036854775808", b"-1"]


def another_type(client: Redis, key: bytes) -> None:
    kind = client.type(key)
    client.delete(key)
    if kind == b"list":
        client.set(key, "garbage")
    else:
        client.rpush(key, "garbage")


def each_value(change: Callable[[bytes], bytes]) -> Callable[[Redis, bytes], None]:
    """Damage each value of a key, and keep its type and its expiry."""

    def damage(client: Redis, key: bytes) -> None:
        kind = client.type(key)
        if kind == b"string":
            client.set(key, change(client.get(key) or b""), keepttl=True)
        elif kind == b"hash":
            for field, value in client.hgetall(key).items():
                client.hset(key, field, change(value))
        elif kind == b"list":
            for place, member in enumerate(client.lrange(key, 0, -1)):
                client.lset(key, place, change(member))
        elif kind == b"zset":
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zrem(key, member)
                client.zadd(key, {change(member): score})

    return damage


def scores(score: float) -> Callable[[Redis, bytes], None]:
    def damage(client: Redis, key: bytes) -> None:
        if client.type(key) == b"zset":
            client.zadd(key, dict.fromkeys(client.zrange(key, 0, -1), score), xx=True)

    return damage


DAMAGES: dict[str, Callable[[Redis, bytes], None]] = {
    "another type": another_type,
    "half": each_value(lambda value: value[: len(value) // 2]),
    "one byte less": each_value(lambda value: value[:-1]),
    "a byte that is no text": each_value(lambda value: value[:-2] + b"\xff" + value[-2:]),
    "no blanks": each_value(lambda value: value.replace(b" ", b"")),
    "more": each_value(lambda value: value + b" more"),
    "scores of inf": scores(float("inf")),
    "scores of -inf": scores(float("-inf")),
    **{f"all {value!r}": each_value(lambda _, value=value: value) for value in HUGE},
}


def use(name: str, wrong: list[str]) -> None:
    """Call the usual verbs for a name, and note forbidden results."""
    backend = lock_backends["default"]

    def attempt(what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except LockUnavailable as error:
            wrong.append(f"{what}: {error}")
        except LockError:
            pass
        except Exception as error:  # noqa: BLE001 - it is what the test looks for
            wrong.append(f"{what}: {error!r}")

    handle = lock(name, lease=LEASE)
    attempt("acquire", lambda: handle.acquire(wait=0))
    if handle.held and not 0 < handle.fence < 2**53:
        wrong.append(f"a fence of {handle.fence}")
    attempt("inspect", lambda: backend.inspect(name))
    attempt("list", backend.list)
    waiter = lock(name, lease=LEASE)
    attempt("wait", lambda: waiter.acquire(wait=0.01))
    give_up(waiter)
    if handle.held:
        attempt("extend", handle.extend)
        attempt("release", handle.release)


def remove_all(client: Redis, place: Place) -> None:
    for key in client.scan_iter(match=f"*{place.prefix}*", count=1000):
        client.delete(key)


def prepared(client: Redis, place: Place, holders: int, name: str) -> list[bytes]:
    """Let this many hold the name and nothing else be held; return all keys of the place."""
    remove_all(client, place)
    for _ in range(holders):
        held = lock(name, lease=LEASE, renew=False, limit=holders)
        held.acquire()
        held.detach()
    return sorted(client.scan_iter(match=f"*{place.prefix}*", count=1000))


def clear(name: str, wrong: list[str]) -> None:
    """Clear the name by the command, and take it."""
    try:
        output_of("clearlocks", name=[name], interactive=False)
    except Exception as error:  # noqa: BLE001 - it is what the test looks for
        wrong.append(f"clearlocks: {error!r}")
        return
    handle = lock(name, lease=LEASE)
    try:
        if not handle.acquire(wait=0):
            wrong.append("it is busy after it was cleared")
    except LockError as error:
        wrong.append(f"acquire after it was cleared: {error}")
    give_up(handle)


@pytest.mark.usefixtures("witness")
@pytest.mark.parametrize("holders", [1, 2])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_value_harms_its_own_name_only(
    place: Place, holders: int, damage: Callable[[Redis, bytes], None]
) -> None:
    """Damage each key in turn, including those that the names of a bucket share."""
    wrong = []
    with place.client() as client:
        for index in range(len(prepared(client, place, holders, "a"))):
            complaints: list[str] = []
            key = prepared(client, place, holders, "a")[index]
            damage(client, key)
            use("a", complaints)
            use("another", complaints)
            clear("a", complaints)
            wrong += [f"{key!r}: {one}" for one in complaints]
    assert wrong == [], "\n".join(wrong)
