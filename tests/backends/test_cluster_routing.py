"""Routing in a Cluster, by the keys of commands and by what nodes say of slots."""

from __future__ import annotations

from typing import Any

import pytest
from redis.connection import ConnectionPool
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    TryAgainError,
)

from django_redislock import LockUnavailable, lock_backends
from django_redislock.backends.redis.backend import RedisLockBackend
from django_redislock.backends.redis.cluster.dispatch import Dispatch, Part
from django_redislock.backends.redis.cluster.nodes import Cluster
from django_redislock.backends.redis.cluster.topology import Topology
from django_redislock.backends.redis.commands import call, pack, packed
from django_redislock.backends.redis.error_texts import happened
from django_redislock.backends.redis.errors import NoAnswer, ServerAway, marked
from django_redislock.backends.redis.keys import BUCKETS, bucket_keys, bucket_of, name_keys
from django_redislock.backends.redis.scripts import ACQUIRE, ADD_TALLIES, with_text
from django_redislock.backends.redis.slots import SLOTS, Address, buckets_of, owners
from django_redislock.backends.redis.sources.source import ClusterSource
from django_redislock.backends.redis.wakeups.connection import Wakeups
from django_redislock.backends.redis.wire.driver import error_of
from django_redislock.backends.redis.wire.replies import Replies
from django_redislock.clock import monotonic
from tests.support.fixtures import UsePlace

ASKED = Address("here", 7000)


@pytest.mark.parametrize("name", ["a", "order:42", "x:{3}:y", "{18}", ":{0}:hold:{1}"])
@pytest.mark.parametrize("prefix", ["lock", "a:b", ""])
def test_a_command_goes_to_the_node_of_its_first_key(name: str, prefix: str) -> None:
    command = call(ACQUIRE, prefix, name, "token", (packed("1 {2} :{3}:"),))
    assert buckets_of([command]) == [bucket_of(name)]
    assert SLOTS[bucket_of(name)] == key_slot(name_keys(prefix, name).queue.encode())


def test_the_sources_of_scripts_are_not_mistaken_for_keys() -> None:
    command = with_text(call(ACQUIRE, "lock", "a", "token", ()))
    assert command.startswith(b"*")
    assert buckets_of([command]) == [bucket_of("a")]
    keys = [f"{bucket_keys('lock', 7).tag}:metrics:0"]
    assert buckets_of([pack("EVAL", ADD_TALLIES, 1, *keys, 1)]) == [7]


def test_a_command_without_a_key_goes_with_the_next_one() -> None:
    time, index = pack("TIME"), pack("ZCARD", bucket_keys("lock", 5).listed)
    assert buckets_of([time, index, time, time]) == [5, 5, 0, 0]


def test_a_node_reports_to_the_topology() -> None:
    source = ClusterSource(ConnectionPool(host="here", port=7000), [ASKED], "a test")
    topology = Topology(source)
    called: list[object] = []
    topology.on_look_again = topology.on_absent = topology.on_late = called.append
    node = topology.node_at(ASKED)
    topology.owners[3] = node
    node.on_absent(node)
    node.on_back(node)
    node.on_late(node)
    assert called == [node, 3, node]


@pytest.mark.parametrize(
    ("text", "made_by"),
    [
        ("MOVED 511 h:1", MovedError),
        ("ASK 511 h:1", AskError),
        ("TRYAGAIN x", TryAgainError),
        ("CLUSTERDOWN x", ClusterDownError),
        ("MASTERDOWN x", MasterDownError),
    ],
)
def test_error_replies_have_the_same_types_with_every_redis_py(text: str, made_by: type) -> None:
    assert type(error_of(text)) is made_by


def reply(*ranges: Any) -> list[Any]:
    return [[first, last, [host, port, b"id"]] for first, last, host, port in ranges]


def test_each_bucket_has_the_owner_of_its_slot() -> None:
    found = owners(reply((0, 8191, b"a", 1), (8192, 16383, b"b", 2)), ASKED)
    assert found == [Address("a", 1)] * 8 + [Address("b", 2)] * 8


def test_a_connection_class_may_decode_the_names_of_nodes() -> None:
    """As functools.partial(Connection, decode_responses=True) does for the system checks."""
    assert owners(reply((0, 16383, "a", 1)), ASKED) == [Address("a", 1)] * BUCKETS


@pytest.mark.parametrize("hidden", [b"", None, b"?"])
def test_a_node_without_a_name_is_at_the_address_that_was_asked(hidden: bytes | None) -> None:
    assert owners(reply((0, 16383, hidden, 7001)), ASKED) == [Address("here", 7001)] * BUCKETS


def test_buckets_may_have_no_owner() -> None:
    found = owners(reply((0, 511, b"a", 1)), ASKED)
    assert found == [Address("a", 1)] + [None] * (BUCKETS - 1)
    with pytest.raises(ClusterDownError):
        owners(reply(), ASKED)


