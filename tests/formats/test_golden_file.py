"""Golden file of format 1, which must be read while its releases may run (stored-data.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_redislock.backends.base import Busy, Claim, Holder
from django_redislock.backends.redis import RedisLockBackend
from django_redislock.backends.redis.keys import bucket_of, name_keys
from django_redislock.backends.redis.overview import hour
from django_redislock.backends.redis.records import message
from django_redislock.conf import LockConfig
from django_redislock.figures.families import OTHER
from django_redislock.testing.driver import LONG, Verbs

GOLDEN = json.loads((Path(__file__).parent / "format-1.json").read_text(encoding="utf-8"))


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def verbs(client: Redis, place: Any) -> Iterator[Verbs]:
    """The verbs of a backend whose server has the data of the golden file."""
    for key, value in GOLDEN["keys"].items():
        name = key.replace("lock:", f"{place.prefix}:", 1)
        if isinstance(value, str):
            client.set(name, value)
        elif isinstance(value, dict):
            client.hset(name, mapping=value)
        elif ":queue:" in key:
            client.rpush(name, *value)
        else:
            client.zadd(name, dict(value))
        if not name.endswith(("index", "waited", "fence")):
            client.expire(name, 600)
    backend = RedisLockBackend(LockConfig(key_prefix=place.prefix), grant_lease=20)
    yield Verbs(backend, None)
    backend.close()


def test_the_golden_file_has_the_keys_of_its_names() -> None:
    for name in ("order:42", "api"):
        assert set(name_keys("lock", name)) & set(GOLDEN["keys"])
    assert bucket_of("order:42") == 11
    assert name_keys("lock", "order:42").hold in GOLDEN["keys"]


def test_a_hold_and_its_queue_are_read(verbs: Verbs) -> None:
    (hold,), (first, second) = verbs.backend.inspect("order:42")
    assert (hold.token, hold.fence, hold.limit, hold.lease) == ("token-a", 1795643949004493, 1, 10)
    assert (hold.since.timestamp(), hold.waiters) == (1795643940.001, 2)
    assert hold.began is not None
    assert hold.began.timestamp() == 1795643930.002
    assert (hold.detached, hold.damaged) == (False, False)
    assert hold.holder == Holder(
        host="web-1", pid=7, thread="MainThread", what="shop.views.pay", label="größe",
        started=99, renews_for=60.0, owner="7-1", group="g1",
    )  # fmt: skip
    assert (first.token, first.limit, first.holder) == ("token-b", 1, Holder(host="web-2", pid=8))
    assert (second.token, second.limit) == ("token-c", 3)
    assert [one[:2] for one in verbs.backend.waited_for().names] == [("order:42", 2)]


def test_several_holds_are_read_even_of_a_later_release(verbs: Verbs) -> None:
    holds = {hold.token: hold for hold in verbs.backend.list().holds}
    assert sorted(holds) == ["token-a", "token-d", "token-e"]
    assert [holds[f"token-{one}"].detached for one in "ade"] == [False, True, False]
    assert holds["token-e"].holder == Holder(host="web-1", pid=7)
    assert not any(hold.damaged for hold in holds.values())


def test_holders_of_the_golden_file_exclude_and_hand_over(
    verbs: Verbs, client: Redis, place: Any
) -> None:
    busy = verbs.acquire(verbs.claim("order:42"))
    assert isinstance(busy, Busy)
    assert busy.holder == Holder(host="web-1", pid=7, thread="MainThread", what="shop.views.pay",
                                 label="größe", started=99, renews_for=60.0, owner="7-1",
                                 group="g1")  # fmt: skip
    assert verbs.is_busy(verbs.claim("order:42", token="token-x")), "it was cancelled"
    assert verbs.is_busy(verbs.claim("api", limit=2))
    recorder = verbs.queue_up(verbs.claim("order:42", token="token-d"))
    assert verbs.release(verbs.claim("order:42", token="token-a"))
    # The processes of the golden file do not listen any more, so they are passed over.
    assert recorder.turn().fence > 1795643949004493
    assert verbs.release(verbs.claim("api", token="token-d"))
    record = client.hget(name_keys(place.prefix, "api").records, "token-e")
    assert "later fields {" in record


def test_fields_of_a_later_release_are_kept(verbs: Verbs, client: Redis, place: Any) -> None:
    """A renewal by this release keeps fields of a later one in the record."""
    key = name_keys(place.prefix, "order:42").hold
    line = GOLDEN["keys"]["lock:{49}:hold:order:42"]
    client.set(key, line.replace(" 110 ", " 1107 ").replace(" {", " later {", 1), ex=600)
    verbs.shorten(verbs.claim("order:42", token="token-a"))
    assert re.fullmatch(r"token-a 1007 .* s0123456789abcdef later \{.*\}", client.get(key))


def test_the_current_release_writes_format_1(client: Redis, place: Any) -> None:
    backend = RedisLockBackend(LockConfig(key_prefix=place.prefix), grant_lease=20)
    verbs = Verbs(backend, None)
    holder = '{"host":"web-1"}'
    verbs.hold(Claim("order:42", "token-a", 1, LONG, holder))
    keys = name_keys(place.prefix, "order:42")
    time = r"\d{13}"
    terms = rf"1 30000 20000 [sp][0-9a-f]{{16}} {re.escape(holder)}"
    written = rf"{time} 30000 \d{{16}} {time} {time} {terms}"
    assert re.fullmatch(f"token-a 000 {written}", client.get(keys.hold))
    verbs.queue_up(Claim("order:42", "token-b", 1, LONG, holder))
    assert re.fullmatch(f"token-a 100 {written}", client.get(keys.hold))
    records = client.hgetall(keys.records)
    assert sorted(records) == ["kept until", "token-b"]
    waits = rf"000 {time} 30000 0 0 {time} {terms}"
    assert re.fullmatch(waits, records["token-b"])
    assert client.zrange(keys.waited, 0, -1) == ["order:42"]
    assert client.zrange(keys.listed, 0, -1) == ["token-a order:42"]
    assert re.fullmatch(r"\d{16}", client.get(keys.fence))
    backend.close()


def test_figures_are_read(verbs: Verbs, client: Redis, place: Any) -> None:
    """They are read at the time of the golden file; figures of other times are not."""
    for key, fields in GOLDEN["figures"]["keys"].items():
        client.hset(key.replace("lock:", f"{place.prefix}:", 1), mapping=fields)

    class Node:
        def exchange(self, commands: Sequence[bytes]) -> tuple[list[Any], float]:
            (_time, *replies), took = verbs.backend.node.exchange(commands)
            return [[GOLDEN["figures"]["now"], 0], *replies], took

    present = hour.slots(Node(), place.prefix)[-1]
    assert {family: tally.acquired for family, tally in present.tallies.items()} == {
        "größe": 2,
        OTHER: 1,
    }
    assert [slot.tallies for slot in hour.slots(Node(), place.prefix)[:-1]] == [{}] * 12
    assert (present.tallies["größe"].longest_wait, present.tallies["größe"].busy) == (0.0035, 1)
    minutes = [minute.tally for minute in hour.minutes(Node(), place.prefix)]
    assert [tally.acquired for tally in minutes] == [4, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert (minutes[-1].longest_wait, minutes[-1].busy) == (0.0035, 1)


@pytest.mark.parametrize("line", GOLDEN["messages"])
def test_a_message_is_read(line: str) -> None:
    read = message(line.encode())
    fence = read.turn.fence if read and read.turn else None
    assert (read and [read.name, read.token, fence]) == GOLDEN["messages"][line]
