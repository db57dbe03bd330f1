"""Traffic between the Redis backend and its server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from django_redislock import lock, lock_backends
from django_redislock.backends.base import Extension
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.keys import name_keys
from django_redislock.backends.redis.wire.replies import Replies
from django_redislock.testing.driver import LONG, Recorder, Verbs
from django_redislock.testing.servers import EmbeddedServer
from tests.support.fixtures import UsePlace


def test_no_verb_scans_the_keyspace_and_a_page_costs_the_same_among_many_keys(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    # No renewal and no figures may be sent between two readings of the statistics.
    place = use(own_server.url, entry={"OPTIONS": {"metrics": False}})
    backend = lock_backends["default"]
    with place.client() as client:

        def page_costs() -> int:
            client.config_resetstat()
            assert backend.list(0, 10).total == 20
            stats = client.info("commandstats")
            assert not {"cmdstat_keys", "cmdstat_scan", "cmdstat_zscan"} & set(stats)
            return sum(stat["calls"] for stat in stats.values())

        handles = [lock(f"name {number}", lease=600, renew=False) for number in range(20)]
        for handle in handles:
            handle.acquire()
        few = page_costs()
        client.mset({f"other:{number}": "" for number in range(50_000)})
        assert page_costs() == few
        for handle in handles:
            assert backend.inspect(handle.name)[0][0].token == handle.token
            handle.extend()
            handle.release()
        stats = set(client.info("commandstats"))
        assert not {"cmdstat_keys", "cmdstat_scan", "cmdstat_flushdb", "cmdstat_hscan"} & stats


def test_scripts_unknown_to_the_server_are_sent_again(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    place = use(own_server.url)
    verbs = Verbs(lock_backends["default"], None)
    with place.client() as client:
        held, waiting = verbs.claim(), verbs.claim()
        for step in (
            lambda: verbs.hold(held),
            lambda: verbs.queue_up(waiting),
            lambda: verbs.backend.extend_all([Extension("a", held.token, LONG)] * 3),
            lambda: verbs.backend.inspect("a"),
            lambda: verbs.backend.force_release("a", held.token),
            lambda: verbs.release(waiting),
            lambda: verbs.cancel(waiting),
        ):
            client.script_flush()
            step()
        assert client.info("commandstats").get("cmdstat_eval", {}).get("calls", 0) >= 7


def test_each_script_is_sent_once_for_many_commands(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    place = use(own_server.url, entry={"OPTIONS": {"metrics": False}})
    backend = lock_backends["default"]
    with place.client() as client, lock("a", lease=60, renew=False) as held:
        extensions = [Extension("a", held.token, 60.0)] * 50

        def forget() -> None:
            client.script_flush()
            client.config_resetstat()

        def sent() -> int:
            return int(client.info("commandstats").get("cmdstat_eval", {}).get("calls", 0))

        forget()
        assert all(isinstance(end, float) for end in backend.extend_all(extensions))
        assert sent() == 1
        forget()
        replies, _ = asyncio.run(exchanged(backend, extensions))
        assert all(replies)
        assert sent() == 1


async def exchanged(backend: RedisLockBackend, extensions: Sequence[Extension]) -> Replies:
    return await backend.node.aexchange([*map(backend._extend_command, extensions)])


def test_a_turn_travels_in_the_message_itself(use: UsePlace, redis_url: str) -> None:
    place = use(redis_url, entry={"OPTIONS": {"grant_lease": 20}})
    verbs = Verbs(lock_backends["default"], None)
    held, waiting = verbs.claim(), verbs.claim()
    verbs.hold(held)
    recorder: Recorder = verbs.queue_up(waiting)
    verbs.release(held)
    turn = recorder.turn()
    assert verbs.backend.inspect("a")[0][0].fence == turn.fence
    with place.client() as client:
        line = client.get(name_keys(place.prefix, "a").hold)
    token, _flags, granted, term, _record = line.split(b" ", 4)
    assert token.decode() == waiting.token
    assert int(granted) + int(term) == turn.expires * 1000


@pytest.mark.parametrize("limit", [1, 2])
def test_a_turn_for_a_waiter_of_the_releasing_process_is_no_message(
    own_server: EmbeddedServer, use: UsePlace, limit: int
) -> None:
    place = use(own_server.url)
    verbs = Verbs(lock_backends["default"], None)
    first, *others = [verbs.claim(limit=limit) for _ in range(limit)]
    for claim in (first, *others):
        verbs.hold(claim)
    recorder: Recorder = verbs.queue_up(verbs.claim(limit=limit))
    with place.client() as client:
        client.config_resetstat()
        verbs.release(first)
        recorder.turn()
        assert "cmdstat_publish" not in client.info("commandstats")


def test_a_cancelled_claim_makes_no_other_claim_cost_more(
    own_server: EmbeddedServer, use: UsePlace
) -> None:
    place = use(own_server.url, entry={"OPTIONS": {"metrics": False}})
    backend = lock_backends["default"]
    verbs = Verbs(backend, None)
    with place.client() as client:

        def commands() -> dict[str, int]:
            client.config_resetstat()
            verbs.queue_up(verbs.claim())
            stats = client.info("commandstats")
            return {name: stat["calls"] for name, stat in stats.items()}

        verbs.hold(verbs.claim())
        verbs.queue_up(verbs.claim())
        before = commands()
        verbs.cancel(verbs.claim(token="late"), late=LONG)
        assert commands() == before
    backend.close()


def test_a_long_queue_is_read_in_few_commands(own_server: EmbeddedServer, use: UsePlace) -> None:
    place = use(own_server.url, entry={"OPTIONS": {"metrics": False}})
    verbs = Verbs(lock_backends["default"], None)
    held = verbs.hold(verbs.claim())
    waiting = [verbs.claim() for _ in range(1_100)]
    for claim in waiting:
        verbs.queue_up(claim)
    with place.client() as client:
        # One is damaged, one has no record, and one says that it stays for ever.
        records = name_keys(place.prefix, "a").records
        late = client.hget(records, waiting[3].token).split()
        late[2] = b"3199999999999"
        client.hset(records, waiting[1].token, "damaged")
        client.hdel(records, waiting[2].token)
        client.hset(records, waiting[3].token, b" ".join([late[0], b"9" * 14, *late[2:]]))
        client.config_resetstat()
        holds, queue = verbs.backend.inspect("a")
        calls = sum(stat["calls"] for stat in client.info("commandstats").values())
    assert [hold.fence for hold in holds] == [held.fence]
    tokens = [claim.token for claim in waiting]
    assert [one.token for one in queue] == [tokens[0], *tokens[4:]]
    assert calls < 20