def test_a_slot_is_followed_however_long_its_move_takes() -> None:
    source = ClusterSource(ConnectionPool(host="here", port=7000), [ASKED], "a test")
    topology = Topology(source)
    topology.owners[bucket_of("a")] = topology.node_at(ASKED)
    command = call(ACQUIRE, "lock", "a", "token", ())
    dispatch = Dispatch(topology, [command], monotonic() + 60)
    moved = MovedError(f"{SLOTS[bucket_of('a')]} there:7001")
    for answer in [*[TryAgainError("later")] * 20, moved]:
        (part,) = dispatch.parts()
        dispatch.answered(part, Replies([answer], False))
        assert dispatch.is_pending
    (part,) = dispatch.parts()
    assert part.node is topology.node_at(Address("there", 7001))


def test_redirections_in_a_circle_are_an_error_of_the_cluster() -> None:
    """The error must say that it is about a Cluster."""
    source = ClusterSource(ConnectionPool(host="here", port=7000), [ASKED], "a test")
    topology = Topology(source)
    topology.owners[bucket_of("a")] = topology.node_at(ASKED)
    dispatch = Dispatch(topology, [call(ACQUIRE, "lock", "a", "token", ())], monotonic() + 60)
    ports = []
    while dispatch.is_pending:
        (part,) = dispatch.parts()
        ports.append(port := part.node.source.pool.connection_kwargs["port"])
        moved = MovedError(f"{SLOTS[bucket_of('a')]} here:{14001 - port}")
        dispatch.answered(part, Replies([moved], False))
    assert ports == [7000, 7001] * 4
    (error,), _ = dispatch.result()
    assert isinstance(error, ClusterDownError)
    text = happened("the Cluster here:7000", error)
    assert f"redirect the slot {SLOTS[bucket_of('a')]} to each other" in text
    assert "LOCATION" not in text


async def test_redirections_of_a_channel_in_a_circle_are_an_error(
    use: UsePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would count as a channel on which turns arrive."""
    use("", entry={"LOCATION": "cluster://127.0.0.1:1"})
    backend, asked = lock_backends["default"], list[Any]()
    assert isinstance(backend, RedisLockBackend)
    assert isinstance(backend.node, Cluster)
    topology = backend.node.topology
    topology.owners[bucket_of("a")] = topology.node_at(ASKED)

    def redirect(self: Any, name: str, timeout: float) -> None:
        asked.append(port := self.node.source.pool.connection_kwargs["port"])
        raise MovedError(f"{SLOTS[bucket_of('a')]} here:{14001 - port}")

    async def aredirect(self: Any, name: str, timeout: float) -> None:
        redirect(self, name, timeout)

    monkeypatch.setattr(Wakeups, "listen", redirect)
    monkeypatch.setattr(Wakeups, "alisten", aredirect)
    with pytest.raises(LockUnavailable, match="to each other"):
        backend.listen("a", 10)
    with pytest.raises(LockUnavailable, match="to each other"):
        await backend.alisten("a", 10)
    assert asked == [7000, 7001] * 5


def test_a_refusal_after_an_earlier_request_does_not_count_as_nothing_sent() -> None:
    """Otherwise the earlier request would not be cancelled."""
    source = ClusterSource(ConnectionPool(host="here", port=7000), [ASKED], "a test")
    topology = Topology(source)
    node = topology.node_at(ASKED)
    dispatch = Dispatch(topology, [pack("PING")], monotonic() + 60)
    dispatch.doubt(node, NoAnswer())
    dispatch.has_topology()
    part = Part(node, [0], [pack("PING")], asking=False)
    with pytest.raises(NoAnswer) as raised:
        dispatch.failed(part, ServerAway(NoAnswer()))
    assert vars(raised.value)["at"] == "here:7000"


def test_a_failed_look_at_the_topology_does_not_count_as_nothing_sent(
    use: UsePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request was sent, and the node may have carried it out."""
    use("", entry={"LOCATION": "cluster://127.0.0.1:1"})
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    assert isinstance(backend.node, Cluster)
    backend.node.topology.owners[bucket_of("a")] = node = backend.node.topology.node_at(ASKED)
    for error, sent in ((NoAnswer(), True), (marked(NoAnswer(), sent=False), False)):

        def fail(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(node, "exchange", fail)
        with pytest.raises(LockUnavailable) as caught:
            backend.force_release("a", "token")
        assert "127.0.0.1:1" in str(caught.value)
        assert (caught.value.asked, caught.value.sent) == (True, sent)
        backend.node.topology.doubted.clear()


def test_a_bucket_without_an_owner_may_be_watched(use: UsePlace) -> None:
    """Another thread may learn that while the answer is on its way, and asks the waiters."""
    use("", entry={"LOCATION": "cluster://127.0.0.1:1"})
    backend = lock_backends["default"]
    assert isinstance(backend, RedisLockBackend)
    backend.wakeups.watch("a", monotonic() + 60)
